"""The preset "tabular": each of its parts against its definition."""

import os
import signal
from dataclasses import replace
from itertools import count
from math import cos, log2, pi
from threading import Lock
from typing import Any

import numpy as np
import pytest

import dnnkit as dk
from dnnkit.backends import Backend
from dnnkit.estimators import tabular_member, workers
from dnnkit.estimators.budget import Hurried
from dnnkit.estimators.data import Columns, EncodedData, Part, Task
from dnnkit.estimators.members import Members, tempered
from dnnkit.estimators.settings import resolve
from dnnkit.estimators.tabular import train
from dnnkit.many.fitting import fit_many
from dnnkit.network.whole import WholeNetwork

ROWS, FEATURES = 96, 5


def table(task: Task = "multiclass", rows: int = ROWS, validation: Part | None = None) -> EncodedData:
    """Draw rows whose targets depend on the first features."""
    rng = np.random.default_rng(1)
    x = rng.normal(size=(rows, FEATURES)).astype("float32")
    values = np.stack([x[:, 0] - x[:, 1], np.sin(2 * x[:, 2])], axis=1)
    y: Any = (values[:, 0] > 0) + (values[:, 1] > 0.2).astype(np.int64)
    outputs = {"multiclass": 3, "binary": 1}.get(task, 2)
    if task == "binary":
        y = (y > 0).astype(np.int64)
    elif task != "multiclass":
        y = values if task == "regression" else (values > 0).astype("float32")
    return EncodedData(Part(x, y), validation, Columns(tuple(range(FEATURES))), task, outputs)


def trained(data: EncodedData, *, members: int = 2, seed: int = 0, **given: Any) -> Members:
    """Return members of the preset with a few other parameters."""
    given = {"hidden_layer_sizes": (8, 8), "max_iter": 6, "batch_size": 32, **given}
    others = {name: given.pop(name) for name in ("clock", "progress", "start", "epochs") if name in given}
    parameters = dk.DNNClassifier(preset="tabular", n_ensemble=members, **given).get_params(deep=False)
    return train(data, resolve(parameters, data), seeds=[seed + number for number in range(members)], **others)


@pytest.mark.parametrize("task", ["multiclass", "binary", "multilabel", "regression"])
def test_predictions_follow_from_the_parameters(task: Task) -> None:
    data = table(task)
    members = trained(data)
    x, said = data.train.x[:7].astype(float), []
    for net in members.networks:
        p = {name: value.astype(float) for name, value in net.parameters.items()}
        h = x * p["scale/scale"]
        for number, layer in enumerate(("dense", "dense_1", "dense_2")):
            h = h @ p[f"{layer}/kernel"] / np.sqrt(h.shape[1]) + p[f"{layer}/bias"]
            if number < 2:
                h = h * np.tanh(np.log1p(np.exp(h)))  # mish
        if task == "regression":
            h = np.clip(h, data.train.y.min(axis=0), data.train.y.max(axis=0))
        elif task == "multiclass":
            h = np.exp(h) / np.exp(h).sum(axis=1, keepdims=True)
        else:
            h = 1 / (1 + np.exp(-h))
        said.append(h)
    mean = np.mean(said, axis=0)
    if task != "regression":
        assert members.temperature != 1
        mean = tempered(mean, members.temperature, across=task == "multiclass")
    assert members.predict_scores(data.train.x[:7]) == pytest.approx(mean, rel=2e-4, abs=1e-5)


def test_the_best_epoch_is_kept() -> None:
    data = table()
    seen: list[tuple[WholeNetwork, list[float]]] = []

    class Listener(dk.callbacks.Callback):
        def on_train_begin(self, logs: Any = None) -> None:
            seen.append((self.model, []))

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            seen[-1][1].append(logs["val_loss"])

    other = Part(data.train.x, np.roll(data.train.y, 1))  # of which nothing can be learned: soon it gets worse
    one = trained(table(validation=other), members=1, callbacks=Listener(), max_iter=12)
    [(net, losses)] = seen
    assert losses[-1] > 1.01 * min(losses)  # otherwise nothing would be restored
    assert net.evaluate(other.x, other.y)["loss"] == pytest.approx(min(losses), rel=1e-5)
    assert one.curves[0].scores is not None
    assert one.curves[0].best_score == one.curves[0].scores[int(np.argmin(losses))]


