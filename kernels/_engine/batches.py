"""Opcodes that load a batch: its inputs, targets and weights."""

import numpy as np

from dnnkit.kernels._engine.opcodes import BUFFERS, opcode
from dnnkit.kernels._numba.at_address import copy_bytes, element, matrix, number, size_of, vector
from dnnkit.kernels._numba.indirect_calls import address_of
from dnnkit.kernels._numba.jit import jit
from dnnkit.kernels._numba.prefetch import STREAM, WHOLE, prefetch_rows
from dnnkit.kernels.gather.cpu import gather
from dnnkit.kernels.nonzero_columns.cpu import nonzero_columns


@jit
def rows_from(run, first, count):
    """Return the indices of up to `count` rows in the epoch's order, starting at position `first`."""
    left = run.row_count - first
    here = count if count < left else left
    return vector(0, run.order + 8 * first, here if here > 0 else 0)


@jit
def rows_of(worker, run):
    """Return the row indices of this worker's part of the batch."""
    return rows_from(run, worker.first_row, worker.rows)


@jit
def next_rows(worker, run):
    """Return the row indices of the next batch, to be prefetched."""
    return rows_from(run, worker.first_row + run.batch_size, worker.rows)


@jit
def numbers_of(run):
    """Return the data's inputs, in the network's dtype."""
    return matrix(run.zero, run.x, run.row_limit, run.features)


@jit
def bytes_of(run):
    """Return the data's inputs, uint8."""
    return matrix(np.uint8(0), run.x, run.row_limit, run.features)


@jit
def prefetch(data, rows, most):
    """Prefetch the first `most` bytes of each of these rows of the data."""
    prefetch_rows(address_of(data), data.shape[0], data.shape[1] * data.itemsize, rows, most)


@jit
def take(worker, run, data):
    """Gather the batch's rows, convert and rescale them into the worker's inputs, and prefetch the next batch."""
    x = matrix(run.zero, worker.inputs, worker.rows, run.features)
    gather(data, rows_of(worker, run), run.scale, run.offset, x)
    prefetch(data, next_rows(worker, run), WHOLE)


@opcode
def take_numbers(worker, run, stage, option):
    """Gather the batch's inputs."""
    take(worker, run, numbers_of(run))


@opcode
def take_bytes(worker, run, stage, option):
    """Gather the batch's inputs from uint8 data."""
    take(worker, run, bytes_of(run))


@opcode
def take_few(worker, run, stage, option):
    """Copy and rescale the inputs of a few rows; set `nan_step` to 0 if any is not finite."""
    given = vector(run.zero, run.x, worker.rows * run.features)
    x = vector(run.zero, worker.inputs, given.size)
    scale, offset, is_finite = x.dtype.type(run.scale), x.dtype.type(run.offset), True
    for e in range(given.size):
        is_finite &= given[e] - given[e] == 0
        x[e] = given[e] * scale + offset
    if not is_finite:
        worker.nan_step = 0


@jit
def share(worker, run, data, ahead):
    """Gather this worker's part of the inputs shared by all workers, of this step or `ahead` steps later."""
    step = worker.step + ahead
    start = step * run.batch_size
    left = run.row_count - start
    count = run.batch_size if run.batch_size < left else left
    begin, end = count * worker.number // run.workers, count * (worker.number + 1) // run.workers
    if end > begin:
        place = shared_place(run, step) + begin * run.features * size_of(run.zero)
        x = matrix(run.zero, place, end - begin, run.features)
        gather(data, rows_from(run, start + begin, end - begin), run.scale, run.offset, x)
        if start + run.batch_size + end <= run.row_count:
            prefetch(data, rows_from(run, start + run.batch_size + begin, end - begin), WHOLE)


@jit
def shared_place(run, step):
    """Return the address of the inputs that all workers read in a step."""
    return run.shared_inputs + step % BUFFERS * run.batch_size * run.features * size_of(run.zero)


@opcode
def share_numbers(worker, run, stage, option):
    """Gather this worker's part of the inputs shared by all workers: of this step, or of the next with option 1."""
    share(worker, run, numbers_of(run), option)


@opcode
def share_bytes(worker, run, stage, option):
    """As share_numbers, for uint8 inputs."""
    share(worker, run, bytes_of(run), option)


@opcode
def use_shared(worker, run, stage, option):
    """Make the first stage read the inputs shared by all workers."""
    stage.x = shared_place(run, worker.step)


@opcode
def prefetch_inputs(worker, run, stage, option):
    """Prefetch the next batch's inputs, which matrix products read in place."""
    prefetch(numbers_of(run), next_rows(worker, run), STREAM)


@opcode
def find_columns(worker, run, stage, option):
    """Find the columns of the inputs that are nonzero in any row of the batch."""
    bits = matrix(0, run.bits, run.row_limit, run.words)
    columns = vector(0, worker.columns, run.features + run.words)
    worker.used = nonzero_columns(bits, rows_of(worker, run), columns)
    prefetch(bits, next_rows(worker, run), WHOLE)


@opcode
def take_labels(worker, run, stage, option):
    """Gather the batch's labels."""
    rows, labels = rows_of(worker, run), vector(0, worker.targets, worker.rows)
    for i in range(rows.size):
        labels[i] = number(0, run.targets, rows[i])


@opcode
def take_targets(worker, run, stage, option):
    """Gather the batch's targets."""
    rows, width = rows_of(worker, run), run.target_width
    values, targets = vector(run.zero, worker.targets, worker.rows * width), run.targets
    if width == 1:
        for i in range(rows.size):  # setting up an inner loop would dominate
            values[i] = number(run.zero, targets, rows[i])
    else:
        bytes_per_row = width * size_of(run.zero)
        for i in range(rows.size):
            copy_bytes(worker.targets + i * bytes_per_row, targets + element(rows, i) * bytes_per_row, bytes_per_row)
        prefetch_rows(targets, run.row_limit, width * size_of(run.zero), next_rows(worker, run), WHOLE)


@opcode
def take_weights(worker, run, stage, option):
    """Gather the batch's row weights."""
    rows, width, given = rows_of(worker, run), run.weight_width, run.weights
    weights = vector(run.zero, worker.weights, worker.rows * width)
    if width == 1:
        for i in range(rows.size):
            weights[i] = number(run.zero, given, rows[i])
    else:
        for i in range(rows.size):
            for k in range(width):
                weights[i * width + k] = number(run.zero, given, rows[i] * width + k)
