"""Workers: the same results however a step is divided and whoever runs it.

Every comparison with other divisions and with NumPy is in float64. Where the same division is compared with itself, by
other threads, under load, in pieces, every bit counts.
"""

import os
import statistics
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import dnnkit as dk
from dnnkit.backends.division import Division, roles
from dnnkit.backends.machine import processors
from dnnkit.callbacks import Callback
from dnnkit.errors import TrainingWarning
from tests.backends.dividing import (
    DIVIDED,
    DIVISIONS,
    LOCAL,
    busy,
    check_close,
    check_same,
    classes,
    classifier,
    dividing,
    numbers,
)
from tests.backends.networks import CASES, data

# The same results in every division


@pytest.mark.parametrize("name", CASES)
def test_the_case_networks_have_what_is_divided_by_units(name: str) -> None:
    net = CASES[name].network("numpy")
    net.build((4, 4))
    assert {"columns", "rows"} < set(roles(net.executable.program.stages, Division("units", 4)))


@pytest.mark.parametrize("name", CASES)
def test_every_network_trains_in_every_division_as_alone_and_as_by_numpy(name: str) -> None:
    x, labels = data()
    case = CASES[name]
    fits = {"batch_size": 32, "epochs": 2, "verbose": 0}  # the last batch has 26 rows
    by_numpy = case.network("numpy")
    expected = by_numpy.fit(x, case.targets(labels), **fits)
    for division in DIVISIONS:
        with dividing(division):
            net = case.network("numba")
            history = net.fit(x, case.targets(labels), **fits)
            assert history.plan.details["division"] == division
            check_close(net, by_numpy)
            for measured in ("loss", "accuracy"):
                assert history[measured] == pytest.approx(expected[measured], rel=1e-9), division
            assert net.predict(x) == pytest.approx(by_numpy.predict(x), rel=1e-8, abs=1e-10)
            assert net.evaluate(x, case.targets(labels)) == pytest.approx(by_numpy.evaluate(x, case.targets(labels)))


OPTIMIZERS = {
    "sgd": lambda clip: dk.SGD(0.01, weight_decay=0.01, global_clipnorm=clip),
    "momentum": lambda clip: dk.SGD(0.01, momentum=0.9, global_clipnorm=clip),
    "nesterov": lambda clip: dk.SGD(0.01, momentum=0.9, nesterov=True, global_clipnorm=clip),
    "rmsprop": lambda clip: dk.RMSprop(0.001, epsilon=1e-4, global_clipnorm=clip),
    "adam": lambda clip: dk.Adam(0.01, epsilon=1e-4, global_clipnorm=clip),
    "adamw": lambda clip: dk.AdamW(0.01, epsilon=1e-4, weight_decay=0.1, global_clipnorm=clip),
}
SMOOTH = ["linear", "tanh", "sigmoid", "softplus", "relu", "gelu"]


@dataclass(frozen=True)
class Task:
    """A network and how it is trained."""

    features: int
    layers: tuple[dk.Layer, ...]
    loss: str
    outputs: int
    optimizer: str
    clip: float | None
    weights: str
    samples: int
    batch_size: int
    seed: int

    def network(self, backend: str) -> dk.Sequential:
        net = dk.Sequential(self.layers, seed=self.seed, backend=backend, dtype="float64", num_threads=3)
        metrics = [] if self.loss.endswith("squared_error") and self.outputs > 1 else ["accuracy"]
        net.compile(optimizer=OPTIMIZERS[self.optimizer](self.clip), loss=self.loss, metrics=metrics)
        return net

    def data(self) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
        rng = np.random.default_rng(self.seed)
        x, y = rng.normal(size=(self.samples, self.features)), rng.normal(size=(self.samples, self.outputs))
        if self.loss.startswith("sparse"):
            y = rng.integers(0, self.outputs, self.samples)
        elif self.loss.endswith("crossentropy"):
            y = (y > 0).astype(np.float64)
        weights = {
            "none": None,
            "some": rng.uniform(0, 2, self.samples),
            "zeros": (rng.random(self.samples) < 0.3).astype(np.float64),
            "one": np.zeros(self.samples),
        }[self.weights]
        if weights is not None:
            weights[-1] = 0.5
        return x, y, weights


