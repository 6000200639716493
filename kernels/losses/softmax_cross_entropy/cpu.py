"""Softmax cross-entropy, several rows at a time. Contract: the package's docstring.

The rows of few classes are transposed, so that all loops but those that transpose run over rows, and are vectorized.
"""

import math

import numpy as np
from numba import types

from dnnkit.kernels._numba.at_address import matrix, part, vector
from dnnkit.kernels._numba.exponentials import exp_of_negative
from dnnkit.kernels._numba.extending import resolved_by_type
from dnnkit.kernels._numba.jit import jit
from dnnkit.kernels._numba.lanes import (
    largest_of,
    multiply_in_double,
    smallest_of,
    subtract,
    sum_of,
    sum_of_products_in_double,
)
from dnnkit.kernels._numba.logarithms import log_from_one
from dnnkit.kernels._numba.rows import target
from dnnkit.kernels._numba.stack import stack_memory

AT_ONCE, MOST_ROWS = 1024, 256
"""Elements and rows per block, which stays in the first-level cache between loops; a longer row is one block."""

NARROW = 32
"""Classes from which rows are not transposed: they fill vectors."""

_numbers_of_rows, _steps_of_rows = stack_memory(4 * MOST_ROWS * 8), stack_memory(MOST_ROWS * 8)
_transposed, _exponentials = stack_memory(AT_ONCE * 8), stack_memory(AT_ONCE * 8)


