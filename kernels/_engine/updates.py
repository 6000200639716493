"""Opcodes that compute gradients of kernels, and update parameters."""

import math

from dnnkit.kernels._engine.opcodes import opcode
from dnnkit.kernels._engine.stages import data_or_inputs, kernel_at, rows_in_it, x_of
from dnnkit.kernels._numba.at_address import element, matrix, number, part, size_of, vector
from dnnkit.kernels._numba.indirect_calls import call_update
from dnnkit.kernels._numba.jit import jit
from dnnkit.kernels.matmul.cpu import in_tiles, product_of_columns, product_of_nonzero_columns

PIECE, LARGEST_PIECE = 1 << 15, 1 << 18
"""Bytes of a piece: its gradient is used while it is in the nearest caches. As each piece reads all dz again, it is
larger where dz is, but not more than half of a second-level cache: the updates of 784-512-10 in batches of 128 take
14 % less than in pieces of 32 KiB.
"""


@jit
def dz_of(worker, run, stage):
    """The gradient of the stage's z."""
    return matrix(run.zero, worker.dz, worker.rows, stage.outputs)


@jit
def apply_update(worker, run, start, place, count):
    """One step of the optimizer for `count` parameters, `start` bytes from the first; their gradient is at `place`."""
    if count > 0:
        made = worker.step - run.first_step
        step = (run.first_update + made) // run.accumulation + 1
        call_update(
            run.rule,
            (
                step, worker.parameters + start, worker.gradient + place, worker.slots + start, run.slot_stride, count,
                number(0.0, run.rates, made), run.constants,
            ),
        )  # fmt: skip


@jit
def is_due(worker, run):
    """Whether this step's batch is the last of those that make an update."""
    return (run.first_update + worker.step - run.first_step + 1) % run.accumulation == 0


@jit
def update_bias(worker, run, stage):
    """One step of the optimizer for a stage's bias."""
    apply_update(worker, run, stage.bias, stage.bias, stage.biases)


@jit
def piece_of(worker, run, stage, count):
    """Where the gradient of `count` rows of the kernel goes: to the start of the kernel's."""
    return matrix(run.zero, worker.gradient + stage.kernel, count, stage.outputs)


@jit
def update_piece(worker, run, stage, first, count):
    """One step of the optimizer for `count` rows of the kernel from `first` on."""
    start = stage.kernel + first * stage.outputs * size_of(run.zero)
    apply_update(worker, run, start, stage.kernel, count * stage.outputs)


@jit
def height_of(worker, run, stage, divides):
    """Rows of the kernel in a piece; all if it is not divided."""
    row = stage.outputs * size_of(run.zero)
    piece = min(max(PIECE, 4 * worker.rows * row), LARGEST_PIECE)
    if not divides or stage.inputs * row <= piece:
        return stage.inputs
    height = piece // row & -8
    return height if height > 8 else 8


@opcode
def kernel_gradient(worker, run, stage, option):
    """Compute the gradient of a dense stage's kernel."""
    whole = kernel_at(stage, run, worker.gradient)
    product_of_columns(x_of(worker, run, stage), 0, dz_of(worker, run, stage), whole)


@opcode
def kernel_gradient_of_columns(worker, run, stage, option):
    """Compute the gradient of a dense stage's kernel, from the columns of its inputs that are not zero."""
    whole, columns = kernel_at(stage, run, worker.gradient), vector(0, worker.columns, worker.used)
    x, rows = data_or_inputs(worker, run, stage, option), rows_in_it(worker, run, option)
    product_of_nonzero_columns(x, rows, columns, 0, dz_of(worker, run, stage), whole)


@opcode
def update_fused(worker, run, stage, option):
    """Update a dense stage: each piece of its kernel as soon as its gradient is computed."""
    x, dz = x_of(worker, run, stage), dz_of(worker, run, stage)
    height = height_of(worker, run, stage, in_tiles(x))
    for first in range(0, stage.inputs, height):
        left = stage.inputs - first
        count = height if height < left else left
        product_of_columns(x, first, dz, piece_of(worker, run, stage, count))
        update_piece(worker, run, stage, first, count)
    update_bias(worker, run, stage)


