"""CuPy backend: the operations of `base.py` on an NVIDIA GPU, with custom CUDA kernels where fusion saves memory
passes.

Importing this module does not import CuPy, and choosing the backend checks for a driver first. A training step neither
waits for the GPU nor allocates growing memory: results go to buffers that are allocated once.
"""

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import numpy as np

from dnnkit.backends.base import Backend
from dnnkit.backends.cupy_backend import cost_model, cuda_diagnosis
from dnnkit.backends.cupy_backend.failures import translated
from dnnkit.backends.cupy_backend.operations import CupyOperations
from dnnkit.backends.diagnosis import Finding, in_words, warn_once
from dnnkit.backends.executable import Executable
from dnnkit.backends.program import Program
from dnnkit.backends.state import HostArray
from dnnkit.kernels import registry
from dnnkit.kernels.array import Array, Namespace

NOTHING = nullcontext()
STAGED = 16 << 20
"""Maximum bytes of a host array that CuPy may stage in pinned memory, which it keeps."""

WORKSPACES = "CUBLAS_WORKSPACE_CONFIG", ":4096:8"
"""Environment variable that cuBLAS reads at start-up: eight workspaces of 4 MiB. Without it, results are deterministic
only while a single stream is active, as NVIDIA documents under "results reproducibility".
"""

ON_GPU = (2, 13)
"""DLPack device types of CUDA device memory and of managed memory."""


