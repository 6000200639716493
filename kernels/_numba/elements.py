"""Elementwise losses: loops over the elements of several rows, which vectorize even if rows are short."""

from dnnkit.kernels._numba.at_address import part
from dnnkit.kernels._numba.jit import jit
from dnnkit.kernels._numba.lanes import sum_of

AT_ONCE = 1024
"""Elements per chunk, which stays in the first-level cache between loops; a longer row is one chunk."""


@jit
def add_up(term, slope, scores, targets, weights, scale, gradient):
    """Return the weighted sum of the rows' losses; write `scale` times its gradient to `gradient`.

    The loss of a row is the mean of term(score, target) over its elements. `gradient` first holds the terms.
    """
    kind, columns, total = gradient.dtype.type, scores.shape[1], 0.0
    count, step = kind(columns), kind(scale) / kind(columns)
    height = max(AT_ONCE // columns, 1)
    for first in range(0, weights.size, height):
        rows = min(height, weights.size - first)
        start, size = first * columns, rows * columns
        score, target, out = part(scores, start, size), part(targets, start, size), part(gradient, start, size)
        for e in range(size):
            out[e] = term(score[e], target[e])
        for i in range(rows):
            own = part(out, i * columns, columns)
            total += weights[first + i] * (own[0] if columns == 1 else sum_of(own) / count)
        for e in range(size):
            out[e] = slope(score[e], target[e])
        for i in range(rows):
            factor, own = weights[first + i] * step, part(out, i * columns, columns)
            for k in range(columns):
                own[k] *= factor
    return total
