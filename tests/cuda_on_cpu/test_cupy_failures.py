"""Errors that CUDA, cuBLAS and the compiler may report, as errors of dnnkit that say what to do; on the stand-in."""

import gc
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import dnnkit as dk
from dnnkit.backends.cupy_backend import failures
from dnnkit.errors import BackendUnavailable, DeviceMemoryError
from dnnkit.kernels._cuda import products
from tests import processes
from tests.backends.networks import data
from tests.cuda_on_cpu.cupy_networks import ADAM, ready, steps
from tests.cuda_on_cpu.cupy_stand_in import cublas, memory, raw
from tests.cuda_on_cpu.cupy_stand_in.device import CUBLASError, CUDADriverError, CUDARuntimeError

pytestmark = pytest.mark.cuda_on_cpu
ROOT = Path(__file__).parents[2]


class CompileException(Exception):
    __module__ = "cupy.cuda.compiler"


FAILURES: list[tuple[Exception, type[Exception], str, str]] = [
    (CUDARuntimeError(2), DeviceMemoryError, "too little memory", "smaller batches"),
    (CUDADriverError(2), DeviceMemoryError, "too little memory", "smaller batches"),
    (CUBLASError(3), DeviceMemoryError, "too little memory", "smaller batches"),
    (CUBLASError(1), BackendUnavailable, "cuBLAS cannot start, usually for lack of memory", "dnnkit doctor"),
    (CUDADriverError(209), BackendUnavailable, "does not fit this GPU", "dnnkit doctor"),
    (CUDADriverError(222), BackendUnavailable, "does not fit this GPU", "dnnkit doctor"),
    (CUDARuntimeError(46), BackendUnavailable, "another process has exclusive use of the GPU", "nvidia-smi"),
    (CUDARuntimeError(700), BackendUnavailable, "restart the process", "gpu_check"),
    (CUDADriverError(719), BackendUnavailable, "restart the process", "gpu_check"),
    (CompileException("a.cu(3): error\nmore"), BackendUnavailable, "rejects a kernel (a.cu(3): error)", "doctor"),
]


@pytest.mark.parametrize(("failure", "kind", "reason", "cure"), FAILURES, ids=lambda value: str(value)[:40])
def test_a_failure_is_reported_with_its_cure(
    cupy: ModuleType, monkeypatch: pytest.MonkeyPatch, failure: Exception, kind: type[Exception], reason: str, cure: str
) -> None:
    net, loaded = ready(ADAM)

    def fails(*arguments: Any, **options: Any) -> None:
        raise failure

    monkeypatch.setattr(products, "multiply", fails)
    with pytest.raises(kind) as error:
        net.executable.predict(loaded, 10)
    assert error.value.__cause__ is failure
    assert str(error.value).startswith("GPU 0")
    assert reason in str(error.value)
    assert cure in str(error.value)
    assert str(error.value).isascii()


