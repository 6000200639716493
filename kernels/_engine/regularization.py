"""Opcodes for penalties, parameter constraints and gradient clipping by norm, which read or change whole shares."""

import math

from dnnkit.kernels._engine.opcodes import opcode
from dnnkit.kernels._engine.structures import BOUND
from dnnkit.kernels._engine.updates import is_due
from dnnkit.kernels._numba.at_address import at, matrix, number, part, size_of, vector
from dnnkit.kernels._numba.jit import jit
from dnnkit.kernels.norm_bound.cpu import constrain as constrain_columns
from dnnkit.kernels.penalty.cpu import gradient, penalty

bound_at = at(BOUND)
BOUND_BYTES = BOUND.bytes


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
def constrain(worker, run, stage, option):
    """Apply the parameter constraint numbered by the option."""
    if not is_due(worker, run):
        return
    bound = bound_at(run.bounds + option * BOUND_BYTES)
    columns = matrix(run.zero, worker.parameters + bound.start, bound.inputs, bound.outputs)
    constrain_columns(columns, bound.least, bound.most, bound.rate, bound.not_negative > 0)


@jit
def first_of_norm(worker):
    """Return the first parameter whose gradient this worker counts in a norm; worker 0 counts replicated ones."""
    return worker.own if worker.number > 0 else worker.share


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