@st.composite
def tasks(draw: st.DrawFn) -> Task:
    features = draw(st.integers(1, 20))
    layers: list[dk.Layer] = []
    width = features
    others = st.sampled_from(
        [dk.Dropout(0.3), dk.Activation("tanh"), dk.Activation("softmax"), dk.Rescaling(0.5, 0.1), dk.Flatten()]
    )
    for _ in range(draw(st.integers(0, 5))):
        layers += draw(st.lists(others, max_size=1))
        width = draw(st.integers(1, 40))
        activation = draw(st.sampled_from(SMOOTH))
        layers.append(
            dk.Dense(width, activation=activation, use_bias=draw(st.booleans()), bias_initializer="random_normal")
        )
    layers += draw(st.lists(others, max_size=1))
    loss = draw(st.sampled_from(["sparse", "binary", "mean", "sum"]))
    if loss == "sparse":
        width = draw(st.integers(2, 6))
        layers.append(dk.Dense(width, activation="softmax"))
    elif loss == "binary":
        width = 1
        layers.append(dk.Dense(1, activation="sigmoid", use_bias=draw(st.booleans())))
    elif not layers or draw(st.booleans()):
        width = draw(st.integers(1, 40))
        layers.append(dk.Dense(width))
    names = {
        "sparse": "sparse_categorical_crossentropy",
        "binary": "binary_crossentropy",
        "mean": "mean_squared_error",
        "sum": "sum_squared_error",
    }
    return Task(
        features,
        tuple(layers),
        names[loss],
        width,
        draw(st.sampled_from(sorted(OPTIMIZERS))),
        0.3 if loss == "sum" else draw(st.sampled_from([None, 0.3])),
        draw(st.sampled_from(["none", "some", "zeros", "one"])),
        samples := draw(st.integers(1, 60)),
        draw(st.one_of(st.integers(1, 5), st.integers(1, samples + 5))),
        draw(st.integers(0, 1000)),
    )


PLAIN = Task(4, (dk.Dense(3),), "mean_squared_error", 3, "sgd", None, "none", 10, 4, 0)


@given(tasks(), st.sampled_from(DIVISIONS[1:]), st.booleans())
@example(PLAIN, "units/2", True)
@example(PLAIN, "rows/4", True)
@example(replace(PLAIN, layers=(dk.Dense(1), dk.Dense(1), dk.Dense(1)), outputs=1), "units/4", True)
@example(replace(PLAIN, layers=(dk.Flatten(),), outputs=4), "units/2", True)
@example(replace(PLAIN, layers=(dk.Activation("tanh"), dk.Dropout(0.5)), outputs=4), "rows/3", True)
@example(replace(PLAIN, samples=1, batch_size=1, optimizer="adam", clip=0.3), "rows/4", True)
@example(replace(PLAIN, samples=13, batch_size=4, weights="one"), "rows/4", True)
@settings(max_examples=120)
def test_networks_of_all_kinds_train_alike_in_every_division(task: Task, division: str, in_threads: bool) -> None:
    x, y, weights = task.data()
    nets, measured = [], []
    for backend, divided in (("numpy", "units/1"), ("numba", "units/1"), ("numba", division)):
        with dividing(divided, in_threads=in_threads):
            net = task.network(backend)
            history = net.fit(x, y, batch_size=task.batch_size, epochs=2, sample_weight=weights, verbose=0)
            loss, gradients = net.get_gradients(x, y, with_input=True, sample_weight=weights)
            measured.append((history, loss, gradients, net.predict(x), net.evaluate(x, y, sample_weight=weights)))
            nets.append(net)
    history, loss, gradients, predictions, evaluated = measured[2]
    assert history.plan.execution == "compiled epoch"
    assert history.plan.details["division"] == division
    for other, (expected, their_loss, their_gradients, predicted, found) in zip(nets[:2], measured[:2], strict=True):
        check_close(nets[2], other)
        for name, values in expected.history.items():
            assert history[name] == pytest.approx(values, rel=1e-8, abs=1e-9), name
        assert loss == pytest.approx(their_loss, rel=1e-8, abs=1e-9)
        assert gradients.keys() == their_gradients.keys()
        for name, gradient in gradients.items():
            np.testing.assert_allclose(gradient, their_gradients[name], rtol=1e-7, atol=1e-9, err_msg=name)
        np.testing.assert_allclose(predictions, predicted, rtol=1e-7, atol=1e-9)
        assert evaluated == pytest.approx(found, rel=1e-8, abs=1e-9)


