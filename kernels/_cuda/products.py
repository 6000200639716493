"""Matrix products by direct cuBLAS calls, with dnnkit's workspaces.

CuPy's cuBLAS wrapper cannot be captured into a graph, and packs its arguments again in each call. A handle belongs to
one stream of one thread, and so does its workspace: cuBLAS then gives the same bits whatever else runs, and allocates
nothing while a graph runs. See docs/design/0032-a-recorded-step.md.
"""

import ctypes
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from typing import Any

from dnnkit.kernels._cuda.recording import current
from dnnkit.kernels.array import Array

WORKSPACE, WORKSPACE_OF_HOPPER = 8 << 20, 32 << 20
"""Workspace sizes in bytes that NVIDIA recommends, below and from compute capability 9.0."""

SHORT = 128
"""Longest sum that is computed without a workspace. With one, cuBLAS splits the sums of a small product among blocks
and adds the parts in a second kernel (split-K): on an H200, that takes up to three times as long for sums of 10 to
128 terms, and half as long for 512 and more (docs/gpu.md).
"""

STREAMS = 4
"""Number of streams per thread that keep their handles and workspaces."""

GEMM = {"f": ("cublasSgemm_v2", ctypes.c_float), "d": ("cublasDgemm_v2", ctypes.c_double)}
"""cuBLAS functions for float32 and float64, by NumPy type character, and the C type of their factors."""

TF32_ALLOWED = 3
"""cuBLAS math mode in which float32 products may be rounded to TF32, as CUPY_TF32=1 requests."""

AS_IT_IS, TRANSPOSED = 0, 1
"""cuBLAS operation codes, for column-major matrices."""


def multiply(a: Array, b: Array, out: Array) -> None:
    """Write a b to out, contiguous; either factor may be a transposed view. Arrays share one dtype of `GEMM`."""
    import cupy

    key = cupy, cupy.cuda.get_current_stream().ptr, cupy.cuda.runtime.getDevice()
    held = _of_thread.__dict__.setdefault("held", {})
    if key not in held:
        while len(held) >= STREAMS:
            held.pop(next(iter(held)))
        held[key] = Products(*key)
    held[key].multiply(a, b, out)


def forget() -> None:
    """Free this thread's workspaces; they are allocated again when needed."""
    _of_thread.__dict__.pop("held", None)


_of_thread = threading.local()


class Products:
    """cuBLAS for one stream of one thread: a handle for long sums, and one for short sums."""

    def __init__(self, cupy: Any, stream: int, device: int) -> None:
        major = cupy.cuda.runtime.getDeviceProperties(device)["major"]
        self._device, self._stream, self._cublas = cupy.cuda.Device(device), stream, library(cupy)
        self._workspace = cupy.empty(WORKSPACE if major < 9 else WORKSPACE_OF_HOPPER, "uint8")
        self._handles: list[tuple[ctypes.c_void_p, int]] = []
        """Each handle with the number of workspace bytes it may use."""
        for size in (self._workspace.nbytes, 0):
            handle = ctypes.c_void_p()
            check(self._cublas.cublasCreate_v2(ctypes.byref(handle)))
            self._handles.append((handle, size))
            if os.environ.get("CUPY_TF32", "0") not in ("", "0"):
                check(self._cublas.cublasSetMathMode(handle, TF32_ALLOWED))
        self._turn_to(stream)
        self._of = {dtype: (getattr(self._cublas, name), kind(1), kind(0)) for dtype, (name, kind) in GEMM.items()}

    def __del__(self) -> None:
        if getattr(self, "_handles", None) and not sys.is_finalizing():  # during finalization CUDA may be gone
            with self._device:
                for handle, _ in self._handles:
                    self._cublas.cublasDestroy_v2(handle)

    def _turn_to(self, stream: int) -> None:
        """Setting the stream resets cuBLAS to its own workspace; set ours again."""
        memory = ctypes.c_void_p(self._workspace.data.ptr)
        for handle, size in self._handles:
            check(self._cublas.cublasSetStream_v2(handle, ctypes.c_void_p(stream)))
            check(self._cublas.cublasSetWorkspace_v2(handle, memory, ctypes.c_size_t(size)))

    @contextmanager
    def in_stream(self, stream: int) -> Iterator[None]:
        """Launch products in that stream within this context."""
        try:
            self._turn_to(stream)
            yield
        finally:
            self._turn_to(self._stream)

    def multiply(self, a: Array, b: Array, out: Array) -> None:
        """As `multiply`. A row-major product is the column-major product of the transposed factors, swapped."""
        function, one, zero = self._of[out.dtype.char]
        (a, a_way, a_step), (b, b_way, b_step) = _as_cublas_reads(a), _as_cublas_reads(b)
        (rows, columns), (handle, _) = out.shape, self._handles[a.shape[1] <= SHORT]
        number, address, reference = ctypes.c_int, ctypes.c_void_p, ctypes.byref
        arguments = (
            *(handle, number(b_way), number(a_way), number(columns), number(rows), number(a.shape[1])),
            *(reference(one), address(b.data.ptr), number(b_step), address(a.data.ptr), number(a_step)),
            *(reference(zero), address(out.data.ptr), number(columns)),
        )
        if (recording := current()) is not None:
            recording.product((function, arguments), self, a, b, out)
        check(function(*arguments))


def _as_cublas_reads(x: Array) -> tuple[Array, int, int]:
    """Return the matrix, its cuBLAS operation code, and its leading dimension."""
    from dnnkit.kernels._cuda.launch import contiguous

    if x.flags.c_contiguous:
        return x, AS_IT_IS, max(1, x.shape[1])
    if x.T.flags.c_contiguous:
        return x, TRANSPOSED, max(1, x.shape[0])
    x = contiguous(x)
    return x, AS_IT_IS, max(1, x.shape[1])


def check(status: int) -> None:
    """Raise the error of a cuBLAS status, as CuPy does."""
    if status:
        from cupy_backends.cuda import libs

        raise libs.cublas.CUBLASError(status)


@cache
def library(cupy: Any) -> Any:
    """Return the cuBLAS library that CuPy has loaded, or would load."""
    from cupy_backends.cuda import libs

    assert libs.cublas, "CuPy loads what cuBLAS needs, and says in its own words if it cannot"
    pathfinder = import_module("cuda.pathfinder")  # CuPy finds it the same way
    return ctypes.CDLL(pathfinder.load_nvidia_dynamic_lib("cublas").abs_path)
