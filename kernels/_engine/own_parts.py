"""Opcodes around user-defined parts: worker 0 calls them on whole batches, of which each worker has a part."""

from dnnkit.kernels._engine.opcodes import opcode
from dnnkit.kernels._engine.structures import OWN, WORKER
from dnnkit.kernels._numba.at_address import at, copy_bytes, size_of
from dnnkit.kernels._numba.jit import jit

own_at, worker_at = at(OWN), at(WORKER)


@jit
def part_of(worker, run, whole, first, columns):
    """Return the address of this worker's part of a whole array: its rows, or its columns from `first` on."""
    row = worker.first_in_batch if run.by_rows else 0
    return whole + (row * columns + first) * size_of(run.zero)


@jit
def copy_rows(rows, width, given, given_stride, made, made_stride):
    """Copy rows of `width` bytes, unless they are there already."""
    if given == made:
        return
    if given_stride == width and made_stride == width:
        copy_bytes(made, given, rows * width)
        return
    for i in range(rows):
        copy_bytes(made + i * made_stride, given + i * given_stride, width)


@jit
def give(worker, run, part, width, whole, first, columns):
    """Copy this worker's part of an array to the whole."""
    size, place = size_of(run.zero), part_of(worker, run, whole, first, columns)
    copy_rows(worker.rows, width * size, part, width * size, place, columns * size)


@jit
def take(worker, run, part, width, whole, first, columns):
    """Copy this worker's part of an array from the whole."""
    size, place = size_of(run.zero), part_of(worker, run, whole, first, columns)
    copy_rows(worker.rows, width * size, place, columns * size, part, width * size)


@opcode
def give_own_x(worker, run, stage, option):
    """Copy this worker's part of a stage's inputs to the whole batch, for its user-defined forward."""
    own = own_at(stage.own)
    give(worker, run, stage.x, stage.inputs, own.x, own.first_input, own.inputs)


@opcode
def take_own_y(worker, run, stage, option):
    """Copy this worker's part of what a stage's user-defined forward returned."""
    own = own_at(stage.own)
    take(worker, run, stage.y, stage.outputs, own.y, own.first_output, own.outputs)


@opcode
def give_own_dy(worker, run, stage, option):
    """Copy this worker's part of the gradient of a stage's y to the whole batch, for its user-defined backward."""
    own = own_at(stage.own)
    give(worker, run, worker.dy, stage.outputs, own.dy, own.first_output, own.outputs)


@opcode
def take_own_dx(worker, run, stage, option):
    """Copy this worker's part of the dx that a stage's user-defined backward returned, and propagate it."""
    own = own_at(stage.own)
    take(worker, run, stage.dx, stage.inputs, own.dx, own.first_input, own.inputs)
    worker.dy = stage.dx


@opcode
def take_own_dscores(worker, run, stage, option):
    """Take the gradient of the scores from user-defined losses: by units, all of it from worker 0."""
    if not run.by_rows:
        size = worker.rows * run.outputs * size_of(run.zero)
        copy_rows(1, size, worker_at(run.worker).dscores, size, worker.dscores, size)
    worker.dy = worker.dscores