def test_a_batch_of_many_thousand_rows_is_divided_as_any_other() -> None:
    x, labels, weights = classes(20_011)
    fits = {"batch_size": 20_000, "sample_weight": weights, "verbose": 0}
    by_numpy = classifier("numpy", num_threads=1)
    by_numpy.fit(x, labels, **fits)
    for division in ("units/2", "rows/2", "rows/4"):
        with dividing(division, in_threads=None):
            net = classifier()
            net.fit(x, labels, **fits)
        check_close(net, by_numpy)


@pytest.mark.parametrize("division", DIVISIONS)
def test_single_steps_with_few_rows_and_with_many_in_turn_are_those_of_numpy(division: str) -> None:
    x, labels, weights = classes()
    nets = [classifier("numpy"), classifier()]
    with dividing(division):
        for rows in (1, 3, 2, 64, 1, 5, 4, 128, 3):
            losses = [net.train_step(x[:rows], labels[:rows], weights[:rows]) for net in nets]
            assert losses[0] == pytest.approx(losses[1], rel=1e-9)
    check_close(*nets)


def test_in_float32_the_divisions_agree_within_its_rounding() -> None:
    x, labels, _ = classes()
    nets = []
    for division in DIVISIONS:
        with dividing(division):
            net = classifier(dtype="float32")
            net.fit(x, labels, epochs=2, verbose=0)
            nets.append(net)
    for net in nets[1:]:
        for name, value in nets[0].parameters.items():
            np.testing.assert_allclose(net.parameters[name], value, rtol=1e-3, atol=1e-3, err_msg=name)


# The same bits, whoever runs what


def run_alike(division: str, threads: int | None, dtype: str, in_threads: bool) -> tuple[dk.Sequential, list[float]]:
    x, labels, weights = classes()
    with dividing(division, in_threads=in_threads):
        net = classifier(dtype=dtype, num_threads=threads)
        history = net.fit(x, labels, batch_size=7, epochs=3, sample_weight=weights, verbose=0)
    return net, history["loss"] + history["accuracy"]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("division", [*DIVIDED, "units/4", "rows/4"])
def test_runs_are_the_same_bit_for_bit_with_any_number_of_threads(division: str, dtype: str) -> None:
    first, measured = run_alike(division, None, dtype, in_threads=False)
    for threads in (1, 2, 3, 8, 8, 8):
        again, measured_again = run_alike(division, threads, dtype, in_threads=True)
        check_same(first, again)
        assert measured == measured_again


@pytest.mark.parametrize("division", DIVIDED)
def test_runs_are_the_same_bit_for_bit_on_a_machine_that_is_busy(division: str) -> None:
    first, measured = run_alike(division, None, "float64", in_threads=False)
    with busy(2 * processors()):
        for threads in (2, 3):
            again, measured_again = run_alike(division, threads, "float64", in_threads=True)
            check_same(first, again)
            assert measured == measured_again


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="processors cannot be given up here")
@pytest.mark.parametrize("division", ["units/4", "rows/4"])
def test_runs_are_the_same_bit_for_bit_with_all_threads_on_one_processor(division: str) -> None:
    first, measured = run_alike(division, None, "float64", in_threads=False)
    before = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(before)})
        again, measured_again = run_alike(division, 8, "float64", in_threads=True)
    finally:
        os.sched_setaffinity(0, before)
    check_same(first, again)
    assert measured == measured_again


