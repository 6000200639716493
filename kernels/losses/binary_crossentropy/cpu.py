"""Binary cross-entropy on probabilities, row by row. Contract: the package's docstring."""

import math

from dnnkit.kernels._numba.jit import jit
from dnnkit.kernels._numba.rows import target
from dnnkit.kernels.losses.binary_crossentropy.reference import CLIP


@jit
def row(i, predictions, targets, factor, out):
    """Return the loss of row i; write `factor` times its gradient to row i of out."""
    kind, outputs = out.dtype.type, predictions.shape[1]
    one, low, high = kind(1), kind(CLIP), kind(1 - CLIP)
    total = kind(0)
    for k in range(outputs):
        y, t = predictions[i, k], target(targets, i, k, kind(0))
        p = low if y < low else (high if y > high else y)
        total -= t * kind(math.log(p)) + (one - t) * kind(math.log1p(-p))
        inside = low < y < high or y != y  # NaN must propagate
        out[i, k] = factor / kind(outputs) * (p - t) / (p * (one - p)) if inside else kind(0)
    return total / kind(outputs)
