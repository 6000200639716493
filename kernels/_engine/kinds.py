"""Accessors for the opcodes of a kind of stage; `kernels/stages/README.md` explains how to write one."""

from dnnkit.kernels._engine.stages import gradient_of, place_in_exchange
from dnnkit.kernels._engine.structures import PARAMETER, SOURCE
from dnnkit.kernels._numba.at_address import at, matrix, number, size_of, vector
from dnnkit.kernels._numba.jit import jit

source_at, parameter_at = at(SOURCE), at(PARAMETER)
SOURCE_BYTES, PARAMETER_BYTES = SOURCE.bytes, PARAMETER.bytes


@jit
def source(worker, run, stage, place):
    """Return the k-th input of the stage, (rows, I_k)."""
    one = source_at(stage.sources + place * SOURCE_BYTES)
    return matrix(run.zero, one.x, worker.rows, one.features)


@jit
def source_wanted(stage, place):
    """Whether the gradient of the k-th input is needed."""
    return source_at(stage.sources + place * SOURCE_BYTES).dx != 0


@jit
def source_gradient(worker, run, stage, place):
    """Return the array for the gradient of the k-th input, (rows, I_k)."""
    one = source_at(stage.sources + place * SOURCE_BYTES)
    return matrix(run.zero, one.dx, worker.rows, one.features)


@jit
def y_of(worker, run, stage):
    """Return the array for the stage's output, (rows, O)."""
    return matrix(run.zero, stage.y, worker.rows, stage.outputs)


@jit
def dy_of(worker, run, stage):
    """Return the gradient of the stage's output, (rows, O); read-only."""
    return matrix(run.zero, stage.dy, worker.rows, stage.outputs)


@jit
def parameter(worker, run, stage, place):
    """Return a parameter of the stage, flat."""
    one = parameter_at(stage.parameters + place * PARAMETER_BYTES)
    return vector(run.zero, worker.parameters + one.start, one.size)


@jit
def parameter_gradient(worker, run, stage, place):
    """Return the array for a parameter's gradient, flat: the sum over this worker's rows."""
    one = parameter_at(stage.parameters + place * PARAMETER_BYTES)
    return vector(run.zero, gradient_of(worker, stage) + one.start, one.size)


@jit
def saved(worker, run, stage):
    """Return the array that the forward pass saves for the backward pass, (rows, `saves`)."""
    return matrix(run.zero, stage.saved, worker.rows, stage.saves)


@jit
def kept(run, stage):
    """Return the worker's array for the stage whose size is independent of the rows, (`keeps`,)."""
    return vector(run.zero, stage.kept, stage.keeps)


@jit
def flat(worker, run, stage, address):
    """Return the array at an address with the size of the stage's output, flat: a single loop over it is fastest."""
    return vector(run.zero, address, worker.rows * stage.outputs)


@jit
def flat_source(worker, run, stage, place):
    """Return the k-th input of the stage, flat."""
    one = source_at(stage.sources + place * SOURCE_BYTES)
    return vector(run.zero, one.x, worker.rows * one.features)


@jit
def flat_gradient(worker, run, stage, place):
    """Return the array for the gradient of the k-th input, flat."""
    one = source_at(stage.sources + place * SOURCE_BYTES)
    return vector(run.zero, one.dx, worker.rows * one.features)


@jit
def copy_columns(run, rows, count, given, given_width, first, made, made_width, start):
    """Copy `count` columns per row: from column `first` of one matrix to column `start` of another, both by address."""
    size = size_of(run.zero)
    for i in range(rows):
        x = vector(run.zero, given + (i * given_width + first) * size, count)
        y = vector(run.zero, made + (i * made_width + start) * size, count)
        for k in range(count):
            y[k] = x[k]


@jit
def setting(stage, place):
    """Return one of the stage's numeric settings, float64."""
    return number(0.0, stage.settings, place)


@jit
def my_sums(worker, run, stage, first, count):
    """Return this worker's `sums`, `count` of them from `first` on, which the others read after the next exchange."""
    place = place_in_exchange(worker, run, stage, worker.number) + first * size_of(run.zero)
    return vector(run.zero, place, count)


@jit
def add_sums(worker, run, stage, first, out):
    """After the exchange, write the sum of all workers' `sums`, in worker order, to out; its own if it has all rows."""
    low, high = (0, run.workers) if run.by_rows else (worker.number, worker.number + 1)
    for other in range(low, high):
        place = place_in_exchange(worker, run, stage, other) + first * size_of(run.zero)
        summand = vector(run.zero, place, out.size)
        for e in range(out.size):
            out[e] = summand[e] if other == low else out[e] + summand[e]


@jit
def rows_of_batch(worker, run):
    """Return the number of rows of the whole batch; `worker.rows` are this worker's."""
    left = run.row_count - worker.step * run.batch_size
    return run.batch_size if run.batch_size < left else left


@jit
def draw_of(worker, run):
    """Return the step for which random bits are drawn."""
    return run.first_update + worker.step - run.first_step
