"""L-BFGS as an optimizer of `fit`: where it converges, by which path, and that it resumes exactly."""

import copy
import os
import pickle
import signal
import threading
from dataclasses import dataclass

import numpy as np
import pytest

import dnnkit as dk
from dnnkit.backends import Backend, one_function
from dnnkit.errors import ConfigurationError
from tests.backends.graphs import built, samples, two_inputs_two_outputs
from tests.backends.graphs import numbers as initial

rng = np.random.default_rng(8)
X = rng.normal(size=(30, 4))
Y = np.tanh(X @ rng.normal(size=(4, 2))) + 0.1 * rng.normal(size=(30, 2))
LABELS = rng.integers(0, 3, 30)
WEIGHTS = rng.uniform(0.1, 2, 30)


def network(backend: Backend | str, *, dtype: str = "float64", metrics=(), loss="mse", **options) -> dk.Sequential:
    layers = [dk.Dense(5, activation="tanh"), dk.Dense(2)]
    net = dk.Sequential(layers, seed=3, backend=backend, dtype=dtype)
    net.compile(dk.LBFGS(**options), loss, metrics)
    return net


def numbers(net: dk.Sequential) -> dict[str, np.ndarray]:
    snapshot = net.executable.snapshot()
    return {**snapshot.parameters, **snapshot.slots}


def check_equal(net: dk.Sequential, other: dk.Sequential) -> None:
    found, expected = numbers(net), numbers(other)
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_array_equal(found[name], value, err_msg=name)
    assert net.executable.state == other.executable.state
    assert net.history.history == other.history.history


@pytest.mark.parametrize("weights", [None, WEIGHTS])
def test_a_linear_network_ends_at_least_squares(backend: Backend, weights) -> None:
    net = dk.Sequential([dk.Dense(2)], seed=0, backend=backend, dtype="float64")
    net.compile("lbfgs", "mse", ["mean_absolute_error"])
    history = net.fit(X, Y, epochs=100, sample_weight=weights, verbose=0)
    root = np.sqrt(np.ones(30) if weights is None else weights)[:, None]
    expected, *_ = np.linalg.lstsq(root * np.column_stack([X, np.ones(30)]), root * Y, rcond=None)
    np.testing.assert_allclose(net.parameters["dense/kernel"], expected[:-1], atol=1e-5)
    np.testing.assert_allclose(net.parameters["dense/bias"], expected[-1], atol=1e-5)
    assert len(history["loss"]) < 30
    assert "gradient_tolerance" in history.ended or "change_tolerance" in history.ended
    errors = net.evaluate(X, Y, sample_weight=weights)
    np.testing.assert_allclose(errors["loss"], history["loss"][-1])  # it is that after the last epoch
    np.testing.assert_allclose(errors["mean_absolute_error"], history["mean_absolute_error"][-1])


def test_penalties_count_once(backend: Backend, monkeypatch) -> None:
    """Ridge regression, in chunks: without an intercept it has a closed form."""
    monkeypatch.setattr(one_function, "rows_at_a_time", lambda program: 7)
    net = dk.Sequential(
        [dk.Dense(2, use_bias=False, kernel_regularizer=dk.regularizers.L2(0.3))],
        seed=0, backend=backend, dtype="float64",
    )  # fmt: skip
    net.compile(dk.LBFGS(change_tolerance=0), "mse")
    history = net.fit(X, Y, epochs=100, verbose=0)
    expected = np.linalg.solve(X.T @ X + 0.3 * len(X) * Y.shape[1] * np.eye(4), X.T @ Y)
    np.testing.assert_allclose(net.parameters["dense/kernel"], expected, atol=1e-6)
    np.testing.assert_allclose(net.evaluate(X, Y)["loss"], history["loss"][-1])


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("rows", [None, 7])
def test_every_backend_takes_the_same_path_also_in_chunks(backend: Backend, dtype, rows, monkeypatch) -> None:
    expected = network("numpy", dtype=dtype, history_size=3).fit(X, Y, sample_weight=WEIGHTS, epochs=8, verbose=0)
    if rows is not None:
        monkeypatch.setattr(one_function, "rows_at_a_time", lambda program: rows)
    found = network(backend, dtype=dtype, history_size=3).fit(X, Y, sample_weight=WEIGHTS, epochs=8, verbose=0)
    np.testing.assert_allclose(found["loss"], expected["loss"], rtol=1e-7 if dtype == "float64" else 2e-3)
    assert found["evaluations"][:4] == expected["evaluations"][:4]
    assert all(after < before for before, after in zip(found["loss"], found["loss"][1:], strict=False))


