"""Elementwise losses: loops over the elements of several rows, which vectorize even if rows are short."""

from dnnkit.kernels._numba.at_address import part, vector
from dnnkit.kernels._numba.jit import jit
from dnnkit.kernels._numba.lanes import multiply, sum_in_double
from dnnkit.kernels._numba.rows import target
from dnnkit.kernels._numba.stack import stack_memory

AT_ONCE = 1024
"""Elements per chunk, which stays in the first-level cache between loops."""

_terms = stack_memory(AT_ONCE * 8)


@jit
def add_up_elements(term_and_slope, scores, targets, weights, scale, gradient):
    """Return the weighted sum of the rows' losses; write `scale` times its gradient to `gradient`.

    The loss of a row is the mean of the terms of `term_and_slope(score, target)` over its elements. Rows with the same
    weight, mostly all, are summed together.
    """
    rows, columns = scores.shape
    if columns > AT_ONCE:
        return _add_long_rows(term_and_slope, scores, targets, weights, scale, gradient)
    kind, total, terms = gradient.dtype.type, 0.0, vector(gradient.dtype.type(0), _terms(), AT_ONCE)
    step, height = kind(scale) / kind(columns), AT_ONCE // columns
    for first in range(0, rows, height):
        here = min(height, rows - first)
        start, size, own_weights = first * columns, here * columns, part(weights, first, here)
        score, wanted, out = part(scores, start, size), part(targets, start, size), part(gradient, start, size)
        for e in range(size):
            terms[e], out[e] = term_and_slope(score[e], wanted[e])
        weight = own_weights[0]
        if _are_all(own_weights, weight):
            factor = weight * step
            for e in range(size):
                out[e] *= factor
            total += weight * (sum_in_double(part(terms, 0, size)) / columns)
        else:
            for i in range(here):
                own = part(out, i * columns, columns)
                multiply(own, own_weights[i] * step, own)
                total += own_weights[i] * (sum_in_double(part(terms, i * columns, columns)) / columns)
    return total


@jit
def _add_long_rows(term_and_slope, scores, targets, weights, scale, gradient):
    """As `add_up_elements`, for rows of any length."""
    kind, (rows, columns), total = gradient.dtype.type, scores.shape, 0.0
    terms = vector(kind(0), _terms(), AT_ONCE)
    for i in range(rows):
        factor, row_total = weights[i] * (kind(scale) / kind(columns)), 0.0
        for first in range(0, columns, AT_ONCE):
            size, start = min(AT_ONCE, columns - first), i * columns + first
            score, wanted, out = part(scores, start, size), part(targets, start, size), part(gradient, start, size)
            for e in range(size):
                terms[e], slope = term_and_slope(score[e], wanted[e])
                out[e] = slope * factor
            row_total += sum_in_double(part(terms, 0, size))
        total += weights[i] * (row_total / columns)
    return total


@jit
def row_of_elements(term_and_slope, i, scores, targets, factor, out):
    """Return the loss of row i; write `factor` times its gradient to row i of out."""
    kind, outputs = out.dtype.type, scores.shape[1]
    step, total = factor / kind(outputs), kind(0)
    for k in range(outputs):
        term, slope = term_and_slope(scores[i, k], target(targets, i, k, kind(0)))
        total += term
        out[i, k] = step * slope
    return total / kind(outputs)


@jit
def _are_all(numbers, number):
    """Whether all numbers equal this one."""
    others = 0
    for n in range(numbers.size):
        others += numbers[n] != number
    return others == 0