def test_predictions_and_measurements_do_not_depend_on_threads_beyond_rounding() -> None:
    x, labels, weights = classes(3000)
    net = classifier()
    found = []
    for in_threads in (False, True):
        with dividing("units/1", in_threads=in_threads):
            net.build(11) if not net.is_built else None
            found.append((net.predict(x, batch_size=100), net.evaluate(x, labels, sample_weight=weights)))
            np.testing.assert_array_equal(net.predict(x, batch_size=100), found[-1][0])
            assert net.evaluate(x, labels, sample_weight=weights) == found[-1][1]
    np.testing.assert_allclose(found[0][0], found[1][0], rtol=1e-12)
    assert found[0][1] == pytest.approx(found[1][1], rel=1e-12)


def test_networks_that_train_at_once_in_threads_of_the_user_do_not_disturb_each_other() -> None:
    x, labels, _ = classes()

    def train(net: dk.Sequential) -> None:
        net.fit(x, labels, batch_size=5, epochs=3, verbose=0)

    with dividing("units/2"):
        alone, others = classifier(), [classifier() for _ in range(3)]
        train(alone)
        threads = [threading.Thread(target=train, args=(net,)) for net in others]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    for net in others:
        check_same(alone, net)


# Under load


def test_a_busy_machine_costs_time_in_proportion() -> None:
    """Not how fast, which a busy machine decides; but threads that wait for others are slower by factors of 100."""
    x, labels, _ = classes(4000)
    ways = [("units/1", 1), ("units/2", 2), ("rows/2", 2), ("units/4", 8)]
    nets = {way: classifier(num_threads=way[1]) for way in ways}
    times: dict[tuple[str, int], list[float]] = {way: [] for way in ways}
    for way, net in nets.items():
        with dividing(way[0]):
            net.fit(x[:64], labels[:64], verbose=0)
    with busy(2 * processors()):
        for _ in range(5):
            for way, net in nets.items():
                with dividing(way[0]):
                    start = time.perf_counter()
                    net.fit(x, labels, batch_size=8, verbose=0)
                    times[way].append(time.perf_counter() - start)
    medians = {way: statistics.median(taken) for way, taken in times.items()}
    assert max(medians.values()) < 10 * medians["units/1", 1], medians


# Pieces, stops and what happens in between


def epoch_in_pieces(net: dk.Sequential, ends: list[int], between: Callable[[int], None] = lambda end: None) -> Any:
    """An epoch of 250 rows in 63 batches of 4, weighted, in stretches up to each end; its totals."""
    x, labels, weights = classes()
    executable = net.executable
    executable.begin_epoch(executable.load(x, labels, weights), np.random.default_rng(3).permutation(250), 4)
    position = 0
    for end in ends:
        hyperparameters = net.optimizer.hyperparameters(executable.state.step, end - position)
        assert executable.run_steps(position, end, hyperparameters) == end
        position = end
        between(end)
    return executable.totals()


def built(net: dk.Sequential) -> dk.Sequential:
    net.build(11)
    return net


@pytest.mark.parametrize("division", DIVISIONS)
def test_stretches_give_the_bits_of_one_call(division: str) -> None:
    whole, one_by_one, uneven = (built(classifier()) for _ in range(3))
    with dividing(division):
        totals = epoch_in_pieces(whole, [63])
        assert epoch_in_pieces(one_by_one, list(range(1, 64))) == totals
        assert epoch_in_pieces(uneven, [1, 2, 17, 18, 35, 35, 63]) == totals
    check_same(whole, one_by_one)
    check_same(whole, uneven)