def test_the_chunks_of_a_program_follow_from_its_size() -> None:
    small = network("numpy")
    small.build(4)
    assert one_function.rows_at_a_time(small.executable.program) > 10_000
    large = dk.Sequential([dk.Dense(3000), dk.Dense(3000), dk.Dense(10)], seed=0)
    large.compile("lbfgs", "mse")
    large.build(3000)
    assert one_function.LEAST_ROWS <= one_function.rows_at_a_time(large.executable.program) < 1000


def test_it_resumes_exactly(backend: Backend, tmp_path) -> None:
    whole, parts = network(backend, metrics=["mae"], history_size=3), network(backend, metrics=["mae"], history_size=3)
    whole.fit(X, Y, epochs=7, verbose=0)
    parts.fit(X, Y, epochs=2, verbose=0)
    parts.save(tmp_path / "saved")
    ways = [dk.load(tmp_path / "saved"), copy.copy(parts), pickle.loads(pickle.dumps(parts)), parts]
    for net in ways if backend.name != "strict" else ways[-1:]:
        net.fit(X, Y, epochs=5, verbose=0)
        check_equal(net, whole)


class Looks(dk.Callback):
    """Listens to each iteration, so that each is a separate call."""

    def __init__(self) -> None:
        self.seen: list[float] = []

    def on_epoch_end(self, epoch, logs=None):
        self.seen.append(logs["loss"])


def test_many_iterations_in_one_call_equal_those_with_a_listener(backend: Backend, capsys) -> None:
    def fit(epochs: int, *callbacks: dk.Callback, net: dk.Sequential | None = None, **options) -> dk.Sequential:
        net = network(backend, metrics=["mae"], history_size=3) if net is None else net
        net.fit(X[:25], Y[:25], epochs=epochs, callbacks=callbacks, **{"verbose": 0, **options})
        return net

    looks = Looks()
    expected, losses = fit(20, looks), looks.seen
    assert losses == expected.history["loss"]
    check_equal(fit(20), expected)
    check_equal(fit(20, steps=None, verbose=2), expected)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 20
    assert lines[-1].startswith("Epoch 20/20 - ")
    assert f"evaluations: {expected.history['evaluations'][-1]}" in lines[-1]
    net = fit(4)
    for _ in range(3):
        net.train_step(X[:25], Y[:25])
    assert numbers(net).keys() == numbers(expected).keys()
    validated = fit(20, validation_data=(X[25:], Y[25:]), validation_freq=7).history
    assert validated["loss"] == losses
    assert [place for place, value in enumerate(validated["val_loss"]) if value == value] == [6, 13]
    assert len(validated.seconds) == 20


@pytest.mark.parametrize("frozen", [False, True])
def test_an_assignment_by_a_callback_takes_effect(backend: Backend, frozen: bool) -> None:
    snapshots = []

    class Halve(dk.Callback):
        def on_epoch_end(self, epoch, logs=None):
            if epoch == 2:
                net.parameters["dense/kernel"] = 0.5 * np.asarray(net.parameters["dense/kernel"])
                snapshots.append(net.executable.snapshot())

    net, other = network(backend), network(backend)
    for each in (net, other):
        each.build(4)
        if frozen:
            each.freeze("dense")
    found = net.fit(X, Y, epochs=6, callbacks=[Halve()], verbose=0)
    other.executable.restore(snapshots[0])
    assert found["loss"][3:] == other.fit(X, Y, epochs=3, verbose=0)["loss"]


@pytest.mark.parametrize("rows", [None, 7])
@pytest.mark.parametrize("threads", [0, 2])
def test_workers_share_the_rows(rows: int | None, threads: int, monkeypatch) -> None:
    """The same path with two workers, and the same bits whichever thread runs which."""
    pytest.importorskip("numba")
    from dnnkit.backends.numba_backend import cost_model
    from dnnkit.backends.numba_backend.partition import Partition

    def fit() -> dk.Sequential:
        layers = [dk.Dense(5, activation="tanh", kernel_regularizer="l2"), dk.Dense(2)]
        net = dk.Sequential(layers, seed=3, backend="numba", dtype="float64", num_threads=2)
        net.compile(dk.LBFGS(history_size=3), "mse", ["mae"])
        net.fit(X, Y, sample_weight=WEIGHTS, epochs=15, verbose=0)
        return net

    if rows is not None:
        monkeypatch.setattr(one_function, "rows_at_a_time", lambda program: rows)
    alone = fit().history
    monkeypatch.setattr(cost_model, "partition_of_gradients", lambda *_: Partition("rows", 2))
    monkeypatch.setattr(cost_model, "threads", lambda *_: threads)
    shared, again = fit(), fit()
    check_equal(again, shared)
    for name in ("loss", "mae", "evaluations"):
        np.testing.assert_allclose(shared.history[name], alone[name], rtol=1e-7)