def test_numbers_stay_within_those_of_training() -> None:
    data = table("regression")
    said = trained(data).predict_scores(100 * data.train.x)
    assert said.min(axis=0) == pytest.approx(data.train.y.min(axis=0))
    assert said.max(axis=0) == pytest.approx(data.train.y.max(axis=0))


def test_networks_begin_as_realmlps() -> None:
    values = trained(table(), members=1, hidden_layer_sizes=(200, 200), learning_rate_init=1e-9).networks[0].parameters
    for name in ("dense/kernel", "dense_1/kernel", "dense/bias", "dense_1/bias"):
        assert np.std(values[name]) == pytest.approx(1, abs=0.15)
    assert np.abs(values["dense_2/kernel"]).max() < 1e-6
    assert values["scale/scale"] == pytest.approx(1)


def test_the_loss_has_smoothed_labels() -> None:
    data = table()
    net = trained(data, members=1, label_smoothing=0.2).networks[0]
    said = net.predict(data.train.x).astype(float)
    targets = 0.8 * np.eye(3)[data.train.y] + 0.2 / 3
    expected = -(targets * np.log(said)).sum(axis=1).mean()
    assert net.evaluate(data.train.x, data.train.y)["loss"] == pytest.approx(expected, rel=1e-5)


def test_rates_are_four_cycles_of_each_group_of_parameters() -> None:
    net = trained(table(), members=1, max_iter=5, early_stopping=False).networks[0]
    steps = 5 * ROWS // 32
    numbers = net.optimizer.hyperparameters(0, steps, net.executable.program.groups)
    cycles = np.array([0.5 * (1 - cos(2 * pi * log2(1 + 15 * step / steps))) for step in range(steps)])
    assert numbers.learning_rates == pytest.approx(0.04 * cycles, abs=1e-12)
    groups = zip(net.executable.program.groups, numbers.groups, strict=True)
    factors = {group.parameters: own.learning_rates[2] / numbers.learning_rates[2] for group, own in groups}
    assert factors == {
        ("scale/scale",): pytest.approx(6.0),
        ("dense/bias", "dense_1/bias", "dense_2/bias"): pytest.approx(0.1),
    }
    assert numbers.constants["beta_2"] == 0.95


def test_random_state_decides_and_threads_do_not() -> None:
    data = table("binary")
    said = [
        trained(data, seed=seed, n_jobs=jobs).predict_scores(data.train.x) for seed, jobs in ((0, 1), (0, 2), (9, 1))
    ]
    assert np.array_equal(said[0], said[1])
    assert not np.array_equal(said[0], said[2])


def test_backends_follow_one_training(backend: Backend) -> None:
    data = table("regression")
    with dk.use_backend("numpy"):
        expected = trained(data, dtype="float64").predict_scores(data.train.x)
    members = trained(data, dtype="float64")
    assert members.predict_scores(data.train.x) == pytest.approx(expected, abs=1e-6)
    if backend.name == "numba":
        assert [net.history.plan.reason for net in members.networks] == [None, None]  # everything is compiled


