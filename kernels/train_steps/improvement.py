"""Updates: of a part of the parameters, and of a dense stage piece by piece as its gradient is computed."""

import math

from dnnkit.kernels.calls import at, call_update
from dnnkit.kernels.compiled import compiled
from dnnkit.kernels.matrix_product.cpu import in_tiles, product_of_columns, product_of_columns_in_use
from dnnkit.kernels.train_steps import stages
from dnnkit.kernels.views import element, matrix, part

PIECE = 8192
"""Elements of a kernel whose gradient is computed and used while it lies in the nearest caches."""


@compiled
def improve_stage(stage, x, index, columns, dz, numbers):
    """One step of the optimizer for a dense stage: each piece of the kernel as soon as its gradient is there.

    Its inputs are x; or, where there is an index, those rows of x, which use these columns.
    """
    parameters, gradient, slots, rule, step, rate, constants = numbers
    inputs, outputs = stage[stages.INPUTS], stage[stages.OUTPUTS]
    height = inputs
    if inputs * outputs > PIECE and (index is not None or in_tiles(x)):
        height = max(8, PIECE // outputs // 8 * 8)
    first, place = 0, 0
    while first < inputs:
        count = min(height, inputs - first)
        start, size = stage[stages.KERNEL] + first * outputs, count * outputs
        slope = matrix(gradient, stage[stages.KERNEL], count, outputs)
        if index is None:
            product_of_columns(x, first, dz, slope)
        else:
            end = columns.size if count == inputs else first_from(columns, place, first + count)
            product_of_columns_in_use(x, index, part(columns, place, end - place), first, dz, slope)
            place = end
        improve(
            part(parameters, start, size),
            part(gradient, stage[stages.KERNEL], size),
            slots,
            start,
            rule,
            step,
            rate,
            constants,
        )
        first += height
    start, size = stage[stages.BIAS], stage[stages.BIASES]
    improve(part(parameters, start, size), part(gradient, start, size), slots, start, rule, step, rate, constants)


@compiled
def first_from(columns, place, column):
    """The first place, from that one on, with a column not before this one."""
    while place < columns.size and element(columns, place) < column:
        place += 1
    return place


@compiled
def clip(gradient, clip_norm, norms):
    """Scale a part of the gradient down if the whole, whose squared norm is the sum of norms, is too long."""
    if clip_norm > 0:
        total = 0.0
        for part in norms:
            total += part
        norm = math.sqrt(total)
        if norm > clip_norm:
            factor = gradient.dtype.type(clip_norm / norm)
            for e in range(gradient.size):
                gradient[e] *= factor


@compiled
def improve(parameters, gradient, slots, start, rule, step, rate, constants):
    """One step of the optimizer for some parameters, whose slots begin at `start`; `step` counts from 1."""
    if parameters.size > 0:
        places = at(parameters), at(gradient), at(slots, start)
        call_update(rule, (step, places[0], places[1], places[2], slots.shape[1], parameters.size, rate, at(constants)))