@pytest.mark.parametrize("name", ["cupy", "cupy:1"])
def test_a_failure_of_a_function_on_arrays_is_reported_too(
    cupy: ModuleType, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """`dk.ops` belong to no executable, which would report it."""

    def fails(*arguments: Any, **options: Any) -> None:
        raise CUDADriverError(700)

    with dk.use_backend(name):
        dk.ops.relu([1.0, -1.0])
        monkeypatch.setattr(raw.RawKernel, "__call__", fails)
        with pytest.raises(BackendUnavailable, match=f"^GPU {int(name == 'cupy:1')}: a kernel failed") as error:
            dk.ops.relu([1.0, -1.0])
    assert isinstance(error.value.__cause__, CUDADriverError)
    assert cupy.cuda.runtime.getDevice() == 0


def test_a_cublas_status_is_an_error(cupy: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also in a replayed step, whose calls Python does not inspect."""
    net, loaded = ready(ADAM)
    net.executable.begin_epoch(loaded, np.arange(90), 10)
    steps(net, 0, 2)
    monkeypatch.setattr(cublas, "status", 3)
    with pytest.raises(DeviceMemoryError, match="too little memory"):
        steps(net, 2, 4)
    monkeypatch.setattr(cublas, "status", 14)
    with pytest.raises(CUBLASError):
        net.executable.predict(loaded, 10)


def test_memory_is_freed_when_cublas_has_too_little(cupy: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    net, loaded = ready(ADAM)
    net.executable.begin_epoch(loaded, np.arange(90), 90)
    steps(net, 0, 1)

    def fails(*arguments: Any, **options: Any) -> None:
        raise CUBLASError(3)

    before = memory.used[0]
    with monkeypatch.context() as patch:
        patch.setattr(products, "multiply", fails)
        with pytest.raises(DeviceMemoryError):
            net.executable.evaluate(loaded, 90)
    gc.collect()
    assert memory.used[0] < before
    net.executable.evaluate(loaded, 10)


@pytest.mark.parametrize("failure", [CUDARuntimeError(4242), CUBLASError(7), ValueError("a shape"), KeyError("x")])
def test_unknown_errors_are_passed_on(cupy: ModuleType, monkeypatch: pytest.MonkeyPatch, failure: Exception) -> None:
    net, loaded = ready(ADAM)

    def fails(*arguments: Any, **options: Any) -> None:
        raise failure

    monkeypatch.setattr(products, "multiply", fails)
    with pytest.raises(type(failure)) as error:
        net.executable.predict(loaded, 10)
    assert error.value is failure
    assert failures.translated(failure, "GPU 0") is None


def test_a_failed_allocation_of_pinned_memory_is_reported(cupy: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(size: int) -> None:
        raise CUDARuntimeError(2)

    monkeypatch.setattr(cupy.cuda, "alloc_pinned_memory", none)
    monkeypatch.setattr("dnnkit.backends.cupy_backend.executable.RESIDENT", 0.0)
    x, labels = data()
    with pytest.raises(DeviceMemoryError, match=r"the host has no .* of pinned memory left, .* smaller batches"):
        ADAM.network("cupy", "float32").fit(x, labels, verbose=0)


AT_EXIT = """
import sys
from tests.cuda_on_cpu import cupy_stand_in
context = cupy_stand_in.in_place_of_cupy()
cupy = context.__enter__()
import numpy as np
from dnnkit.backends.cupy_backend import executable
from tests.cuda_on_cpu.cupy_networks import ADAM, ready, steps
executable.RESIDENT = 0.0
net, loaded = ready(ADAM)
net.executable.begin_epoch(loaded, np.arange(90), 10)
steps(net, 0, 2)

def synchronize(self):
    raise cupy.cuda.runtime.CUDARuntimeError(4)  # the driver is shutting down

cupy.cuda.Event.synchronize = synchronize
if {early}:
    del net
    import gc
    gc.collect()
sys.modules["kept until the interpreter is no more"] = globals().get("net")
print("end")
"""


@pytest.mark.parametrize("early", [False, True])
def test_the_end_of_the_interpreter_is_not_waited_for(early: bool) -> None:
    """CUDA may be gone by then, and a failure there would be printed as an error that users cannot fix."""
    command = [sys.executable, "-c", AT_EXIT.format(early=early)]
    result = processes.run(command, cwd=ROOT)
    assert result.stdout == "end\n", result.stderr
    assert ("CUDARuntimeError" in result.stderr) == early


def test_float16_is_converted_piece_by_piece(cupy: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """The uploaded bytes are smaller, and would coexist with their converted form."""
    monkeypatch.setattr("dnnkit.backends.cupy_backend.backend.STAGED", 4096)
    net, _ = ready(ADAM)
    x = np.random.default_rng(0).uniform(0, 1, (5000, 16)).astype(np.float16)
    before = memory.used[0]
    memory.peak.clear()
    there = net.backend.asarray(x, "float32")
    assert memory.peak[0] - before <= x.size * 4 + 3 * 4096
    np.testing.assert_array_equal(there.get(), x.astype(np.float32))