class Ticking:
    """A clock that advances by a second each time it is read."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        self.now += 1.0
        return self.now


@pytest.mark.parametrize("budget", [40.0, 100.0])
def test_a_time_budget_ends_training_after_a_step_and_speeds_up_the_schedule(budget: float) -> None:
    clock, lines = Ticking(), list[str]()
    members = trained(table(), max_iter=50, time_budget=budget, clock=clock, n_jobs=1, progress=lines.append)
    assert budget - 6 < clock.now < budget + 8  # it is also read a few times after the end
    assert len(members.networks) == 2
    assert all(curve.ended.startswith("time budget spent") for curve in members.curves)
    for net in members.networks:
        rate, done = net.optimizer.learning_rate, net.executable.state.step
        assert isinstance(rate, Hurried)
        assert done < 0.3 * 150
        assert rate.place(done + 2) > 150  # it reaches the end of its four cycles
    assert lines[-1].endswith(f"s of {budget:g} s")


def test_members_for_which_there_is_no_time_are_left_out() -> None:
    members = trained(table(), members=3, time_budget=1.5, clock=Ticking(), n_jobs=1)
    assert len(members.networks) == 1
    assert members.curves[0].ended == "time budget spent after 1 of 18 steps"


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_ctrl_c_keeps_the_results(n_jobs: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "allowed_threads", lambda: 2)

    pressed = Lock()

    class CtrlC(dk.callbacks.Callback):
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            if epoch == 3 and pressed.acquire(blocking=False):  # once
                os.kill(os.getpid(), signal.SIGINT)

    with pytest.warns(dk.errors.TrainingWarning, match="interrupted"):
        members = trained(table(), members=5, max_iter=100_000, n_jobs=n_jobs, callbacks=CtrlC())
    assert len(members.networks) in (n_jobs, 1)  # no more are started
    assert {curve.ended for curve in members.curves} == {"it was interrupted"}
    assert members.temperature != 1

    class AtOnce(dk.callbacks.Callback):
        def on_train_begin(self, logs: Any = None) -> None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        trained(table(), callbacks=AtOnce(), n_jobs=1)


def test_an_error_of_a_member_is_raised_and_ends_the_others() -> None:
    class Fails(dk.callbacks.Callback):
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            if epoch == 3:
                raise ArithmeticError("told")

    with pytest.raises(ArithmeticError, match="told"):
        trained(table(), members=3, max_iter=100_000, callbacks=Fails())


def test_patience_ends_training() -> None:
    members = trained(table(), members=1, max_iter=200, n_iter_no_change=3, learning_rate_init=0.5)
    assert members.curves[0].epochs < 200
    assert members.curves[0].ended == "no better epoch in 3"


def test_training_continues_from_where_it_was() -> None:
    data = table()
    members = trained(data, epochs=1)
    for _ in range(3):
        members = trained(data, epochs=1, start=members)
    once = trained(data, epochs=4)
    assert np.array_equal(members.predict_scores(data.train.x), once.predict_scores(data.train.x))
    assert members.curves[0].rows_seen == 4 * ROWS
    assert members.temperature == 1
    warm = trained(data, start=members)
    assert warm.networks[0] is members.networks[0]
    assert warm.curves[0].rows_seen == 4 * ROWS + 6 * (ROWS - 12)


# -- all members in one call -----------------------------------------------------------------------------------------


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Record how many networks each call of `fit_many` trained."""
    found: list[int] = []

    def noted(networks: Any, *given: Any, **named: Any) -> Any:
        found.append(len(networks))
        return fit_many(networks, *given, **named)

    monkeypatch.setattr(tabular_member, "fit_many", noted)
    return found


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("others", [{}, {"epochs": 2}, {"n_iter_no_change": 2, "max_iter": 40}])
def test_members_trained_together_equal_separate_fits(weighted: bool, others: dict[str, Any], calls: list[int]) -> None:
    data = table()
    if weighted:
        data = replace(data, train=replace(data.train, weights=np.linspace(0.5, 2, ROWS)))
    together = trained(data, members=3, backend="numba", **others)
    assert calls == [3]
    alone = trained(data, members=3, backend="numba", callbacks=dk.callbacks.LambdaCallback(), **others)
    assert calls == [3]
    assert together.temperature == alone.temperature
    assert together.curves == alone.curves
    for one, other in zip(together.networks, alone.networks, strict=True):
        for name, value in one.parameters.items():
            assert np.array_equal(value, other.parameters[name]), name


def test_ctrl_c_keeps_the_best_epoch_of_members_trained_together(calls: list[int]) -> None:
    seconds = count()

    def progress(line: str) -> None:
        if "epoch 5," in line:
            signal.raise_signal(signal.SIGINT)

    with pytest.warns(dk.errors.TrainingWarning, match="interrupted"):
        members = trained(
            table(), members=3, max_iter=100_000, backend="numba", progress=progress, clock=lambda: float(next(seconds))
        )
    assert calls == [3]
    assert {curve.ended for curve in members.curves} == {"it was interrupted"}
    assert [curve.epochs for curve in members.curves] == [5, 5, 5]
    assert members.temperature != 1