@opcode
def update_fused_of_columns(worker, run, stage, option):
    """Update a dense stage, piece by piece, from the columns of its inputs that are not zero."""
    x, rows, dz = data_or_inputs(worker, run, stage, option), rows_in_it(worker, run, option), dz_of(worker, run, stage)
    columns, height, place = vector(0, worker.columns, worker.used), height_of(worker, run, stage, True), 0
    missing = stage.inputs - columns.size
    for first in range(0, stage.inputs, height):
        left = stage.inputs - first
        count = height if height < left else left
        end = place + count - missing if missing < count else place
        while end < columns.size and element(columns, end) < first + count:
            end += 1
        here = part(columns, place, end - place)
        product_of_nonzero_columns(x, rows, here, first, dz, piece_of(worker, run, stage, count))
        update_piece(worker, run, stage, first, count)
        place = end
    update_bias(worker, run, stage)


@opcode
def update_stage(worker, run, stage, option):
    """Update a stage, whose gradients are computed: all its own, or, with option 1, a kernel and its bias."""
    if option == 1:
        apply_update(worker, run, stage.kernel, stage.kernel, stage.inputs * stage.outputs)
    update_bias(worker, run, stage)


@opcode
def add_gradients(worker, run, stage, option):
    """Add all workers' gradients, for the parameters that this worker updates."""
    first, size = worker.share, size_of(run.zero)
    gradient = vector(run.zero, worker.gradient + first * size, worker.share_end - first)
    for other in range(run.workers):
        if other != worker.number:
            place = run.gradients + other * run.gradient_stride + first * size
            summand = vector(run.zero, place, gradient.size)
            for e in range(gradient.size):
                gradient[e] += summand[e]


@opcode
def sum_gradients(worker, run, stage, option):
    """Write the sum of all workers' gradients, for this worker's share of the parameters, to the whole gradient."""
    start, count = worker.share * size_of(run.zero), worker.share_end - worker.share
    whole = vector(run.zero, run.whole_gradient + start, count)
    for other in range(run.workers):
        summand = vector(run.zero, run.gradients + other * run.gradient_stride + start, count)
        for e in range(count):
            whole[e] = summand[e] if other == 0 else whole[e] + summand[e]


@opcode
def accumulate(worker, run, stage, option):
    """Add this worker's share of the gradient to that of other batches; the last of them has the sum.

    With option 1 the sum becomes a mean.
    """
    size, count = size_of(run.zero), worker.share_end - worker.share
    gradient = vector(run.zero, worker.gradient + worker.share * size, count)
    total = vector(run.zero, worker.slots + (run.gradient_sum * run.slot_stride + worker.share) * size, count)
    factor = gradient.dtype.type(1 / run.accumulation if option == 1 else 1)
    is_first = (run.first_update + worker.step - run.first_step) % run.accumulation == 0
    for e in range(count):
        total[e] = factor * gradient[e] if is_first else total[e] + factor * gradient[e]
    if is_due(worker, run):
        for e in range(count):
            gradient[e] = total[e]


@opcode
def norm(worker, run, stage, option):
    """Compute this worker's part of the gradient's squared norm."""
    first = worker.own if worker.number > 0 else worker.share
    gradient = vector(run.zero, worker.gradient + first * size_of(run.zero), worker.share_end - first)
    squares = 0.0
    for value in gradient:
        squares += value * value
    norms = matrix(0.0, run.norms, 2, run.workers)
    norms[worker.step & 1, worker.number] = squares


@opcode
def clip(worker, run, stage, option):
    """Clip this worker's share of the gradient by the norm of the whole."""
    norms, total = vector(0.0, run.norms + 8 * (worker.step & 1) * run.workers, run.workers), 0.0
    for part_of_it in norms:
        total += part_of_it
    length = math.sqrt(total)
    if length > run.clip_norm:
        place = worker.gradient + worker.share * size_of(run.zero)
        gradient = vector(run.zero, place, worker.share_end - worker.share)
        factor = gradient.dtype.type(run.clip_norm / length)
        for e in range(gradient.size):
            gradient[e] *= factor


@opcode
def update(worker, run, stage, option):
    """Update this worker's share of the parameters, if the batch is the last of those that make an update."""
    if not is_due(worker, run):
        return
    size = size_of(run.zero)
    # Replicated parameters first, on their own, so that every worker rounds them identically.
    apply_update(worker, run, worker.share * size, worker.share * size, worker.own - worker.share)
    apply_update(worker, run, worker.own * size, worker.own * size, worker.share_end - worker.own)
