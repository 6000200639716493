"""A library with the part of cuBLAS that dnnkit calls, loaded and called like the real one; NumPy multiplies.

Its functions are C functions, so arguments arrive as C's would. Each forwards to a Python function.
"""

import ctypes
import traceback
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from tests.cuda_on_cpu import compiling
from tests.cuda_on_cpu.cupy_stand_in.addresses import at
from tests.cuda_on_cpu.cupy_stand_in.device import counts, launched, stream_at

SOURCE = """
typedef int (*Hook)(int what, void* handle, const long long* numbers);
static Hook hook;
static long long handles;
extern "C" {
void dnnkit_stand_in(Hook given) { hook = given; }
int cublasCreate_v2(void** handle) { *handle = (void*)++handles; return hook(0, *handle, nullptr); }
int cublasDestroy_v2(void* handle) { return hook(1, handle, nullptr); }
int cublasSetStream_v2(void* handle, void* stream) {
    long long numbers[] = {(long long)stream};
    return hook(2, handle, numbers);
}
int cublasSetWorkspace_v2(void* handle, void* memory, unsigned long long size) {
    long long numbers[] = {(long long)memory, (long long)size};
    return hook(3, handle, numbers);
}
int cublasSetMathMode(void* handle, int mode) {
    long long numbers[] = {mode};
    return hook(4, handle, numbers);
}
}
template <typename T>
int multiply(
    void* handle, int a_way, int b_way, int m, int n, int k, const T* alpha, const T* a, int lda, const T* b, int ldb,
    const T* beta, T* c, int ldc
) {
    if (*alpha != 1 || *beta != 0) return 7;
    long long numbers[] = {
        sizeof(T), a_way, b_way, m, n, k, (long long)a, lda, (long long)b, ldb, (long long)c, ldc
    };
    return hook(5, handle, numbers);
}
extern "C" {
int cublasSgemm_v2(
    void* handle, int a_way, int b_way, int m, int n, int k, const float* alpha, const float* a, int lda,
    const float* b, int ldb, const float* beta, float* c, int ldc
) { return multiply(handle, a_way, b_way, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc); }
int cublasDgemm_v2(
    void* handle, int a_way, int b_way, int m, int n, int k, const double* alpha, const double* a, int lda,
    const double* b, int ldb, const double* beta, double* c, int ldc
) { return multiply(handle, a_way, b_way, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc); }
}
"""

HOOK = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int, ctypes.c_void_p, ctypes.POINTER(ctypes.c_longlong))
WRONG = 7
"""cuBLAS's status for an invalid value."""

status = status_while_capturing = 0
"""Status that products return, if not 0, instead of multiplying; the second one in a stream that is captured."""


class Handle:
    """The settings of a handle."""

    def __init__(self) -> None:
        self.stream = 0
        self.workspace: tuple[int, int] | None = None
        self.mode = 0
        self.terms: set[int] = set()
        """Terms per sum of the products that it was used for."""


handles: dict[int, Handle] = {}


def load_nvidia_dynamic_lib(name: str) -> Any:
    """As in `cuda.pathfinder`."""
    assert name == "cublas", name
    return SimpleNamespace(abs_path=str(library()))


@cache
def library() -> Path:
    """Return the library, built once, with Python behind it."""
    path = compiling._built(SOURCE, compiling.MACHINE_FLAGS, [])
    ctypes.CDLL(str(path)).dnnkit_stand_in(_hook)
    return path


@HOOK
def _hook(what: int, handle: int, numbers: Any) -> int:
    try:
        return _answer(what, handle, numbers)
    except BaseException:  # the caller sees only the status, as from cuBLAS
        traceback.print_exc()
        return WRONG


def _answer(what: int, handle: int, numbers: Any) -> int:
    if what == 0:
        handles[handle] = Handle()
    elif what == 1:
        del handles[handle]
    elif what == 2:
        handles[handle].stream, handles[handle].workspace = numbers[0] or 0, None  # as cuBLAS does
    elif what == 3:
        at(numbers[0], np.uint8, numbers[1])
        handles[handle].workspace = numbers[0], numbers[1]
    elif what == 4:
        handles[handle].mode = numbers[0]
    else:
        if status:
            return status
        held = handles[handle]
        assert held.workspace is not None, "a product without a workspace of ours"
        at(held.workspace[0], np.uint8, held.workspace[1])
        held.terms.add(numbers[5])
        values, stream = tuple(numbers[:12]), stream_at(held.stream)
        if stream.is_capturing() and status_while_capturing:
            return status_while_capturing
        launched(stream, "gemm", lambda: _multiply(*values))
    return 0


def _multiply(
    size: int, a_way: int, b_way: int, m: int, n: int, k: int, a: int, lda: int, b: int, ldb: int, c: int, ldc: int
) -> None:
    """cuBLAS reads column-major what NumPy reads row-major, as the transpose."""
    counts.products += 1
    dtype = f"f{size}"
    a_t = _matrix(a, dtype, k, m, lda) if a_way == 0 else _matrix(a, dtype, m, k, lda).T
    b_t = _matrix(b, dtype, n, k, ldb) if b_way == 0 else _matrix(b, dtype, k, n, ldb).T
    _matrix(c, dtype, n, m, ldc)[...] = b_t @ a_t


def _matrix(address: int, dtype: str, rows: int, columns: int, step: int) -> np.ndarray:
    assert step >= columns
    whole = at(address, dtype, (rows - 1) * step + columns)
    return np.lib.stride_tricks.as_strided(whole, (rows, columns), (step * whole.itemsize, whole.itemsize))
