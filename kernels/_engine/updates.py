"""Opcodes that compute gradients of kernels, and update parameters."""

import math

from dnnkit.kernels._engine.opcodes import opcode
from dnnkit.kernels._engine.stages import data_or_inputs, gradient_of, kernel_at, rows_in_it, x_of
from dnnkit.kernels._engine.structures import BOUND, LINE, WORKER
from dnnkit.kernels._numba.at_address import at, copy_bytes, element, matrix, number, part, size_of, vector
from dnnkit.kernels._numba.indirect_calls import call_update
from dnnkit.kernels._numba.jit import jit
from dnnkit.kernels.matmul.cpu import in_tiles, product_of_columns, product_of_nonzero_columns
from dnnkit.kernels.norm_bound.cpu import hold as hold_columns
from dnnkit.kernels.penalty.cpu import gradient, penalty

bound_at, worker_at = at(BOUND), at(WORKER)
BOUND_BYTES, WORKER_BYTES = BOUND.bytes, WORKER.bytes
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
    product_of_columns(x_of(worker, run, stage), 0, dz_of(worker, run, stage), whole)


@opcode
def kernel_gradient_of_columns(worker, run, stage, option):
    """Compute the gradient of a dense stage's kernel from the nonzero columns of its inputs."""
    whole, columns = kernel_at(stage, run, gradient_of(worker, stage)), vector(0, worker.columns, worker.used)
    x, rows = data_or_inputs(worker, run, stage, option), rows_in_it(worker, run, option)
    product_of_nonzero_columns(x, rows, columns, 0, dz_of(worker, run, stage), whole)


