"""What opcodes of a kind of stage (`kernels/stages`) read and write: a README there says how one is written."""

from dnnkit.kernels._engine.stages import gradient_of, place_in_exchange
from dnnkit.kernels._engine.structures import PARAMETER, SOURCE
from dnnkit.kernels._numba.at_address import at, matrix, number, size_of, vector
from dnnkit.kernels._numba.jit import jit

source_at, parameter_at = at(SOURCE), at(PARAMETER)
SOURCE_BYTES, PARAMETER_BYTES = SOURCE.bytes, PARAMETER.bytes


@jit
def source(worker, run, stage, place):
    """A value that the stage reads, (rows, I_k)."""
    one = source_at(stage.sources + place * SOURCE_BYTES)
    return matrix(run.zero, one.x, worker.rows, one.features)


@jit
def source_wanted(stage, place):
    """Whether the gradient of a value that it reads is wanted."""
    return source_at(stage.sources + place * SOURCE_BYTES).dx != 0


@jit
def source_gradient(worker, run, stage, place):
    """Where the gradient of a value that it reads goes, (rows, I_k)."""
    one = source_at(stage.sources + place * SOURCE_BYTES)
    return matrix(run.zero, one.dx, worker.rows, one.features)


@jit
def y_of(worker, run, stage):
    """Where the stage's output goes, (rows, O)."""
    return matrix(run.zero, stage.y, worker.rows, stage.outputs)


@jit
def dy_of(worker, run, stage):
    """The gradient of the stage's output, (rows, O); only read."""
    return matrix(run.zero, stage.dy, worker.rows, stage.outputs)


@jit
def parameter(worker, run, stage, place):
    """A parameter of the stage, flat."""
    one = parameter_at(stage.parameters + place * PARAMETER_BYTES)
    return vector(run.zero, worker.parameters + one.start, one.size)


@jit
def parameter_gradient(worker, run, stage, place):
    """Where the gradient of a parameter goes, flat: the sum over this worker's rows."""
    one = parameter_at(stage.parameters + place * PARAMETER_BYTES)
    return vector(run.zero, gradient_of(worker, stage) + one.start, one.size)


@jit
def saved(worker, run, stage):
    """What the forward pass leaves for the backward pass, (rows, `saves`)."""
    return matrix(run.zero, stage.saved, worker.rows, stage.saves)


@jit
def kept(run, stage):
    """The worker's own numbers of the stage that do not grow with rows, (`keeps`,)."""
    return vector(run.zero, stage.kept, stage.keeps)


@jit
def flat(worker, run, stage, address):
    """What lies at an address in the shape of the stage's output, flat: one loop over all of it is fastest."""
    return vector(run.zero, address, worker.rows * stage.outputs)


@jit
def flat_source(worker, run, stage, place):
    """A value that the stage reads, flat."""
    one = source_at(stage.sources + place * SOURCE_BYTES)
    return vector(run.zero, one.x, worker.rows * one.features)


@jit
def flat_gradient(worker, run, stage, place):
    """Where the gradient of a value that it reads goes, flat."""
    one = source_at(stage.sources + place * SOURCE_BYTES)
    return vector(run.zero, one.dx, worker.rows * one.features)


@jit
def copy_columns(run, rows, count, given, given_width, first, made, made_width, start):
    """Copy columns: `count` from `first` on, of rows at one address, to those from `start` on at another."""
    size = size_of(run.zero)
    for i in range(rows):
        x = vector(run.zero, given + (i * given_width + first) * size, count)
        y = vector(run.zero, made + (i * made_width + start) * size, count)
        for k in range(count):
            y[k] = x[k]


@jit
def setting(stage, place):
    """One of the numbers among the stage's settings, float64."""
    return number(0.0, stage.settings, place)


@jit
def my_sums(worker, run, stage, first, count):
    """What this worker gives to the others when they next meet: of its `sums` those from `first` on."""
    place = place_in_exchange(worker, run, stage, worker.number) + first * size_of(run.zero)
    return vector(run.zero, place, count)


@jit
def add_sums(worker, run, stage, first, out):
    """After they met: what all workers gave, added up in their order; of its own alone where each has all rows."""
    low, high = (0, run.workers) if run.by_rows else (worker.number, worker.number + 1)
    for other in range(low, high):
        place = place_in_exchange(worker, run, stage, other) + first * size_of(run.zero)
        summand = vector(run.zero, place, out.size)
        for e in range(out.size):
            out[e] = summand[e] if other == low else out[e] + summand[e]


@jit
def rows_of_batch(worker, run):
    """Rows of the whole batch, of which `worker.rows` are this worker's."""
    left = run.row_count - worker.step * run.batch_size
    return run.batch_size if run.batch_size < left else left


@jit
def draw_of(worker, run):
    """The step that random bits are drawn for."""
    return run.first_update + worker.step - run.first_step


@jit
def may_write_statistics(worker, run):
    """Whether this worker changes statistics: one for all where they share them."""
    return worker.number == 0 or not run.by_rows
