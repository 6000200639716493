"""Norm bound, column by column. Contract: the package's docstring."""

import math

from dnnkit.kernels._numba.jit import jit


@jit
def constrain(w, least, most, rate, not_negative):
    """Constrain the column norms of w (I, O)."""
    inputs, outputs = w.shape
    zero = w.dtype.type(0)
    for j in range(outputs):
        if not_negative:
            for i in range(inputs):
                w[i, j] = w[i, j] if w[i, j] > zero else zero
            continue
        square = zero
        for i in range(inputs):
            square += w[i, j] * w[i, j]
        norm = w.dtype.type(math.sqrt(square))
        bounded = min(max(norm, w.dtype.type(least)), w.dtype.type(most))
        if bounded != norm and norm > zero:
            factor = (norm + w.dtype.type(rate) * (bounded - norm)) / norm
            for i in range(inputs):
                w[i, j] *= factor
