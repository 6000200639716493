"""Opcodes that compute gradients of kernels, and update parameters."""

from dnnkit.kernels._engine.opcodes import opcode
from dnnkit.kernels._engine.stages import data_or_inputs, gradient_of, kernel_at, rows_in_it, x_of
from dnnkit.kernels._numba.at_address import element, matrix, number, part, size_of, vector
from dnnkit.kernels._numba.indirect_calls import call_update
from dnnkit.kernels._numba.jit import jit
from dnnkit.kernels.matmul.cpu import in_tiles, product_of_columns, product_of_nonzero_columns

PIECE, LARGEST_PIECE = 1 << 15, 1 << 18
"""Bytes per piece of a kernel: a piece's gradient is consumed while it is in the nearest caches. Every piece reads all
of dz again, so pieces grow with dz, up to half of a second-level cache: updates of 784-512-10 at batch size 128 take
14 % less time than with pieces of 32 KiB.
"""


@jit
def dz_of(worker, run, stage):
    """Return the gradient of the stage's z."""
    return matrix(run.zero, worker.dz, worker.rows, stage.outputs)


@jit
def apply_update(worker, run, start, place, count):
    """Apply an optimizer step to `count` parameters, `start` bytes from the first; their gradient is at `place`."""
    if count > 0:
        if run.clip_value > 0:
            clip_elements(run, worker.gradient + place, count)
        if run.segments == 0:
            apply_rules(worker, run, start, place, count, 0)
        else:
            apply_update_to_segments(worker, run, start, place, count * size_of(run.zero))


@jit
def apply_rules(worker, run, start, place, count, group):
    """As `apply_update`, with the hyperparameters of a parameter group."""
    made = worker.step - run.first_step
    update_number = (run.first_update + made) // run.accumulation + 1
    rate = number(0.0, run.rates + group * run.group_rates, made)
    constants = run.constants + group * run.group_constants + made * run.constant_stride
    parameters, gradient, slots = worker.parameters + start, worker.gradient + place, worker.slots + start
    call_update(run.rule, (update_number, parameters, gradient, slots, run.slot_stride, count, rate, constants))
    if run.average != 0 and run.averages_apart == 0:
        slots, constants = slots + run.average_slot, constants + run.average_constants
        call_update(run.average, (update_number, parameters, gradient, slots, run.slot_stride, count, rate, constants))


