"""Optimizer steps: of a range of parameters, and of a dense stage fused with its gradient, piece by piece."""

import math

from dnnkit.kernels._numba.indirect_calls import address_of, call_update
from dnnkit.kernels._numba.jit import jit
from dnnkit.kernels._numba.unchecked_views import element, matrix
from dnnkit.kernels.matmul.cpu import in_tiles, product_of_columns, product_of_nonzero_columns
from dnnkit.kernels.matmul.gather_index import between
from dnnkit.kernels.train_steps import stage_table

PIECE = 8192
"""Elements of a piece: its gradient is used while it is in the nearest caches."""


@jit
def update_stage_fused(stage, x, index, columns, dz, numbers):
    """One step of the optimizer for a dense stage: each piece of the kernel as soon as its gradient is computed.

    The stage's inputs are x; or, with an index, x[index], zero in all but these columns.
    """
    inputs, outputs = stage[stage_table.INPUTS], stage[stage_table.OUTPUTS]
    if inputs * outputs <= PIECE or (index is None and not in_tiles(x)):
        update_block(stage, x, index, columns, dz, 0, inputs, numbers)
    else:
        height, place = max(8, PIECE // outputs // 8 * 8), 0
        for first in range(0, inputs, height):
            count = min(height, inputs - first)
            end = place_of(columns, place, first + count)
            update_block(stage, x, index, between(columns, place, end), dz, first, count, numbers)
            place = end
    apply_update(numbers, stage[stage_table.BIAS], stage[stage_table.BIAS], stage[stage_table.BIASES])


@jit
def update_block(stage, x, index, columns, dz, first, count, numbers):
    """The same for `count` rows of the kernel from `first` on; their gradient goes to the start of the kernel's."""
    outputs, start = stage[stage_table.OUTPUTS], stage[stage_table.KERNEL]
    slope = matrix(numbers[1], start, count, outputs)
    if index is None:
        product_of_columns(x, first, dz, slope)
    else:
        product_of_nonzero_columns(x, index, columns, first, dz, slope)
    apply_update(numbers, start + first * outputs, start, count * outputs)


@jit
def place_of(columns, place, column):
    """Index of the first listed column ≥ `column`, searching from index `place`; `place` if `columns` is None."""
    if columns is not None:
        while place < columns.size and element(columns, place) < column:
            place += 1
    return place


@jit
def clip(gradient, clip_norm, norms):
    """Clip a part of the gradient by the norm of the whole, whose square is the sum of `norms`; 0 does not clip."""
    if clip_norm > 0:
        total = 0.0
        for part in norms:
            total += part
        norm = math.sqrt(total)
        if norm > clip_norm:
            factor = gradient.dtype.type(clip_norm / norm)
            for e in range(gradient.size):
                gradient[e] *= factor


@jit
def apply_update(numbers, start, place, count):
    """One step of the optimizer for `count` parameters from `start` on; their gradient begins at `place`."""
    parameters, gradient, slots, rule, step, rate, constants = numbers
    if count > 0:
        places = address_of(parameters, start), address_of(gradient, place), address_of(slots, start)
        call_update(rule, (step, places[0], places[1], places[2], slots.shape[1], count, rate, address_of(constants)))
