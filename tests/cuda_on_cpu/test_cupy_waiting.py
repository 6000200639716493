"""When the CuPy backend compiles, when the host waits for the GPU, and what streams wait for, on the stand-in."""

import functools
import os
import threading
from dataclasses import replace
from itertools import pairwise
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import dnnkit as dk
from dnnkit.backends import get_backend
from dnnkit.backends.cupy_backend import executable as cupy_executable
from dnnkit.backends.cupy_backend import step_operations
from dnnkit.kernels import registry
from dnnkit.kernels._cuda import launch
from tests.backends.networks import CASES, data
from tests.cuda_on_cpu.cupy_networks import ADAM, parameters, ready, steps
from tests.cuda_on_cpu.cupy_stand_in import counts

pytestmark = pytest.mark.cuda_on_cpu


@pytest.mark.parametrize(("together", "waits"), [(64 << 20, 1), (4 * 10 * 10 * 4, 3), (1, 9)])
def test_predictions_are_waited_for_once(
    cupy: ModuleType, monkeypatch: pytest.MonkeyPatch, together: int, waits: int
) -> None:
    """However many batches there are, up to 64 MiB of predictions."""
    monkeypatch.setattr(cupy_executable, "PREDICTIONS", together)
    net, loaded = ready(ADAM)
    expected = ADAM.network("numpy", "float32").predict(data()[0])
    for batch_size in (10, 90, 1000):
        counts.reset()
        found = net.executable.predict(loaded, batch_size)
        assert counts.waits == (waits if batch_size == 10 else 1)
        np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.fixture
def _nothing_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("_kernel", "_module"):
        monkeypatch.setattr(launch, name, functools.cache(getattr(launch, name).__wrapped__))


@pytest.mark.usefixtures("_nothing_compiled")
@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("weighted", [True, False])
def test_everything_is_compiled_before_the_first_epoch(cupy: ModuleType, name: str, weighted: bool) -> None:
    net, loaded = ready(CASES[name], weights=np.linspace(0.5, 1.5, 90) if weighted else None)
    executable, before, state = net.executable, parameters(net), replace(net.executable.state)
    hyperparameters = net.optimizer.hyperparameters(0, 1)
    executable.prepare(loaded, 30, hyperparameters, loaded)
    assert counts.products  # so cuBLAS is initialized
    assert parameters(net) == before
    assert executable.state == state
    compiled, launches = launch._kernel.cache_info().misses, counts.launches.copy()
    assert compiled
    executable.prepare(loaded, 30, hyperparameters, loaded)
    assert counts.launches == launches  # once
    executable.begin_epoch(loaded, np.arange(90), 30)
    steps(net, 0, 3)
    executable.evaluate(loaded, 30)
    assert launch._kernel.cache_info().misses == compiled


def test_a_custom_layer_is_not_called_before_training(cupy: ModuleType) -> None:
    class Counted(dk.Layer):
        calls = 0

        def forward(self, xp: Any, x: Any) -> tuple[Any, Any]:
            Counted.calls += 1
            return x, None

        def backward(self, xp: Any, dy: Any, saved: Any) -> tuple[Any, ...]:
            return (dy,)

    x, labels = data()
    net = dk.Sequential([dk.Flatten(), Counted(), dk.Dense(10)], backend="cupy", seed=0)
    net.compile("sgd", "mean_squared_error")
    net.fit(x, np.eye(10)[labels], batch_size=30, verbose=0)
    assert Counted.calls == 3


def test_a_step_does_not_list_the_kernels(cupy: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cupy_executable.CupyExecutable, "records", False)
    net, loaded = ready(ADAM)
    net.executable.begin_epoch(loaded, np.arange(90), 30)
    steps(net, 0, 1)
    asked, look = [], registry.has_gpu_version
    monkeypatch.setattr(registry, "has_gpu_version", lambda name: asked.append(name) or look(name))
    steps(net, 1, 3)
    assert not asked
    step_operations._is_written.cache_clear()
    steps(net, 2, 3)
    assert asked


@pytest.mark.parametrize("name", CASES)
def test_each_parameter_begins_with_a_cache_line(cupy: ModuleType, name: str) -> None:
    net, _ = ready(CASES[name])
    executable: Any = net.executable
    trained = [(executable._trained, flat) for flat in (executable._gradient, *executable._slots)]
    for layout, flat in ((executable._layout, executable._parameters), *trained):
        begins = [view.data.ptr - flat.data.ptr for view in layout.views(flat, cupy).values()]
        assert not any(begin % 64 for begin in begins)
    assert len(begins) > 2


def test_cublas_gets_workspaces_that_give_equal_bits(cupy: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    name = "CUBLAS_WORKSPACE_CONFIG"
    monkeypatch.setenv(name, ":16:8")
    get_backend("cupy:1")
    assert os.environ[name] == ":16:8"  # the user's setting
    monkeypatch.delenv(name)
    get_backend("cupy")
    assert os.environ[name] == ":4096:8"


def test_streams_of_threads_that_compare_equal_wait_for_each_other(cupy: ModuleType) -> None:
    """With CUPY_CUDA_PER_THREAD_DEFAULT_STREAM=1 all of them are number 2."""
    net, loaded = ready(ADAM)
    net.executable.begin_epoch(loaded, np.arange(90), 30)
    streams, failures = [], []

    def run(step: int) -> None:
        try:
            with cupy.cuda.Stream(ptds=True) as stream:
                steps(net, step, step + 1)
                streams.append(stream)
        except BaseException as error:
            failures.append(error)

    for step in range(3):
        thread = threading.Thread(target=run, args=(step,))
        thread.start()
        thread.join()
    assert not failures
    assert streams[0] == streams[1]
    for before, after in pairwise(streams):
        assert [event._stream for event in after.waited_for if event._stream is before]


def test_work_of_a_thread_that_others_have_overtaken_is_awaited(cupy: ModuleType) -> None:
    """A prediction in another stream, begun and ended during training."""
    net, loaded = ready(ADAM)
    executable, first, second = net.executable, cupy.cuda.Stream(), cupy.cuda.Stream()
    with first, executable._entered(), second:
        executable.predict(loaded, 10)
    before = len(second.waited_for)
    with second:
        executable.read_parameter(executable.program.parameters[0].name)
    assert [event._stream for event in second.waited_for[before:]] == [first]