@jit
def apply_update_to_segments(worker, run, start, place, length):
    """As `apply_update`, for `length` bytes of parameters, each with the hyperparameters of its group."""
    segments, size = matrix(0, worker.segments, run.segments, 4), size_of(run.zero)
    for s in range(run.segments):
        begin, end = max(segments[s, 0], start), min(segments[s, 1], start + length)
        if begin < end:
            apply_rules(worker, run, begin, place + begin - start, (end - begin) // size, segments[s, 2])


@jit
def clip_elements(run, address, count):
    """Clip each element of a gradient."""
    gradient = vector(run.zero, address, count)
    bound = gradient.dtype.type(run.clip_value)
    for e in range(count):
        value = gradient[e]
        gradient[e] = bound if value > bound else (-bound if value < -bound else value)


@jit
def is_due(worker, run):
    """Whether this step's batch completes an update (gradient accumulation)."""
    return (run.first_update + worker.step - run.first_step + 1) % run.accumulation == 0


@jit
def update_bias(worker, run, stage):
    """Apply an optimizer step to a stage's bias."""
    apply_update(worker, run, stage.bias, stage.bias, stage.biases)


@jit
def piece_of(worker, run, stage, count):
    """Return the array for the gradient of `count` rows of the kernel; all pieces use the same one."""
    return matrix(run.zero, worker.gradient + stage.kernel, count, stage.outputs)


@jit
def update_piece(worker, run, stage, first, count):
    """Apply an optimizer step to `count` rows of the kernel, from row `first`."""
    start = stage.kernel + first * stage.outputs * size_of(run.zero)
    apply_update(worker, run, start, stage.kernel, count * stage.outputs)


@jit
def height_of(worker, run, stage, divides):
    """Return the rows of the kernel per piece; all rows if it is not divided."""
    row = stage.outputs * size_of(run.zero)
    piece = min(max(PIECE, 4 * worker.rows * row), LARGEST_PIECE)
    if not divides or stage.inputs * row <= piece:
        return stage.inputs
    height = piece // row & -8
    return height if height > 8 else 8


@opcode
def kernel_gradient(worker, run, stage, option):
    """Compute the gradient of a dense stage's kernel."""
    whole = kernel_at(stage, run, gradient_of(worker, stage))
    product_of_columns(x_of(worker, run, stage), 0, dz_of(worker, run, stage), whole, worker.offer)


@opcode
def kernel_gradient_of_columns(worker, run, stage, option):
    """Compute the gradient of a dense stage's kernel from the nonzero columns of its inputs."""
    whole, columns = kernel_at(stage, run, gradient_of(worker, stage)), vector(0, worker.columns, worker.used)
    x, rows = data_or_inputs(worker, run, stage, option), rows_in_it(worker, run, option)
    product_of_nonzero_columns(x, rows, columns, 0, dz_of(worker, run, stage), whole, worker.offer)


@opcode
def update_fused(worker, run, stage, option):
    """Update a dense stage, each piece of its kernel as soon as its gradient is computed."""
    x, dz = x_of(worker, run, stage), dz_of(worker, run, stage)
    height = height_of(worker, run, stage, in_tiles(x, stage.outputs))
    for first in range(0, stage.inputs, height):
        left = stage.inputs - first
        count = height if height < left else left
        product_of_columns(x, first, dz, piece_of(worker, run, stage, count), worker.offer)
        update_piece(worker, run, stage, first, count)
    update_bias(worker, run, stage)


@opcode
def update_fused_of_columns(worker, run, stage, option):
    """Update a dense stage, piece by piece, from the nonzero columns of its inputs."""
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
        product_of_nonzero_columns(x, rows, here, first, dz, piece_of(worker, run, stage, count), worker.offer)
        update_piece(worker, run, stage, first, count)
        place = end
    update_bias(worker, run, stage)


@opcode
def update_stage(worker, run, stage, option):
    """Update a stage whose gradients are computed: all its parameters, or with option 1 a kernel and its bias."""
    if option == 1:
        apply_update(worker, run, stage.kernel, stage.kernel, stage.inputs * stage.outputs)
    update_bias(worker, run, stage)


@opcode
def accumulate(worker, run, stage, option):
    """Add this worker's share of the gradient to that of the other batches; the last batch gets the sum.

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
def update(worker, run, stage, option):
    """Update this worker's share of the parameters, if this batch completes an update."""
    if not is_due(worker, run):
        return
    size = size_of(run.zero)
    # Replicated parameters first, on their own, so that every worker rounds them identically.
    apply_update(worker, run, worker.share * size, worker.share * size, worker.own - worker.share)
    apply_update(worker, run, worker.own * size, worker.own * size, worker.share_end - worker.own)


@opcode
def average(worker, run, stage, option):
    """Update the running means of this worker's share of the parameters, after constraints were applied."""
    count, made = worker.share_end - worker.share, worker.step - run.first_step
    if not is_due(worker, run) or count == 0:
        return
    start, update_number = worker.share * size_of(run.zero), (run.first_update + made) // run.accumulation + 1
    constants = run.constants + made * run.constant_stride + run.average_constants
    parameters, gradient = worker.parameters + start, worker.gradient + start
    slots, rate = worker.slots + start + run.average_slot, number(0.0, run.rates, made)
    call_update(run.average, (update_number, parameters, gradient, slots, run.slot_stride, count, rate, constants))
