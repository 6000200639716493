"""What the Numba backend adds: the compiled epoch for every network, one compilation for all, and honest fallbacks."""

import os
import signal
import sys
import threading
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest

import dnnkit as dk
from dnnkit.backends import get_backend
from dnnkit.backends.numba_backend.backend import NumbaBackend
from dnnkit.backends.numba_backend.executable import NumbaExecutable
from dnnkit.backends.numba_backend.few_rows import FewRows
from dnnkit.errors import TrainingWarning
from dnnkit.kernels._native import functions
from tests import processes
from tests.backends.networks import CASES, data
from tests.backends.numba_backend.partitions import threads_ended


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", CASES)
def test_the_compiled_epoch_runs_every_network_and_says_so(name: str, dtype: str) -> None:
    x, labels = data()
    net = CASES[name].network("numba", dtype)
    history = net.fit(x, CASES[name].targets(labels), verbose=0)
    assert isinstance(net.executable, NumbaExecutable)
    assert (history.plan.execution, history.plan.reason) == ("compiled epoch", None)


def test_one_compilation_serves_all_networks_and_all_data() -> None:
    """Depths, widths, losses, optimizers, data of any dtype and flag: no second signature in the same dtype."""
    x, labels = data()
    frozen = x.copy()
    frozen.flags.writeable = False
    compiled = []
    for samples in (x, x.astype(np.float64), frozen, x[:, ::-1], x.astype(np.int64), np.asfortranarray(x)):
        for name, case in CASES.items():
            net = case.network("numba", "float32")
            weights = np.ones(len(x)) if "adam" in name else None
            net.fit(samples, case.targets(labels), sample_weight=weights, validation_split=0.1, verbose=0)
            net.predict(samples)
        compiled.append(len(functions._addresses))
    assert compiled[1:] == compiled[1:2] * 5, "nothing more after bytes and numbers"


def test_read_only_data_are_used_where_they_are() -> None:
    x = np.frombuffer(np.random.default_rng(0).bytes(4000 * 16), np.uint8).reshape(4000, 16)
    net = dk.Sequential([dk.Dense(4)], seed=0, backend="numba")
    net.build(16)
    loaded = net.executable.load(x, None, None)
    assert np.shares_memory(loaded.x, x)
    assert net.predict(x).shape == (4000, 4)


def test_predictions_of_few_rows_have_separate_buffers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two threads within a microsecond of each other, here one nested in the other."""
    net = dk.Sequential([dk.Dense(4)], seed=0, backend="numba")
    net.build(3)
    x = np.ones((2, 3), np.float32)
    net.predict(x)
    predict, used = FewRows.predict, []

    def watched(few: FewRows, *arguments: Any) -> Any:
        used.append(few)
        if len(used) == 1:
            net.executable.predict_few(x)
        return predict(few, *arguments)

    monkeypatch.setattr(FewRows, "predict", watched)
    net.predict(x)
    assert used[0] is not used[1]
    assert used[0]._run != used[1]._run


def test_a_custom_optimizer_runs_stage_by_stage() -> None:
    @dataclass
    class Own(dk.optimizers.Optimizer):
        learning_rate: float = 0.1
        global_clipnorm: float | None = None
        slots = ()

        @staticmethod
        def update(step, parameter, gradient, learning_rate, xp):
            return (parameter - learning_rate * gradient,)

    x, labels = data()
    case = CASES["relu sigmoid tanh, softmax, sparse, adam"]
    histories = []
    for optimizer in (dk.SGD(0.1), Own()):
        net = replace(case, optimizer=optimizer).network("numba")
        histories.append(net.fit(x, labels, epochs=3, verbose=0))
    assert "optimizer" in (histories[1].plan.reason or "")
    assert "Own" in (histories[1].plan.reason or "")
    assert (histories[1].plan.backend, histories[1].plan.execution) == ("numba", "stage by stage")
    assert histories[0]["loss"] == pytest.approx(histories[1]["loss"], rel=1e-9)


def test_a_nan_is_seen_in_compiled_training_with_its_step() -> None:
    x = np.random.default_rng(0).normal(size=(40, 2))
    net = dk.Sequential([dk.Dense(4, activation="relu"), dk.Dense(1)], seed=0, backend="numba")
    net.compile(optimizer=dk.SGD(1e20), loss="mean_squared_error")
    with pytest.warns(TrainingWarning, match=r"the loss has been NaN since epoch 1, step [2-4]:"):
        net.fit(x, np.ones((40, 1)), batch_size=10, verbose=0)


def test_num_threads_reaches_the_blas_that_compiled_code_uses() -> None:
    from threadpoolctl import threadpool_info

    net = dk.Sequential([dk.Dense(4)], seed=0, backend="numba", num_threads=1)
    net.build(3)
    with net.backend.thread_limit(net.executable.program, 10):
        pools = [pool for pool in threadpool_info() if pool["user_api"] == "blas"]
    assert any("scipy" in pool["filepath"] for pool in pools)
    assert {pool["num_threads"] for pool in pools} == {1}


def test_ctrl_c_is_heard_while_an_epoch_runs() -> None:
    """A stop request from the signal handler ends the compiled call between two steps, long before the epoch's end."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(200_000, 200)).astype(np.float32), rng.integers(0, 10, 200_000)
    net = dk.Sequential([dk.Dense(64, activation="relu"), dk.Dense(10, activation="softmax")], seed=0, backend="numba")
    net.compile(optimizer="adam", loss="sparse_categorical_crossentropy")
    net.fit(x[:100], y[:100], verbose=0)
    steps = net.executable.state.step
    timer = threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT))

    class StartTimer(dk.callbacks.Callback):
        """Starts the timer when training begins: on a busy machine everything before may take longer than the timer."""

        def on_epoch_begin(self, epoch: int, logs: Any) -> None:
            if epoch == 0:
                timer.start()

    with pytest.raises(KeyboardInterrupt):
        net.fit(x, y, batch_size=2, epochs=50, callbacks=StartTimer(), verbose=0)
    timer.join()
    state = net.executable.state
    done = state.step - steps
    assert 0 < done < 50 * 100_000
    assert state.position == done % 100_000