def test_ctrl_c_works_within_many_iterations(backend: Backend) -> None:
    rng = np.random.default_rng(2)
    x = rng.normal(size=(400, 2))
    y = np.sin(3 * x[:, :1]) * x[:, 1:]

    def net() -> dk.Sequential:
        layers = [dk.Dense(12, activation="tanh"), dk.Dense(12, activation="tanh"), dk.Dense(1)]
        net = dk.Sequential(layers, seed=1, backend=backend, dtype="float64")
        net.compile(dk.LBFGS(gradient_tolerance=0, change_tolerance=0), "mse")
        return net

    interrupted, whole = net(), net()
    interrupted.build(2)
    interrupted.fit(x, y, verbose=0)
    timer = threading.Timer(0.1, os.kill, [os.getpid(), signal.SIGINT])
    begins = dk.LambdaCallback(on_train_begin=lambda logs: timer.start())
    with pytest.raises(KeyboardInterrupt):
        interrupted.fit(x, y, epochs=10**6, callbacks=[begins], verbose=0)
    done = len(interrupted.history["loss"])
    assert 1 < done == interrupted.executable.state.step
    interrupted.fit(x, y, epochs=3, verbose=0)
    whole.fit(x, y, epochs=done + 3, verbose=0)
    check_equal(interrupted, whole)


@pytest.mark.parametrize("every", ["1 epoch", "2 steps"])
def test_a_checkpoint_resumes_exactly_and_records_the_end(backend: Backend, tmp_path, every) -> None:
    class Stop(dk.Callback):
        def on_epoch_end(self, epoch, logs=None):
            if epoch == 4:
                raise KeyboardInterrupt

    def fit(net: dk.Sequential, *callbacks: dk.Callback) -> dk.History:
        options = {"checkpoint": tmp_path / "fit", "checkpoint_every": every, "verbose": 0}
        return net.fit(X, Y, epochs=80, validation_split=0.2, callbacks=callbacks, **options)

    whole, first, second = (network(backend, gradient_tolerance=1e-2) for _ in range(3))
    expected = whole.fit(X, Y, epochs=80, validation_split=0.2, verbose=0)
    with pytest.raises(KeyboardInterrupt):
        fit(first, Stop())
    found = fit(second)
    check_equal(second, whole)
    assert found.history == expected.history
    assert found.ended == expected.ended != ""
    assert fit(network(backend, gradient_tolerance=1e-2)).ended == found.ended  # there is nothing left to do


@dataclass(frozen=True)
class Interrupted(dk.losses.Loss):
    """Mean squared error that presses Ctrl-C during its call with that number."""

    calls = [0, 0]  # noqa: RUF012 - how many there were, and which is the one

    def loss_and_gradient(self, predictions, targets, weights, scale, xp):
        self.calls[0] += 1
        if self.calls[0] == self.calls[1]:
            signal.raise_signal(signal.SIGINT)
        error = predictions - targets
        return xp.sum(error * error) / 2, error * scale


@pytest.mark.parametrize("call", [3, 4, 6])
def test_ctrl_c_leaves_whole_iterations(backend: Backend, call: int) -> None:
    nets = [network(backend, loss=Interrupted(), learning_rate=20.0) for _ in range(2)]  # so searches are long
    Interrupted.calls[:] = [0, -1]
    nets[0].fit(X, Y, epochs=6, verbose=0)
    Interrupted.calls[:] = [0, call]
    with pytest.raises(KeyboardInterrupt):
        nets[1].fit(X, Y, epochs=6, verbose=0)
    done = len(nets[1].history["loss"])
    assert done < 6
    assert done == nets[1].executable.state.step
    nets[1].fit(X, Y, epochs=6 - done, verbose=0)
    check_equal(nets[1], nets[0])


def test_frozen_layers_stay(backend: Backend) -> None:
    net = network(backend)
    net.fit(X, Y, epochs=2, verbose=0)
    net.freeze("dense")
    before, loss = {name: np.array(value) for name, value in net.parameters.items()}, net.history["loss"][-1]
    net.fit(X, Y, epochs=3, verbose=0)
    np.testing.assert_array_equal(net.parameters["dense/kernel"], before["dense/kernel"])
    assert (net.parameters["dense_1/kernel"] != before["dense_1/kernel"]).all()
    assert net.history["loss"][-1] < loss
    net.unfreeze("dense")
    after = net.history["loss"][-1]
    net.fit(X, Y, epochs=3, verbose=0)
    assert net.history["loss"][-1] < after


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"gradient_tolerance": 0.5}, "gradient is"),
        ({"change_tolerance": 0.5}, "change_tolerance=0.5 of it"),
        ({"max_evaluations": 4}, "max_evaluations=4 is reached"),
        ({"gradient_tolerance": 0, "change_tolerance": 0, "dtype": "float32"}, "dtype='float64' is more precise"),
    ],
)
def test_it_reports_why_it_ends(options, words, capsys) -> None:
    history = network("numpy", **options).fit(X, Y, epochs=3000, verbose=2)
    assert words in history.ended
    assert len(history.epoch) < 3000
    assert words in capsys.readouterr().out.splitlines()[-1]