@pytest.mark.parametrize("division", DIVISIONS)
def test_looking_at_the_network_between_stretches_changes_nothing(division: str) -> None:
    x, labels, _ = classes()
    whole, watched, by_numpy = built(classifier()), built(classifier()), built(classifier("numpy"))
    seen: list[tuple[Any, ...]] = []

    def look(net: dk.Sequential) -> Callable[[int], None]:
        def at(end: int) -> None:
            gradients = net.get_gradients(x[:40], labels[:40])
            parameters = {name: np.array(value) for name, value in net.parameters.items()}
            seen.append((gradients, net.evaluate(x, labels, batch_size=64), net.predict(x[:9]), parameters))

        return at

    with dividing(division):
        totals = epoch_in_pieces(whole, [63])
        assert epoch_in_pieces(watched, [1, 2, 20, 63], look(watched)) == totals
        epoch_in_pieces(by_numpy, [1, 2, 20, 63], look(by_numpy))
    check_same(whole, watched)
    for ours, theirs in zip(seen[:4], seen[4:], strict=True):
        assert ours[0][0] == pytest.approx(theirs[0][0], rel=1e-8)
        for name, gradient in ours[0][1].items():
            np.testing.assert_allclose(gradient, theirs[0][1][name], rtol=1e-7, atol=1e-10, err_msg=name)
        assert ours[1] == pytest.approx(theirs[1], rel=1e-8)
        np.testing.assert_allclose(ours[2], theirs[2], rtol=1e-8, atol=1e-12)
        for name, value in ours[3].items():
            np.testing.assert_allclose(value, theirs[3][name], rtol=1e-8, atol=1e-10, err_msg=name)


@pytest.mark.parametrize("optimizer", sorted(OPTIMIZERS))
@pytest.mark.parametrize("division", DIVISIONS)
def test_assigning_a_parameter_what_it_is_already_changes_no_bit_of_what_follows(division: str, optimizer: str) -> None:
    """Workers take over the numbers anew: what several of them hold was the same for all of them before."""
    nets = [built(classifier()), built(classifier())]
    for net in nets:
        net.compile(optimizer=OPTIMIZERS[optimizer](0.5), loss="sparse_categorical_crossentropy")

    def assign(end: int) -> None:
        nets[1].parameters["dense/kernel"] = nets[1].parameters["dense/kernel"]

    with dividing(division):
        totals = epoch_in_pieces(nets[0], [63])
        assert epoch_in_pieces(nets[1], [1, 5, 20, 63], assign) == totals
    check_same(*nets)


@pytest.mark.parametrize("division", DIVISIONS)
def test_what_is_assigned_between_stretches_is_trained_on(division: str) -> None:
    nets = [built(classifier()), built(classifier("numpy"))]

    def assign(net: dk.Sequential) -> Callable[[int], None]:
        def at(end: int) -> None:
            net.parameters["dense/kernel"] = np.linspace(-1, 1, 11 * 23).reshape(11, 23) / end
            if end > 2:
                net.parameters["dense_3/bias"] = np.arange(5.0)

        return at

    with dividing(division):
        for net in nets:
            epoch_in_pieces(net, [1, 2, 20, 63], assign(net))
    np.testing.assert_array_equal(nets[0].parameters["dense_3/bias"], np.arange(5.0))
    check_close(*nets)


@pytest.mark.parametrize("division", DIVISIONS)
def test_updates_with_gradients_of_the_user_and_steps_take_turns(division: str) -> None:
    x, labels, _ = classes()
    nets = [built(classifier()), built(classifier("numpy"))]
    with dividing(division):
        for net in nets:
            for _ in range(4):
                net.train_step(x, labels)
                _, gradients = net.get_gradients(x[:30], labels[:30])
                net.executable.update(gradients, net.optimizer.hyperparameters(net.executable.state.step, 1))
    check_close(*nets)