@jit
def add_up(logits, targets, weights, scale, gradient):
    """Return the weighted sum of the rows' losses; write `scale` times its gradient to `gradient`."""
    if logits.shape[1] < NARROW:
        return _add_up_narrow(logits, targets, weights, scale, gradient)
    (rows, classes), zero, total = logits.shape, gradient.dtype.type(0), 0.0
    height, largest = max(AT_ONCE // classes, 1), vector(zero, _numbers_of_rows(), MOST_ROWS)
    for first in range(0, rows, height):
        here = min(height, rows - first)
        out = part(gradient, first * classes, here * classes)
        for i in range(here):
            largest[i] = largest_of(logits[first + i])
            subtract(logits[first + i], largest[i], part(out, i * classes, classes))
        for e in range(out.size):
            out[e] = exp_of_negative(out[e])
        for i in range(first, first + here):
            factor, sum_of_row = weights[i] * gradient.dtype.type(scale), sum_of(gradient[i])
            total += weights[i] * _with_targets(i, logits, targets, factor, gradient, largest[i - first], sum_of_row)
    return total


@jit
def _add_up_narrow(logits, targets, weights, scale, gradient):
    """As `add_up`, for rows shorter than `NARROW`."""
    (rows, classes), zero, total = logits.shape, gradient.dtype.type(0), 0.0
    height = min(AT_ONCE // classes & -8, MOST_ROWS)
    for first in range(0, rows, height):
        here = min(height, rows - first)
        width = here + 7 & -8  # whole vectors
        z, powers = matrix(zero, _transposed(), classes, width), matrix(zero, _exponentials(), classes, width)
        numbers = matrix(zero, _numbers_of_rows(), 4, width)
        largest, smallest, sums, logs = numbers[0], numbers[1], numbers[2], numbers[3]
        for i in range(here, width):
            for k in range(classes):
                z[k, i] = 0
        for i in range(here):
            for k in range(classes):
                z[k, i] = logits[first + i, k]
        for i in range(width):
            largest[i] = smallest[i] = z[0, i]
        for k in range(1, classes):
            for i in range(width):
                largest[i] = z[k, i] if z[k, i] > largest[i] else largest[i]
                smallest[i] = z[k, i] if z[k, i] < smallest[i] else smallest[i]
        for k in range(classes):
            for i in range(width):
                z[k, i] -= largest[i]
        given, made = part(z, 0, z.size), part(powers, 0, powers.size)
        for n in range(made.size):
            made[n] = exp_of_negative(given[n])
        for i in range(width):
            sums[i] = powers[0, i]
        for k in range(1, classes):
            for i in range(width):
                sums[i] += powers[k, i]
        for i in range(width):
            logs[i] = log_from_one(sums[i])
        own_weights = part(weights, first, here)
        total += _finish_narrow(z, powers, numbers, first, targets, own_weights, scale, gradient)
    return total


@resolved_by_type()
def _finish_narrow(z, powers, numbers, first, targets, weights, scale, gradient):
    """Return the weighted losses of rows from `first` on, and write their gradient.

    z, minus the largest, and its exponentials are transposed; `numbers` are the rows' largest and smallest logits, and
    the sums of exponentials and their logarithms.
    """
    return _finish_labels if targets.ndim == 1 else _finish_values


def _finish_labels(z, powers, numbers, first, targets, weights, scale, gradient):
    kind, (classes, width), rows = gradient.dtype.type, z.shape, weights.size
    shares, smallest, sums, losses = numbers[0], numbers[1], numbers[2], numbers[3]
    factor, steps = kind(scale), vector(0.0, _steps_of_rows(), width)
    for i in range(rows):
        steps[i] = np.float64(weights[i] * factor) / sums[i]  # float64: a float32 gradient is rounded once
    for i in range(rows):
        label = targets[first + i]
        is_class = 0 <= label < classes
        shares[i] = powers[label, i] if is_class else kind(0)
        losses[i] -= z[label, i] if is_class else losses[i]  # of no class: an all-zero row, as in the reference
    for i in range(rows):
        losses[i] += kind(0) * smallest[i]  # NaN if one of them is infinite
    for k in range(classes):
        for i in range(width):
            powers[k, i] = powers[k, i] * steps[i]
    for i in range(rows):
        row, label = first + i, targets[first + i]
        for k in range(classes):
            gradient[row, k] = powers[k, i]
        if 0 <= label < classes:
            gradient[row, label] = shares[i] * steps[i] - weights[i] * factor
        else:
            gradient[row] = 0
    return sum_of_products_in_double(weights, part(losses, 0, rows))


def _finish_values(z, powers, numbers, first, targets, weights, scale, gradient):
    kind, classes, total = gradient.dtype.type, z.shape[0], 0.0
    sums, logs = numbers[2], numbers[3]
    for i in range(weights.size):
        row, target_sum, loss, factor = first + i, kind(0), kind(0), weights[i] * kind(scale)
        for k in range(classes):
            target_sum += targets[row, k]
        step = factor * target_sum / sums[i]
        for k in range(classes):
            t = targets[row, k]
            loss += t * (logs[i] - z[k, i])
            gradient[row, k] = powers[k, i] * step - factor * t
        total += weights[i] * loss
    return total


@jit
def row(i, logits, targets, factor, out):
    """Return the loss of row i; write `factor` times its gradient to row i of out."""
    largest = largest_of(logits[i])
    for k in range(logits.shape[1]):  # separate from the sum, whose order is fixed, so that this loop is vectorized
        out[i, k] = exp_of_negative(logits[i, k] - largest)
    return _with_targets(i, logits, targets, factor, out, largest, sum_of(out[i]))


@resolved_by_type()
def _with_targets(i, logits, targets, factor, out, largest, total):
    """Return the loss; replace the exponentials in out by the gradient."""
    if isinstance(targets, types.Array) and targets.ndim == 1:
        return _of_label
    return _of_values


def _of_label(i, logits, targets, factor, out, largest, total):
    """Loss and gradient for the one-hot row of a label: one term of the loss, and one gradient entry that differs."""
    kind, label = out.dtype.type, targets[i]
    if not 0 <= label < logits.shape[1]:  # an all-zero row, as in the reference
        out[i] = 0
        return 0.0
    share, step = out[i, label], np.float64(factor) / total  # float64: a float32 gradient is rounded once
    multiply_in_double(out[i], step, out[i])
    out[i, label] = share * step - factor
    of_others = kind(0) * smallest_of(logits[i])  # NaN if one of them is infinite
    return np.float64(kind(math.log(total)) - (logits[i, label] - largest)) + of_others


def _of_values(i, logits, targets, factor, out, largest, total):
    kind, classes, target_sum = out.dtype.type, logits.shape[1], out.dtype.type(0)
    for k in range(classes):
        target_sum += target(targets, i, k, kind(0))
    log_total, loss, step = kind(math.log(total)), kind(0), factor * target_sum / total
    for k in range(classes):
        t = target(targets, i, k, kind(0))
        loss += t * (log_total - (logits[i, k] - largest))
        out[i, k] = out[i, k] * step - factor * t
    return loss
