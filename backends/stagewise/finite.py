"""Whether numbers are finite: the only thing about data that needs a look at every one of them."""

from math import prod

import numpy as np

from dnnkit.errors import DataError
from dnnkit.kernels.array import Array, namespace

CHUNK = 1 << 22
"""Elements looked at together, so that a large data set needs little memory."""

ALONE = 1 << 13
"""Elements whose squares OpenBLAS adds up in one thread. Of 10,000 and more, it wakes others, which then spin for some
0.1 s, and take a processor from the training that follows."""


def require_finite(name: str, array: Array, dtype: str) -> None:
    """Raise `DataError`, with the row, if a number of the array is NaN or infinite, or would be in that dtype."""
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
            raise DataError(
                f"{name} has NaN or infinite numbers, first in row {first} (as {dtype}): "
                "remove or fill them before training"
            )


def _has_finite_squares(array: Array) -> bool:
    """Whether the sum of squares is finite: then all numbers are. A BLAS has it as fast as memory is read."""
    xp = namespace(array)
    flat = xp.reshape(array, (-1,))
    whole = flat.shape[0] // ALONE * ALONE
    pieces, rest = xp.reshape(flat[:whole], (-1, 1, ALONE)), flat[whole:]
    squares = xp.sum(xp.matmul(pieces, xp.reshape(pieces, (-1, ALONE, 1)))) + xp.matmul(rest, rest)
    return bool(xp.isfinite(squares))
