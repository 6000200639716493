"""Categorical cross-entropy on probabilities, row by row. Contract: the package's docstring."""

import math

from dnnkit.kernels._numba.jit import jit
from dnnkit.kernels._numba.rows import target
from dnnkit.kernels.losses.categorical_crossentropy.reference import CLIP


@jit
def row(i, predictions, targets, factor, out):
    """Return the loss of row i; write `factor` times its gradient to row i of out."""
    kind = out.dtype.type
    low = kind(CLIP)
    total = kind(0)
    for k in range(predictions.shape[1]):
        y, t = predictions[i, k], target(targets, i, k, kind(0))
        p = low if y < low else y
        total -= t * kind(math.log(p))
        out[i, k] = -factor * t / p if y > low or y != y else kind(0)  # NaN must propagate
    return total
