"""Dropout, element by element; the mask is drawn on the fly. Contract: the package's docstring."""

import numpy as np

from dnnkit.kernels._numba.jit import jit
from dnnkit.kernels.dropout import PURPOSE
from dnnkit.kernels.philox.cpu import HALF, LOW, philox


@jit
def mask(start, count, rate, seed, layer, step, out):
    """Write which of the elements start … start + count - 1 are kept to out, bool (count,)."""
    threshold = np.uint64(int(rate * 2.0**32))
    c1, c2, c3 = np.uint64(layer), np.uint64(step) & LOW, np.uint64(step) >> HALF
    for block in range(start // 4, (start + count + 3) // 4):
        words = philox(np.uint64(block), c1, c2, c3, np.uint64(seed), np.uint64(PURPOSE))
        for lane in range(4):
            place = 4 * block + lane - start
            if 0 <= place < count:
                out[place] = words[lane] >= threshold


@jit
def apply(x, keep, rate, out):
    """Write x / (1 - rate) where kept, else 0, to out; all flat. The backward pass is the same function of dy."""
    factor = out.dtype.type(1 / (1 - rate))
    for e in range(x.size):
        out[e] = x[e] * factor if keep[e] else out.dtype.type(0)