class CupyBackend(CupyOperations, Backend):
    """One NVIDIA GPU: the first, or another by number, as in `cupy:1`."""

    name = "cupy"
    install = "pip install 'dnnkit[gpu]'"
    _gpu: cost_model.Gpu | None = None

    def __init__(self, device: str | None = None) -> None:
        import cupy

        super().__init__()
        os.environ.setdefault(*WORKSPACES)
        number, count = device or "0", int(cupy.cuda.runtime.getDeviceCount())
        if not number.isdecimal() or int(number) >= count:
            there = ", ".join(f"cupy:{place}" for place in range(count))
            raise ValueError(f"there is no GPU {number!r} here: choose one of {there}")
        self.number = int(number)

    @classmethod
    def unavailable_reason(cls) -> str | None:
        """Return what is missing or mismatched: CuPy, a driver, a GPU, their versions."""
        found = cuda_diagnosis.diagnose(cuda_diagnosis.probe())
        return found.reason if found else None

    @classmethod
    def remedy(cls) -> str:
        """Return the pip command for the driver's CUDA version; empty if nothing needs to be installed."""
        found = cuda_diagnosis.diagnose(cuda_diagnosis.probe())
        return found.remedy if found else ""

    @property
    def xp(self) -> Namespace:
        """CuPy itself."""
        import cupy

        return cupy

    @property
    def device(self) -> str:
        """Number and name of the GPU."""
        name = self.xp.cuda.runtime.getDeviceProperties(self.number)["name"]
        return f"GPU {self.number}, {name.decode() if isinstance(name, bytes) else name}"

    def diagnose(self) -> list[Finding]:
        """Report the CUDA versions of driver and CuPy, and the free memory."""
        state = cuda_diagnosis.probe()
        driver, built = (cuda_diagnosis.dotted(version or 0) for version in (state.driver, state.cuda))
        free, total = self.memory()
        return [
            Finding("CUDA", "good", f"the driver runs up to {driver}, CuPy is for {built}"),
            Finding("GPU memory", "good", f"{in_words(free)} of {in_words(total)} free on {self.device}"),
        ]

    # -- building ----------------------------------------------------------------------------------------------------

    def unsupported_reason(self, program: Program) -> str | None:
        """Return which parts have no CUDA version and are computed by CuPy from their formulas."""
        if (reason := super().unsupported_reason(program)) is not None:
            return reason
        missing = {name for name in program.kernels if not registry.has_gpu_version(name)}
        if isinstance(program.rule, str) and not hasattr(registry.version("optimizer_step", "gpu"), program.rule):
            missing.add(program.rule)
        return f"no CUDA version of {', '.join(sorted(missing))}" if missing else None

    def seconds_per_step(self, program: Program, rows: int) -> float | None:
        """Predict from constants of this GPU, measured on first use; None for parts without a kernel."""
        if self.unsupported_reason(program) is not None:
            return None
        if self._gpu is None:
            self._gpu = cost_model.kept(self)
        return cost_model.seconds_per_step(program, rows, self._gpu)

    def build(self, program: Program) -> Executable:
        """Return an executable that runs stage by stage on fused kernels; data may exceed the GPU's memory."""
        from dnnkit.backends.cupy_backend.executable import CupyExecutable

        if (reason := self.unsupported_reason(program)) is not None:
            warn_once(f"backend cupy computes part of this network with array functions, not fused kernels: {reason}")
        return CupyExecutable(self, program, self.plan(program, "CUDA kernels, stage by stage"))

    def on_device(self) -> AbstractContextManager[Any]:
        """Return the context in which arrays are created and used on this backend's GPU."""
        if getattr(self._of_thread, "is_inside", False):
            return NOTHING
        return _OnGpu(self.xp.cuda.Device(self.number))  # one per use, because threads must not share it

    @contextmanager
    def stay_on_device(self) -> Iterator[None]:
        """Like `on_device`, but for longer: the operations within, a dozen per step, need not switch devices."""
        with self.on_device():
            before = getattr(self._of_thread, "is_inside", False)
            self._of_thread.is_inside = True
            try:
                yield
            finally:
                self._of_thread.is_inside = before

    def memory(self) -> tuple[int, int]:
        """Return (bytes available, total bytes); unused memory of CuPy's pool is available."""
        with self.on_device():
            free, total = self.xp.cuda.runtime.memGetInfo()
            pool = self.xp.get_default_memory_pool()
            free += pool.free_bytes()
            if limit := pool.get_limit():
                free = min(free, limit - pool.used_bytes())
        return max(0, int(free)), int(total)

    # -- arrays ------------------------------------------------------------------------------------------------------

    def owns(self, x: Any) -> bool:
        """Whether x is a CuPy array."""
        return isinstance(x, self.xp.ndarray)

    def as_input(self, x: Any) -> Array:
        """Return x as it is if on a GPU, through DLPack or `__cuda_array_interface__`; otherwise as a NumPy array."""
        if isinstance(x, np.ndarray):
            return x
        with self.on_device():
            if not self.owns(x):
                if _dlpack_device(x) in ON_GPU:
                    x = self.xp.from_dlpack(x)
                elif hasattr(x, "__cuda_array_interface__"):
                    x = self.xp.asarray(x)
                else:
                    return np.asarray(x)
            return x if x.device.id == self.number else x.copy()  # CuPy copies between GPUs

    def asarray(self, x: Any, dtype: Any = None) -> Array:
        """Return an array on the GPU; a host array is converted on whichever side it is smaller."""
        x = self.as_input(x)
        with self.on_device():
            if self.owns(x):
                return x if dtype is None else x.astype(dtype, copy=False)
            wanted = (x.dtype if dtype is None else np.dtype(dtype)).newbyteorder("=")
            smaller = wanted if wanted.itemsize <= x.dtype.itemsize else x.dtype.newbyteorder("=")
            return self._uploaded(np.ascontiguousarray(x, smaller).reshape(x.shape), wanted)

    def _uploaded(self, x: HostArray, dtype: Any) -> Array:
        """Copy an array to the GPU in this dtype, using no more memory there than the copy and one staged piece.

        A large array is sent directly, otherwise the host would hold a second, pinned copy.
        """
        if x.nbytes <= STAGED:
            return self.xp.asarray(x).astype(dtype, copy=False)
        copy = self.xp.empty(x.shape, dtype)
        if x.dtype == dtype:
            copy.set(x)
            self.xp.cuda.get_current_stream().synchronize()  # from here on the caller may change or free x
            return copy
        flat, numbers = copy.reshape(-1), x.reshape(-1)
        for start in range(0, x.size, STAGED // x.itemsize):
            piece = numbers[start : start + STAGED // x.itemsize]
            self.xp.copyto(flat[start : start + piece.size], self.xp.asarray(piece))
        return copy

    def to_numpy(self, x: Array) -> HostArray:
        """Return a copy on the host; waits for the GPU."""
        if not self.owns(x):
            return np.asarray(x)
        with self.on_device():
            return np.asarray(self.xp.asnumpy(x))

    def buffer(self, shape: tuple[int, ...], dtype: Any) -> Array:
        """Allocate memory for a result."""
        with self.on_device():
            return self.xp.empty(shape, dtype)

    def zeros(self, size: int, dtype: Any) -> Array:
        """Return a flat array of zeros."""
        with self.on_device():
            return self.xp.zeros(size, dtype)

    def wait(self) -> None:
        """Wait for the GPU."""
        with self.on_device():
            self.xp.cuda.get_current_stream().synchronize()


class _OnGpu:
    """The context of a CuPy device; CUDA errors raised within become dnnkit's errors."""

    def __init__(self, device: Any) -> None:
        self._device = device

    def __enter__(self) -> Any:
        return self._device.__enter__()

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        self._device.__exit__(kind, error, trace)
        if isinstance(error, Exception) and (found := translated(error, f"GPU {self._device.id}")) is not None:
            raise found from error


def _dlpack_device(x: Any) -> int | None:
    device = getattr(x, "__dlpack_device__", None)
    return int(device()[0]) if device is not None else None
