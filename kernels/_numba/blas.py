"""Matrix products in compiled code: by an OpenBLAS of our own, with one thread for each worker.

NumPy and SciPy each bring an OpenBLAS too, whose threads belong to whoever uses NumPy: to have one thread there while
we train would take it from others. Ours is the file of the package scipy-openblas32, loaded so that nobody else sees
it. See docs/design/0012-own-blas.md.
"""

import ctypes
import importlib.util
from pathlib import Path
from typing import Any

import llvmlite.binding
import numpy as np
from numba import types

from dnnkit.kernels._numba.extending import resolved_by_type

PACKAGE = "scipy_openblas32"
ROW_MAJOR, PLAIN, TRANSPOSED = 101, 111, 112


def _load() -> ctypes.CDLL:
    """The library, without importing its package: that would lend it to every library loaded later."""
    package = importlib.util.find_spec(PACKAGE)
    assert package is not None, "NumbaBackend.unavailable_reason looks for it"
    folder = Path(next(iter(package.submodule_search_locations or ()))) / "lib"
    files = [file for file in folder.iterdir() if file.suffix in (".so", ".dylib", ".dll")]
    library = ctypes.CDLL(str(files[0]))
    library.scipy_openblas_set_num_threads(1)
    library.scipy_openblas_get_corename.restype = ctypes.c_char_p
    return library


LIBRARY = _load()
for _name in ("sgemm", "dgemm"):
    _function = getattr(LIBRARY, f"scipy_cblas_{_name}")
    llvmlite.binding.add_symbol(f"dnnkit_{_name}", ctypes.cast(_function, ctypes.c_void_p).value)


def kernels() -> str:
    """For which processor the library's kernels were written."""
    return str(LIBRARY.scipy_openblas_get_corename().decode())


def describe() -> str:
    """Which BLAS it is, in words."""
    from importlib.metadata import version

    return f"OpenBLAS {version('scipy-openblas32')}, kernels for {kernels()}, one thread a worker"


def _gemm(name: str, number: types.Type) -> Any:
    size, place = types.int32, types.intp
    arguments = (size,) * 6 + (number, place, size, place, size, number, place, size)
    return types.ExternalFunction(name, types.void(*arguments))


_SGEMM, _DGEMM = _gemm("dnnkit_sgemm", types.float32), _gemm("dnnkit_dgemm", types.float64)


@resolved_by_type()
def multiply(zero, target, rows, columns, a, a_row, a_step, b, b_row, b_step, depth):
    """a b to the target, for compiled code, in the dtype of the zero.

    All three are addresses; a and b are contiguous or the transpose of a contiguous array, as their strides say, in
    numbers from row to row and from column to column.
    """
    gemm, number = (_SGEMM, np.float32) if zero == types.float32 else (_DGEMM, np.float64)
    one, nothing = number(1), number(0)

    def multiply(zero, target, rows, columns, a, a_row, a_step, b, b_row, b_step, depth):
        a_order, a_stride, a_least = (PLAIN, a_row, depth) if a_step == 1 else (TRANSPOSED, a_step, rows)
        b_order, b_stride, b_least = (PLAIN, b_row, columns) if b_step == 1 else (TRANSPOSED, b_step, depth)
        a_stride = a_stride if a_stride > a_least else a_least  # of a single row or column it may be any number
        b_stride = b_stride if b_stride > b_least else b_least
        gemm(
            ROW_MAJOR, a_order, b_order, rows, columns, depth, one, a, a_stride if a_stride > 0 else 1, b,
            b_stride if b_stride > 0 else 1, nothing, target, columns if columns > 0 else 1,
        )  # fmt: skip

    return multiply