def test_a_loss_that_is_no_number_ends_it() -> None:
    net = network("numpy", dtype="float32")
    net.build(4)
    net.parameters["dense_1/bias"] = [3e38, 0]
    history = net.fit(X, Y, epochs=5, verbose=0)
    assert "the loss is inf" in history.ended
    assert len(history.epoch) == 1


def test_it_stops_early_and_takes_no_more_than_it_knows(backend: Backend) -> None:
    net = network(backend)
    stop = dk.EarlyStopping(monitor="val_loss", patience=2, restore_best_weights=True)
    history = net.fit(X, Y, epochs=200, validation_split=0.3, callbacks=[stop], verbose=0)
    assert history.ended == ""
    assert len(history.epoch) < 200
    losses = history["val_loss"]
    np.testing.assert_allclose(net.evaluate(X[21:], Y[21:])["loss"], min(losses))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"batch_size": 8}, "leave out batch_size"),
        ({"steps_per_epoch": 3}, "an epoch is one step"),
        ({"shuffle": "with_replacement"}, "all samples in each step"),
    ],
)
def test_mini_batches_are_an_error_with_the_cure(options, words) -> None:
    with pytest.raises(ConfigurationError, match=words):
        network("numpy").fit(X, Y, verbose=0, **options)
    network("numpy").fit(X, Y, batch_size=30, steps_per_epoch=1, verbose=0)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"decrease": 0.9, "curvature": 0.5}, "decrease < curvature"),
        ({"curvature": 1.0}, "between 0 and 1"),
        ({"history_size": 0}, "whole number"),
        ({"global_clipnorm": 1.0}, "the unmodified gradient"),
        ({"clipvalue": 1.0}, "the unmodified gradient"),
        ({"use_ema": True}, "the last parameters are the best"),
        ({"groups": {"bias": {"learning_rate": 0.1}}}, "net.freeze"),
    ],
)
def test_settings_that_cannot_work(options, words) -> None:
    with pytest.raises(ConfigurationError, match=words):
        dk.LBFGS(**options)
    with pytest.raises(ConfigurationError, match="decrease < curvature"):
        dk.LBFGS().decrease = 0.95


def test_unsupported_networks_are_reported(backend: Backend) -> None:
    net = dk.Sequential([dk.Dense(5), dk.Dropout(0.5), dk.Dense(2)], seed=3, backend=backend)
    net.compile("lbfgs", "mse")
    with pytest.raises(ConfigurationError, match="Dropout changes the loss from step to step"):
        net.fit(X, Y, verbose=0)
    for layer, words in (
        (dk.BatchNormalization(), "updates its statistics"),
        (dk.GaussianNoise(0.1), "changes the loss from step to step"),
        (dk.Dense(3, kernel_constraint="max_norm"), "has a constraint"),
    ):
        net = dk.Sequential([dk.Dense(5), layer, dk.Dense(2)], seed=3, backend=backend)
        net.compile("lbfgs", "mse")
        with pytest.raises(ConfigurationError, match=words):
            net.fit(X, Y, verbose=0)
    net = network(backend)
    net.build(4)
    with pytest.raises(ConfigurationError, match="takes no external gradients"):
        net.apply_gradients(net.get_gradients(X, Y)[1])
    before = net.evaluate(X, Y)["loss"]
    assert net.train_step(X, Y) < before
    net.compile("adam", "mse")
    net.fit(X, Y, verbose=0)
    net.inspect()


@pytest.mark.parametrize("rows", [4, 100])
def test_a_graph_of_several_outputs_is_one_function(backend: Backend, rows: int) -> None:
    program = two_inputs_two_outputs()
    values, (x, y) = initial(program), samples(program, 11)
    executable = built(backend, program, values)
    data = executable.load(x, y, backend.asarray(WEIGHTS[:11], "float64"))
    loss, gradient = executable.differentiate_all(data, executable.read_trained(), rows, lambda: True)
    expected = executable.gradients(data)
    assert loss == pytest.approx(expected.loss, rel=1e-12)
    for name, value in executable.name_trained(gradient).items():
        np.testing.assert_allclose(value, backend.to_numpy(expected.parameters[name]), rtol=1e-9, atol=1e-14)