@opcode
def update_fused(worker, run, stage, option):
    """Update a dense stage, each piece of its kernel as soon as its gradient is computed."""
    x, dz = x_of(worker, run, stage), dz_of(worker, run, stage)
    height = height_of(worker, run, stage, in_tiles(x, stage.outputs))
    for first in range(0, stage.inputs, height):
        left = stage.inputs - first
        count = height if height < left else left
        product_of_columns(x, first, dz, piece_of(worker, run, stage, count))
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
        product_of_nonzero_columns(x, rows, here, first, dz, piece_of(worker, run, stage, count))
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
def claim_parameters(worker, run, stage, option):
    """Write to each cache line of a worker's own parameters, so that the caller can write them again fast.

    The caller assigns them, and this worker only reads them (`send_parameters` says what that costs). The option is 0,
    which the compiler cannot know: the numbers stay the same.
    """
    if worker.parameters != worker_at(run.worker).parameters:
        words = vector(0, worker.parameters, worker.share_end * size_of(run.zero) // 8)
        for e in range(0, words.size, LINE):
            words[e] ^= option


@opcode
def sum_gradients(worker, run, stage, option):
    """Write the sum of all workers' gradients, for this worker's share of the parameters, to the whole gradient.

    The first worker's gradient may already be there. The others' are overwritten with the sum, because their workers
    write there next (`send_parameters`).
    """
    start, count = worker.share * size_of(run.zero), worker.share_end - worker.share
    whole = vector(run.zero, run.whole_gradient + start, count)
    for other in range(run.workers):
        place = worker_at(run.worker + other * WORKER_BYTES).gradient
        if place != run.whole_gradient:
            summand = vector(run.zero, place + start, count)
            for e in range(count):
                total = summand[e] if other == 0 else whole[e] + summand[e]
                whole[e], summand[e] = total, total


@jit
def first_of_norm(worker):
    """Return the first parameter whose gradient this worker counts in a norm; worker 0 counts replicated ones."""
    return worker.own if worker.number > 0 else worker.share


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
def hold(worker, run, stage, option):
    """Apply the parameter constraint numbered by the option."""
    if not is_due(worker, run):
        return
    bound = bound_at(run.bounds + option * BOUND_BYTES)
    columns = matrix(run.zero, worker.parameters + bound.start, bound.inputs, bound.outputs)
    hold_columns(columns, bound.least, bound.most, bound.rate, bound.not_negative > 0)


@opcode
def penalize(worker, run, stage, option):
    """Add the gradient and the value of this worker's share of the penalties; option 1: to the whole gradient."""
    count, size = worker.share_end - worker.share, size_of(run.zero)
    rows = run.penalties + 2 * worker.number * run.penalty_stride * size
    start = worker.share * size
    place = run.whole_gradient if option == 1 else worker.gradient
    parameters, dw = vector(run.zero, worker.parameters + start, count), vector(run.zero, place + start, count)
    l1, l2 = vector(run.zero, rows + start, count), vector(run.zero, rows + run.penalty_stride * size + start, count)
    gradient(parameters, dw, l1, l2)
    first = worker.own - worker.share if worker.number > 0 else 0
    left = count - first
    own = penalty(part(parameters, first, left), part(l1, first, left), part(l2, first, left))
    if run.by_rows or run.workers == 1:
        add_penalty(worker, run, own)
    else:
        matrix(0.0, run.penalty_sums, 2, run.workers)[worker.step & 1, worker.number] = own


@jit
def add_penalty(worker, run, value):
    """Add a penalty to the loss of this worker's rows."""
    totals = vector(0.0, worker.totals, 1)
    totals[0] += value if run.sums_up else value * number(0.0, run.batch_weights, worker.step)


@opcode
def join_penalties(worker, run, stage, option):
    """Add all workers' penalties to the loss, when each holds part of the parameters."""
    sums, total = vector(0.0, run.penalty_sums + 8 * (worker.step & 1) * run.workers, run.workers), 0.0
    for own in sums:
        total += own
    add_penalty(worker, run, total)


@opcode
def norm(worker, run, stage, option):
    """Compute this worker's part of the gradient's squared norm."""
    first = first_of_norm(worker)
    gradient = vector(run.zero, worker.gradient + first * size_of(run.zero), worker.share_end - first)
    squares = 0.0
    for value in gradient:
        squares += value * value
    norms = matrix(0.0, run.norms, 2, run.workers)
    norms[worker.step & 1, worker.number] = squares


@jit
def scale_down(run, gradient, squares):
    """Scale down part of a gradient whose squared norm is `squares`, if that exceeds the bound."""
    length = math.sqrt(squares)
    if length > run.clip_norm:
        factor = gradient.dtype.type(run.clip_norm / length)
        for e in range(gradient.size):
            gradient[e] *= factor


@opcode
def clip(worker, run, stage, option):
    """Clip this worker's share of the gradient by the norm of the whole."""
    norms, total = vector(0.0, run.norms + 8 * (worker.step & 1) * run.workers, run.workers), 0.0
    for part_of_it in norms:
        total += part_of_it
    place = worker.gradient + worker.share * size_of(run.zero)
    scale_down(run, vector(run.zero, place, worker.share_end - worker.share), total)


@jit
def norms_of(worker, run):
    """Return all workers' squared norms of each parameter's gradient in this step."""
    place = run.norms + 8 * (worker.step & 1) * run.workers * run.norm_count
    return matrix(0.0, place, run.workers, run.norm_count)


@opcode
def norm_of_each(worker, run, stage, option):
    """Compute this worker's part of the squared norm of each parameter's gradient."""
    size = size_of(run.zero)
    first = first_of_norm(worker) * size
    norms, segments = norms_of(worker, run), matrix(0, worker.segments, run.segments, 4)
    for parameter in range(run.norm_count):
        norms[worker.number, parameter] = 0.0
    for s in range(run.segments):
        begin, end = max(segments[s, 0], first), min(segments[s, 1], worker.share_end * size)
        if begin < end:
            squares = 0.0
            for value in vector(run.zero, worker.gradient + begin, (end - begin) // size):
                squares += value * value
            norms[worker.number, segments[s, 3]] += squares


@opcode
def clip_each(worker, run, stage, option):
    """Clip this worker's share of the gradient, each parameter by its own norm."""
    size, norms = size_of(run.zero), norms_of(worker, run)
    segments = matrix(0, worker.segments, run.segments, 4)
    for s in range(run.segments):
        begin, end = max(segments[s, 0], worker.share * size), min(segments[s, 1], worker.share_end * size)
        if begin < end:
            total = 0.0
            for other in range(run.workers):
                total += norms[other, segments[s, 3]]
            scale_down(run, vector(run.zero, worker.gradient + begin, (end - begin) // size), total)


@opcode
def update(worker, run, stage, option):
    """Update this worker's share of the parameters, if this batch completes an update."""
    if not is_due(worker, run):
        return
    size = size_of(run.zero)
    # Replicated parameters first, on their own, so that every worker rounds them identically.
    apply_update(worker, run, worker.share * size, worker.share * size, worker.own - worker.share)
    apply_update(worker, run, worker.own * size, worker.own * size, worker.share_end - worker.own)


@jit
def copy_numbers(run, source, target, first, end):
    """Copy the numbers from `first` to `end` of one array of all parameters to another, both by address."""
    size = size_of(run.zero)
    copy_bytes(target + first * size, source + first * size, (end - first) * size)


@opcode
def send_parameters(worker, run, stage, option):
    """Write this worker's share of the updated parameters to the other workers' gradients, for `receive_parameters`.

    A processor is slow to write what another one has only read since (9 ns per cache line on a fourth-generation AMD
    EPYC, where reading it from there takes 1). So workers share no parameters, and a worker writes whatever it reads of
    another's gradient.
    """
    if is_due(worker, run):
        for other in range(run.workers):
            if other != worker.number:
                target = run.gradients + other * run.gradient_stride
                copy_numbers(run, worker.parameters, target, worker.share, worker.share_end)


@opcode
def receive_parameters(worker, run, stage, option):
    """Take the parameters that the other workers have updated and left in this worker's gradient."""
    if is_due(worker, run):
        for number_of_other in range(run.workers):
            if number_of_other != worker.number:
                other = worker_at(run.worker + number_of_other * WORKER_BYTES)
                copy_numbers(run, worker.gradient, worker.parameters, other.share, other.share_end)


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
