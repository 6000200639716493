"""Check that numbers are finite, the only check of data that reads every number."""

from collections.abc import Callable
from math import prod
from typing import Any

import numpy as np

from dnnkit.errors import DataError
from dnnkit.kernels.array import Array, namespace
from dnnkit.kernels.compressed_rows import CompressedRows

SurelyFinite = Callable[[Any, str], bool]

CHUNK = 1 << 22
"""Elements checked at a time, which bounds memory for large datasets."""

ALONE = 1 << 13
"""Elements whose squares OpenBLAS sums in one thread. For 10,000 and more it wakes other threads, which then spin for
about 0.1 s and take a processor from the training that follows.
"""


def require_finite(name: str, array: Array, dtype: str, surely_finite: SurelyFinite | None = None) -> None:
    """Raise `DataError`, with the row, if a number is NaN or infinite, or becomes infinite in this dtype.

    `surely_finite(array, dtype)` is a backend's faster check, which returns False if it does not know.
    """
    if surely_finite is not None and surely_finite(array, dtype):
        return
    if isinstance(array, CompressedRows):
        if not np.isfinite(array.values).all():
            raise _not_finite(name, array.row_of(int(np.argmin(np.isfinite(array.values)))), dtype)
        return
    xp = namespace(array)
    if not xp.isdtype(array.dtype, "real floating"):
        return
    rows = max(1, CHUNK // max(1, prod(array.shape[1:])))
    for start in range(0, array.shape[0], rows):
        with np.errstate(all="ignore"):
            chunk = xp.astype(array[start : min(start + rows, array.shape[0]), ...], getattr(xp, dtype), copy=False)
            if _has_finite_squares(chunk):
                continue
        finite = xp.isfinite(chunk)
        if not bool(xp.all(finite)):
            sound = xp.all(xp.reshape(finite, (finite.shape[0], -1)), axis=1)
            first = start + int(xp.argmin(xp.astype(sound, xp.int8)))
            raise _not_finite(name, first, dtype)


def _not_finite(name: str, row: int, dtype: str) -> DataError:
    return DataError(
        f"{name} has NaN or infinite numbers, first in row {row} (as {dtype}): remove or fill them before training"
    )


def _has_finite_squares(array: Array) -> bool:
    """Whether the sum of squares is finite, so that all numbers are. A BLAS computes it at memory bandwidth."""
    xp = namespace(array)
    flat = xp.reshape(array, (-1,))
    whole = flat.shape[0] // ALONE * ALONE
    pieces, rest = xp.reshape(flat[:whole], (-1, 1, ALONE)), flat[whole:]
    squares = xp.sum(xp.matmul(pieces, xp.reshape(pieces, (-1, ALONE, 1)))) + xp.matmul(rest, rest)
    return bool(xp.isfinite(squares))
