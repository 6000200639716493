"""Any number of threads may call anything on one network (dnnkit/network/turns.py)."""

import os
import threading
from contextlib import nullcontext
from typing import Any

import numpy as np
import pytest

import dnnkit as dk
from benchmarks.threads import calls
from benchmarks.threads.server import serve
from dnnkit.backends import Backend
from dnnkit.errors import ConcurrentUse
from dnnkit.network import turns
from tests import conftest
from tests.cuda_on_cpu.cupy_stand_in import in_place_of_cupy
from tests.threads import together

MARKS = {"cupy": [pytest.mark.cuda_on_cpu]}
REAL = [name for name in conftest.tested_backends() if name != conftest.STRICT]
ROWS = (1, 3, 64, 65, 300)

rng = np.random.default_rng(0)
X = rng.normal(size=(300, 12)).astype(np.float32)
Y = rng.integers(0, 5, 300)


def network(backend: str, **options: Any) -> dk.Sequential:
    net = dk.Sequential(
        [dk.Dense(24, activation="tanh"), dk.Dropout(0.2), dk.Dense(5, activation="softmax")],
        seed=1,
        backend=backend,
        **options,
    )
    net.compile("adam", "sparse_categorical_crossentropy", ["accuracy"])
    net.build(12)
    return net


def same(net: dk.Sequential, other: dk.Sequential) -> bool:
    mine, theirs = net.executable.snapshot(), other.executable.snapshot()
    return mine.state == theirs.state and all(
        np.array_equal(value, theirs.parameters[name]) for name, value in mine.parameters.items()
    )


@pytest.mark.parametrize("name", REAL)
def test_many_readers_get_the_results_of_one(name: str) -> None:
    net = network(name)
    net.fit(X, Y, verbose=0)
    expected, measured = {rows: net.predict(X[:rows]) for rows in ROWS}, net.evaluate(X, Y)
    kernel = net.parameters["dense/kernel"]

    def read(seed: int) -> None:
        draw = np.random.default_rng(seed)
        for _ in range(120):
            match draw.integers(4):
                case 0:
                    assert net.evaluate(X, Y) == measured
                case 1:
                    np.testing.assert_array_equal(net.parameters["dense/kernel"], kernel)
                case _:
                    rows = int(draw.choice(ROWS))
                    np.testing.assert_array_equal(net.predict(X[:rows]), expected[rows])

    assert together(*(lambda seed=seed: read(seed) for seed in range(8))) == []


@pytest.mark.parametrize("partition", ["units/2", "rows/2", "units/1"])
@pytest.mark.parametrize("name", REAL)
def test_a_fit_that_is_watched_ends_as_one_that_is_not(
    name: str, partition: str, monkeypatch: pytest.MonkeyPatch, tmp_path
) -> None:
    """F1: a reader must neither delay the parameters of the fit's last steps nor write where it writes."""
    if partition != "units/1" and name != "numba":
        pytest.skip("only Numba divides its work")
    monkeypatch.setenv("DNNKIT_PARTITION", partition)
    alone, watched = network(name), network(name)
    alone.fit(X, Y, epochs=60, batch_size=16, verbose=0)
    over = threading.Event()

    def fit() -> None:
        try:
            watched.fit(X, Y, epochs=60, batch_size=16, verbose=0)
        finally:
            over.set()

    def watch() -> None:
        while not over.is_set():
            predictions = watched.predict(X)
            assert np.isfinite(predictions).all()
            watched.evaluate(X, Y)
            watched.parameters["dense/kernel"]
            watched.get_gradients(X[:10], Y[:10])
            watched.save_weights(tmp_path / "weights")

    assert together(fit, watch) == []
    assert same(watched, alone)
    assert watched.history["loss"] == alone.history["loss"]