def test_batch_sizes_and_divisions_may_change_all_through_a_networks_life() -> None:
    x, labels, weights = classes()
    nets = [classifier("numpy"), classifier()]
    turns = [
        ("units/2", 32), ("units/3", 32), ("units/3", 7), ("rows/2", 7), ("units/1", 250), ("rows/4", 3),
        ("units/2", 32), ("units/2", 1), ("rows/3", 64), ("units/4", 64), ("units/16", 11), ("units/2", 32),
        ("rows/2", 32), ("units/2", 32), ("units/1", 32), ("units/2", 32), ("rows/4", 1),
    ]  # fmt: skip
    for division, batch_size in turns:
        with dividing(division):
            for net in nets:
                net.fit(x, labels, batch_size=batch_size, sample_weight=weights, verbose=0)
                net.evaluate(x, labels, batch_size=batch_size)
            assert nets[1].executable.plan.details["division"] == division
            check_close(*nets)


@pytest.mark.parametrize("division", DIVISIONS)
def test_a_request_to_stop_ends_a_run_between_two_steps_and_the_rest_goes_on(division: str) -> None:
    x, labels, _ = classes(20_000)
    order = np.random.default_rng(0).permutation(20_000)
    nets = [built(classifier(num_threads=3)) for _ in range(2)]
    with dividing(division):
        for net in nets:
            net.executable.begin_epoch(net.executable.load(x, labels, None), order, 2)
        whole, stopped = (net.executable for net in nets)
        whole.run_steps(0, 10_000, nets[0].optimizer.hyperparameters(0, 10_000))
        position, ends = 0, []
        while position < 10_000:
            if len(ends) < 3:
                timer = threading.Timer(0.01, stopped.request_stop)
                timer.start()
            position = stopped.run_steps(
                position, 10_000, nets[1].optimizer.hyperparameters(stopped.state.step, 10_000 - position)
            )
            timer.join()
            ends.append(position)
            assert stopped.state.step == position
    assert len(ends) > 1
    assert ends == sorted(ends)
    assert whole.totals() == stopped.totals()
    check_same(*nets)


@pytest.mark.parametrize("division", LOCAL)
@pytest.mark.parametrize("backend", ["numba", "numpy"])
def test_a_request_to_stop_does_not_outlive_its_epoch(backend: str, division: str) -> None:
    x, labels, _ = classes()
    net = classifier(backend)
    with dividing(division):
        net.fit(x, labels, verbose=0)
        net.executable.request_stop()  # as Ctrl-C does, here after the epoch's last step
        net.fit(x, labels, verbose=0)
    assert net.executable.state.step == 16


# Other backends, saves, resuming


@pytest.mark.parametrize("division", DIVISIONS)
def test_a_network_moves_to_numpy_and_back_with_all_its_numbers(division: str) -> None:
    x, labels, _ = classes()
    moving, by_numpy = classifier(), classifier("numpy")
    with dividing(division):
        for backend in ("numba", "numpy", "numba"):
            before = numbers(moving) if moving.is_built else {}
            moving.to(backend)
            for name, value in before.items():
                np.testing.assert_array_equal(numbers(moving)[name], value)
            for net in (moving, by_numpy):
                net.fit(x, labels, batch_size=30, verbose=0)
    check_close(moving, by_numpy)


@pytest.mark.parametrize("division", DIVIDED)
def test_a_saved_network_trains_on_bit_for_bit_in_the_division_that_was_recorded(division: str, tmp_path: Path) -> None:
    x, labels, weights = classes()
    fits = {"batch_size": 30, "sample_weight": weights, "verbose": 0}
    net, other = classifier(num_threads=1), classifier(num_threads=1)  # one thread: alone, if it were to be chosen
    assert other.fit(x, labels, **fits).plan.details["division"] == "units/1"
    with dividing(division):
        net.fit(x, labels, **fits)
    net.save(tmp_path / "run")
    loaded = dk.load(tmp_path / "run", backend="numba")
    assert loaded.executable.state == net.executable.state
    assert division in loaded.executable.state.execution
    with dividing(division):
        whole = net.fit(x, labels, epochs=2, **fits)
    resumed = loaded.fit(x, labels, epochs=2, **fits)
    assert resumed.plan.details["division"] == division
    check_same(net, loaded)
    assert resumed["loss"] == whole["loss"]
    # With another batch size there is nothing to repeat.
    assert loaded.fit(x, labels, batch_size=25, verbose=0).plan.details["division"] == "units/1"