SMALL_TRAINING = """
import numpy as np
import dnnkit as dk

net = dk.Sequential([dk.Dense(8, activation="relu"), dk.Dense(3, activation="softmax")], seed=0, backend="numba")
net.compile(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
net.fit(np.ones((20, 4), np.uint8), np.arange(20) % 3, verbose=0)
"""


def test_a_second_process_compiles_nothing() -> None:
    """The first of them is this one."""
    exec(SMALL_TRAINING)
    spy = """
from dnnkit.kernels._native import functions, machine_code
machine_code.compile_bitcode = None
"""
    report = "print(len(functions._addresses))"
    result = processes.run([sys.executable, "-c", spy + SMALL_TRAINING + report])
    assert int(result.stdout) > 10, result.stderr
    assert "compiling" not in result.stderr


def test_compiling_is_no_part_of_the_first_epoch() -> None:
    x, labels = data()
    case = next(iter(CASES.values()))
    net = case.network("numba")
    net.build(x.shape[1:])
    net.executable.load(x, case.targets(labels), None)
    assert net.executable.state.step == 0
    untouched = case.network("numba")
    untouched.build(x.shape[1:])
    np.testing.assert_equal(dict(net.parameters), dict(untouched.parameters))
    compiled = []

    class Count(dk.callbacks.Callback):
        def on_epoch_begin(self, *_):
            compiled.append(len(functions._addresses))

        on_epoch_end = on_epoch_begin

    net.fit(x, case.targets(labels), verbose=0, callbacks=[Count()])
    assert compiled[0] == compiled[1] > 10


def test_missing_packages_are_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NUMBA_DISABLE_JIT", "1")
    assert "NUMBA_DISABLE_JIT" in (NumbaBackend.unavailable_reason() or "")
    with pytest.raises(dk.errors.BackendUnavailable, match="NUMBA_DISABLE_JIT is set"):
        get_backend("numba")
    assert get_backend("auto").name == "numpy"


def test_auto_takes_numba() -> None:
    assert get_backend("auto").name == "numba"


def test_threads_end_with_the_run() -> None:
    x, labels = data()
    case = next(iter(CASES.values()))
    net = case.network("numba")
    net.fit(np.repeat(x, 50, axis=0), np.repeat(labels, 50), batch_size=2, verbose=0)
    assert threads_ended()