@pytest.mark.filterwarnings("ignore:constant inputs:dnnkit.errors.TrainingWarning")
@pytest.mark.parametrize("name", REAL)
def test_during_a_fit_parameters_are_of_a_whole_step(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With one kernel of zeros and a loss of its mean, every step moves all by the same: half a step would show."""
    monkeypatch.setattr(turns, "FRESH", 0)  # every read waits for a step to end
    net = dk.Sequential([dk.Dense(512, use_bias=False, kernel_initializer="zeros")], seed=0, backend=name)
    net.compile(dk.SGD(1e-2), "mean_squared_error")
    x, y = np.ones((512, 32), np.float32), np.ones((512, 512), np.float32)
    net.build(32)
    over, seen, ends = threading.Event(), set(), {0.0}

    def fit() -> None:
        try:
            while len(seen - ends) < 20 and not over.is_set():  # however late the other threads get a processor
                net.fit(x, y, epochs=30, batch_size=8, verbose=0)
                ends.add(float(net.parameters["dense/kernel"][0, 0]))
                np.negative(y, out=y)
        finally:
            over.set()

    def watch() -> None:
        try:
            while not over.is_set():
                kernel = net.parameters["dense/kernel"]
                np.testing.assert_allclose(kernel, kernel[0, 0], rtol=1e-5, atol=1e-7)  # BLAS rounds each its own way
                predictions = net.predict(x[:200])
                np.testing.assert_allclose(predictions, predictions[0, 0], rtol=1e-5, atol=3e-6)
                seen.add(float(kernel[0, 0]))
        finally:
            over.set()

    assert together(fit, watch, watch) == []
    assert len(seen - ends) >= 20


@pytest.mark.parametrize("name", REAL)
def test_before_a_long_step_parameters_are_copied_for_readers_only(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "LONG", 0)
    net, copies = network(name), []
    copy = type(net.executable).copy_parameters
    monkeypatch.setattr(type(net.executable), "copy_parameters", lambda self: copies.append(1) or copy(self))
    net.fit(X, Y, batch_size=16, epochs=2, verbose=0)
    assert not copies

    class Read(dk.callbacks.Callback):
        def on_epoch_end(self, epoch: int, logs: Any) -> None:
            assert together(lambda: net.predict(X)) == []

    history = net.fit(X, Y, batch_size=16, epochs=2, callbacks=Read(), verbose=0)
    expected = 2 + -(-len(X) // 16)  # for each reader, and before each step of the second epoch
    assert len(copies) == expected
    net.fit(X, Y, batch_size=16, verbose=0)
    assert len(copies) == expected
    assert np.isfinite(history["loss"]).all()


@pytest.mark.parametrize("name", REAL)
def test_readers_see_fresh_parameters(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A copy is shared for a tenth of a second; a thread sees its own assignments at once."""
    now, net, known = 0.0, network(name), []
    monkeypatch.setattr(turns, "monotonic", lambda: now)
    stepped, go_on = threading.Semaphore(0), threading.Semaphore(0)

    class Wait(dk.callbacks.Callback):
        def on_batch_end(self, step: int, logs: Any) -> None:
            known.append(net.executable.snapshot().parameters["dense/kernel"])
            stepped.release()
            assert go_on.acquire(timeout=300)

    def step() -> None:
        go_on.release()
        assert stepped.acquire(timeout=300)

    def sees(count: int) -> None:
        """The parameters after this many steps, by either path."""
        np.testing.assert_array_equal(net.parameters["dense/kernel"], known[count - 1])
        predictions.setdefault(count, net.predict(X))
        np.testing.assert_array_equal(net.predict(X), predictions[count])

    predictions: dict[int, Any] = {}

    def watch() -> None:
        nonlocal now
        try:
            assert stepped.acquire(timeout=300)
            sees(1)
            step()
            now += 0.99 * turns.FRESH
            sees(1)
            step()
            now += 0.01 * turns.FRESH
            sees(3)
            assert not np.array_equal(predictions[1], predictions[3])
            step()
            net.parameters["dense_1/bias"] = np.full(5, 3)
            np.testing.assert_array_equal(net.parameters["dense_1/bias"], np.full(5, 3))
            sees(4)
        finally:
            go_on.release(1000)

    assert together(lambda: net.fit(X, Y, batch_size=16, callbacks=Wait(), verbose=0), watch) == []
    assert turns.FRESH == 0.1


@pytest.mark.parametrize("name", REAL)
def test_another_fit_and_all_that_rebuilds_is_one_clear_error(name: str) -> None:
    net = network(name)
    started, over = threading.Event(), threading.Event()

    class Wait(dk.callbacks.Callback):
        def on_batch_end(self, step: int, logs: Any) -> None:
            started.set()
            over.wait(300)

    def others() -> None:
        try:
            assert started.wait(300)
            fits = {
                "fit": lambda: net.fit(X, Y, verbose=0),
                "compile": lambda: net.compile("sgd", "sparse_categorical_crossentropy"),
                "to": lambda: net.to(name),
            }
            for what, call in fits.items():
                with pytest.raises(ConcurrentUse, match=f"^{what}: a fit of this network is running, in thread"):
                    call()
        finally:
            over.set()

    assert together(lambda: net.fit(X, Y, callbacks=Wait(), verbose=0), others) == []
    net.compile("sgd", "sparse_categorical_crossentropy")  # once it is over
    net.fit(X, Y, verbose=0)


def test_a_fit_within_a_fit_is_one_clear_error(backend: Backend) -> None:
    """F18: it trained on the wrong data; `compile` and `to` there ended in other errors, or in none."""
    net = network(backend.name if backend.name in REAL else conftest.STRICT)
    said = []

    class Fit(dk.callbacks.Callback):
        def on_batch_end(self, step: int, logs: Any) -> None:
            for call in (
                lambda: net.fit(X, Y, verbose=0),
                lambda: net.compile("sgd", "sparse_categorical_crossentropy"),
                lambda: net.to("numpy"),
            ):
                with pytest.raises(ConcurrentUse, match="within it, by a callback") as caught:
                    call()
                said.append(caught.value)

    net.fit(X[:64], Y[:64], callbacks=Fit(), verbose=0)
    assert len(said) == 6


def test_a_step_between_two_of_a_fit_is_a_step(backend: Backend) -> None:
    """From a callback, on other data: the fit continues with its own."""
    name = backend.name if backend.name in REAL else conftest.STRICT
    nets = [network(name) for _ in range(2)]

    class Step(dk.callbacks.Callback):
        def on_batch_end(self, step: int, logs: Any) -> None:
            nets[0].train_step(X[200:], Y[200:])

    history = nets[0].fit(X[:96], Y[:96], shuffle=False, callbacks=Step(), verbose=0)
    losses = []
    for first in (0, 32, 64):
        losses.append(nets[1].train_step(X[first : first + 32], Y[first : first + 32]))
        nets[1].train_step(X[200:], Y[200:])
    assert history["loss"][0] == pytest.approx(np.mean(losses), rel=1e-5)
    for parameter, value in nets[0].parameters.items():
        np.testing.assert_allclose(nets[1].parameters[parameter], value, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", REAL)
def test_steps_of_many_threads_are_as_many_steps(name: str) -> None:
    net = network(name)
    rows = [slice(0, 20), slice(50, 70), slice(100, 130), slice(200, 210)]

    def steps(part: slice) -> None:
        for _ in range(30):
            assert np.isfinite(net.train_step(X[part], Y[part]))
            net.set_parameters({"dense/bias": np.zeros(24)})

    assert together(*(lambda part=part: steps(part) for part in rows)) == []
    assert net.executable.state.step == 4 * 30


def test_a_network_that_two_threads_build_is_built_once(backend: Backend) -> None:
    for _ in range(5):
        net = dk.Sequential([dk.Dense(3)], seed=0, backend=backend if backend.name not in REAL else backend.name)
        found: list[np.ndarray] = []
        assert together(*[lambda net=net, found=found: found.append(net.predict(X))] * 4) == []
        assert all(np.array_equal(found[0], other) for other in found)


STRESS = {"numpy": 600, "numba": 2000, "cupy": 40}
"""Calls of each workload; the command `python -m benchmarks.threads` makes many more."""


WORKS = (calls.readers, calls.beside_assignments, calls.beside_fit)


@pytest.mark.parametrize(
    ("name", "work"),
    [
        pytest.param(
            name,
            work,
            id=f"{name}-{work.__name__}",
            # On the stand-in, readers alone take as long as readers next to a thread that assigns.
            marks=[*MARKS.get(name, ()), *[pytest.mark.slow] * (name == "cupy" and work is calls.readers)],
        )
        for name in STRESS
        for work in WORKS
    ],
)
def test_under_stress_nothing_is_wrong(name: str, work: Any) -> None:
    if name == "numba" and name not in REAL:
        pytest.skip("there is no Numba")
    fewer = {"epochs": 1} if name == "cupy" and work is calls.beside_fit else {}  # each step is compared with it
    with in_place_of_cupy() if name == "cupy" else nullcontext():
        outcome = work(name, 8, STRESS[name], **fewer)
    assert outcome.calls >= STRESS[name] - 8
    assert outcome.wrong == 0


@pytest.mark.parametrize("name", REAL)
def test_a_threaded_server_gives_each_client_its_own_answer(name: str) -> None:
    outcome = serve(name, 8, 800)
    assert (outcome.calls, outcome.wrong) == (800, 0)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
@pytest.mark.filterwarnings("ignore:This process.*multi-threaded:DeprecationWarning")
@pytest.mark.parametrize("name", [name for name in REAL if name != "cupy"])
def test_a_child_of_a_fork_waits_for_no_thread_of_its_parent(name: str) -> None:
    net = network(name)
    net.fit(X, Y, verbose=0)  # while a thread imports or compiles, Python and Numba hold locks of their own
    net.predict(X[:3])
    over = threading.Event()

    class Fork(dk.callbacks.Callback):
        def on_epoch_end(self, epoch: int, logs: Any) -> None:
            over.set() if epoch >= 20 else None

    def fit() -> None:
        net.fit(X, Y, epochs=21, callbacks=Fork(), verbose=0)

    def forks() -> None:
        while not over.is_set():
            child = os.fork()
            if child == 0:
                os._exit(0 if np.isfinite(net.predict(X[:3])).all() else 1)
            assert os.waitpid(child, 0)[1] == 0

    assert together(fit, forks) == []