@pytest.mark.parametrize("division", DIVIDED)
def test_an_interrupted_epoch_that_was_saved_goes_on_bit_for_bit(division: str, tmp_path: Path) -> None:
    x, labels, _ = classes()
    whole, net = classifier(), classifier()
    with dividing(division):
        whole.fit(x, labels, batch_size=7, epochs=2, verbose=0)
        net.build(11)
        executable = net.executable
        net.fit(x, labels, batch_size=7, verbose=0)

        class Interrupt(Callback):
            def on_batch_end(self, batch: int, logs: Any) -> None:
                if batch == 19:
                    raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            net.fit(x, labels, batch_size=7, callbacks=Interrupt(), verbose=0)
        assert (executable.state.step, executable.state.position) == (56, 20)
        net.save(tmp_path / "run")
    loaded = dk.load(tmp_path / "run", backend="numba")
    loaded.fit(x, labels, batch_size=7, verbose=0)
    check_same(whole, loaded)


@pytest.mark.parametrize("division", DIVISIONS)
def test_the_history_and_the_save_say_how_the_work_was_divided(division: str, tmp_path: Path) -> None:
    x, labels, _ = classes()
    net = classifier()
    with dividing(division):
        history = net.fit(x, labels, verbose=0)
    assert history.plan.details["division"] == division
    assert net.history.plan.details["division"] == division
    net.save(tmp_path / "run")
    assert dk.load(tmp_path / "run").history.plan.details["division"] == division


def test_without_a_wish_the_division_is_chosen_said_and_kept() -> None:
    x, labels, _ = classes()
    net, again = classifier(), classifier()
    histories = [each.fit(x, labels, epochs=3, verbose=0) for each in (net, again)]
    chosen = histories[0].plan.details["division"]
    assert chosen in {f"{by}/{count}" for by in ("units", "rows") for count in range(1, processors() + 1)}
    assert histories[1].plan.details["division"] == chosen
    check_same(net, again)


# Numbers that are lost


@pytest.mark.parametrize("backend", ["numba", "numpy"])
@pytest.mark.parametrize("division", DIVISIONS)
def test_the_first_step_whose_loss_is_no_number_is_found(division: str, backend: str) -> None:
    """One row among the last of step 6 is too large to be computed with: inf - inf."""
    net = dk.Sequential([dk.Dense(4), dk.Dense(1)], seed=0, backend=backend, dtype="float64", num_threads=3)
    net.compile(optimizer=dk.SGD(1e-9), loss="mean_squared_error")
    net.build(1)
    net.parameters["dense/kernel"] = np.array([[10.0, -10.0, 10.0, -10.0]])
    net.parameters["dense_1/kernel"] = np.ones((4, 1))
    x = np.full((95, 1), 0.1)
    x[57] = 1e308
    with dividing(division), pytest.warns(TrainingWarning, match="not a number since epoch 1, step 6:"):
        net.fit(x, np.ones((95, 1)), batch_size=10, shuffle=False, verbose=0)
    pieces = dk.Sequential(net.layers, seed=0, backend=backend, dtype="float64")
    pieces.compile(optimizer=dk.SGD(1e-9), loss="mean_squared_error")
    pieces.build(1)
    pieces.parameters["dense/kernel"] = np.array([[10.0, -10.0, 10.0, -10.0]])
    pieces.parameters["dense_1/kernel"] = np.ones((4, 1))
    executable = pieces.executable
    with dividing(division):
        executable.begin_epoch(executable.load(x, np.ones((95, 1)), None), np.arange(95), 10)
        for first, last in ((0, 4), (4, 8), (8, 10)):
            executable.run_steps(first, last, pieces.optimizer.hyperparameters(first, last - first))
    assert executable.totals().nan_step == 5
