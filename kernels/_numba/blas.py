"""Matrix products by the BLAS, in compiled code; see `_native/blas.py`."""

from typing import Any

import numpy as np
from numba import types

from dnnkit.kernels._numba.extending import resolved_by_type

ROW_MAJOR, PLAIN, TRANSPOSED = 101, 111, 112


def _gemm(name: str, number: types.Type) -> Any:
    size, place = types.int32, types.intp
    arguments = (size,) * 6 + (number, place, size, place, size, number, place, size)
    return types.ExternalFunction(name, types.void(*arguments))


_SGEMM, _DGEMM = _gemm("dnnkit.blas.sgemm", types.float32), _gemm("dnnkit.blas.dgemm", types.float64)


@resolved_by_type()
def multiply(zero, target, rows, columns, a, a_row, a_step, b, b_row, b_step, depth):
    """Write a b to the target, in the dtype of `zero`; for compiled code.

    All three are given by address. Each of a and b is contiguous or the transpose of a contiguous array; their strides
    are in elements, from row to row and from column to column.
    """
    gemm, number = (_SGEMM, np.float32) if zero == types.float32 else (_DGEMM, np.float64)
    one, nothing = number(1), number(0)

    def multiply(zero, target, rows, columns, a, a_row, a_step, b, b_row, b_step, depth):
        a_order, a_stride, a_least = (PLAIN, a_row, depth) if a_step == 1 else (TRANSPOSED, a_step, rows)
        b_order, b_stride, b_least = (PLAIN, b_row, columns) if b_step == 1 else (TRANSPOSED, b_step, depth)
        a_stride = a_stride if a_stride > a_least else a_least  # the stride of a single row or column is arbitrary
        b_stride = b_stride if b_stride > b_least else b_least
        gemm(
            ROW_MAJOR, a_order, b_order, rows, columns, depth, one, a, a_stride if a_stride > 0 else 1, b,
            b_stride if b_stride > 0 else 1, nothing, target, columns if columns > 0 else 1,
        )  # fmt: skip

    return multiply
