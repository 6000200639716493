"""Opcodes of a first dense stage whose inputs are compressed rows (`kernels/compressed_rows`), read in place."""

from dnnkit.kernels._engine.batches import rows_of
from dnnkit.kernels._engine.opcodes import opcode
from dnnkit.kernels._engine.stages import finish, gradient_of, kernel_at, z_of
from dnnkit.kernels._engine.updates import dz_of, height_of, piece_of, update_bias, update_piece
from dnnkit.kernels._numba.at_address import element, vector
from dnnkit.kernels._numba.jit import jit
from dnnkit.kernels.compressed_rows.cpu import begin, product, transposed_piece, transposed_product


@jit
def entries_of(run):
    """Return the data's starts, columns and values."""
    starts = vector(0, run.starts, run.row_limit + 1)
    count = element(starts, run.row_limit)
    return starts, vector(0, run.entry_columns, count), vector(run.zero, run.x, count)


@opcode
def dense_of_compressed(worker, run, stage, option):
    """Compute a dense stage from the nonzero numbers of its inputs."""
    starts, columns, values = entries_of(run)
    z = z_of(worker, run, stage)
    product(starts, columns, values, rows_of(worker, run), kernel_at(stage, run, worker.parameters), z)
    finish(worker, run, stage)


@opcode
def kernel_gradient_of_compressed(worker, run, stage, option):
    """Compute the gradient of a dense stage's kernel from the nonzero numbers of its inputs."""
    starts, columns, values = entries_of(run)
    rows, whole = rows_of(worker, run), kernel_at(stage, run, gradient_of(worker, stage))
    places = vector(0, worker.columns, rows.size)
    transposed_product(starts, columns, values, rows, dz_of(worker, run, stage), whole, places)


@opcode
def update_fused_of_compressed(worker, run, stage, option):
    """Update a dense stage, piece by piece, from the nonzero numbers of its inputs."""
    starts, columns, values = entries_of(run)
    rows, dz, height = rows_of(worker, run), dz_of(worker, run, stage), height_of(worker, run, stage, True)
    places = vector(0, worker.columns, rows.size)
    begin(starts, rows, places)
    for first in range(0, stage.inputs, height):
        left = stage.inputs - first
        count = height if height < left else left
        transposed_piece(starts, columns, values, rows, dz, places, first, piece_of(worker, run, stage, count))
        update_piece(worker, run, stage, first, count)
    update_bias(worker, run, stage)
