"""One stage of a network on the rows of a batch, forward and backward: what `interpreter.py` calls.

A stage is a row of a table (`COLUMNS`) with offsets into one worker's parameters and workspace. A worker may hold only
a shard of a stage's units: then `inputs` and `outputs` count its own, which are the outputs from `first` on of `width`.
"""

from dnnkit.kernels._numba.indirect_calls import address_of, call_backward, call_forward
from dnnkit.kernels._numba.jit import jit
from dnnkit.kernels._numba.unchecked_views import matrix, part
from dnnkit.kernels.dense import cpu as dense
from dnnkit.kernels.dropout.cpu import apply, mask
from dnnkit.kernels.matmul.cpu import product_of_rows

COLUMNS = (  # noqa: SIM905 - a table is read by its heads
    "kind inputs outputs kernel bias biases forward backward saves_input x y z dx keep layer first width partial"
).split()
"""A stage's row: its kind; numbers of features; offsets of its kernel and bias, and how many biases; addresses of its
activation; offsets in the workspace of its input, output, pre-activation and input gradient; place and stream of its
mask; which outputs it has of how many; where in the exchange its partial sums go."""

KIND, INPUTS, OUTPUTS, KERNEL, BIAS, BIASES, FORWARD, BACKWARD, SAVES_INPUT, X, Y, Z, DX, KEEP, LAYER, FIRST, WIDTH, \
    PARTIAL = range(len(COLUMNS))  # fmt: skip
COUNT = len(COLUMNS)
DENSE, ACTIVATE, RESCALE, DROPOUT = range(4)


@jit
def stage_at(table, s):
    """Row s of a table, a view."""
    return part(table, s * COUNT, COUNT)


@jit
def forward(stage, numbers, parameters, workspace, keeps, rows, first_row, training, seed, step):
    """The stage's y from its x."""
    inputs, outputs = stage[INPUTS], stage[OUTPUTS]
    given, y = part(workspace, stage[X], rows * inputs), part(workspace, stage[Y], rows * outputs)
    if stage[KIND] == DENSE:
        z, b = matrix(workspace, stage[Z], rows, outputs), bias(stage, parameters)
        dense.forward(x(stage, workspace, rows), kernel(stage, parameters), b, stage[FORWARD], z, y)
    elif stage[KIND] == ACTIVATE:
        call_forward(stage[FORWARD], (address_of(given), address_of(y), rows, outputs))
    elif stage[KIND] == RESCALE:
        factor, shift = y.dtype.type(numbers[0]), y.dtype.type(numbers[1])
        for e in range(y.size):
            y[e] = given[e] * factor + shift
    elif training:
        keep = part(keeps, stage[KEEP], rows * outputs)
        # A worker that has all the outputs draws all rows at once: rows of a part begin in the middle of a block.
        length = rows * outputs if outputs == stage[WIDTH] else outputs
        for place in range(0, rows * outputs, length):
            start = (first_row + place // outputs) * stage[WIDTH] + stage[FIRST]
            mask(start, length, numbers[0], seed, stage[LAYER], step, part(keep, place, length))
        apply(given, keep, numbers[0], y)
    else:
        for e in range(y.size):
            y[e] = given[e]


@jit
def forward_in_use(stage, parameters, workspace, x, index, columns, rows):
    """The y of a dense stage whose inputs are x[index], zero in all but these columns."""
    outputs = stage[OUTPUTS]
    z = matrix(workspace, stage[Z], rows, outputs)
    product_of_rows(x, index, columns, kernel(stage, parameters), z)
    dense.finish(bias(stage, parameters), stage[FORWARD], z, part(workspace, stage[Y], rows * outputs))


@jit
def backward(stage, numbers, parameters, gradient, workspace, keeps, rows, dy_offset, dz_offset, needs_dx, dx):
    """The stage's dx and its bias gradient, from its dy in the workspace; dz is left at `dz_offset`."""
    inputs, outputs = stage[INPUTS], stage[OUTPUTS]
    dy = part(workspace, dy_offset, rows * outputs)
    saved = part(workspace, stage[Z] if stage[SAVES_INPUT] != 0 else stage[Y], rows * outputs)
    if stage[KIND] == DENSE:
        dense.backward_without_kernel(
            dy,
            kernel(stage, parameters),
            saved,
            stage[BACKWARD],
            needs_dx,
            matrix(workspace, dz_offset, rows, outputs),
            matrix(dx, 0, rows, inputs),
            bias(stage, gradient),
        )
    elif stage[KIND] == ACTIVATE:
        if stage[SAVES_INPUT] != 0:
            saved = part(workspace, stage[X], rows * inputs)
        call_backward(stage[BACKWARD], (address_of(dy), address_of(saved), address_of(dx), rows, outputs))
    elif stage[KIND] == RESCALE:
        factor = dx.dtype.type(numbers[0])
        for e in range(dx.size):
            dx[e] = dy[e] * factor
    else:
        apply(dy, part(keeps, stage[KEEP], rows * outputs), numbers[0], dx)


@jit
def x(stage, workspace, rows):
    """The stage's inputs (rows, inputs) in the workspace."""
    return matrix(workspace, stage[X], rows, stage[INPUTS])


@jit
def kernel(stage, parameters):
    """The stage's kernel (inputs, outputs) among flat parameters, or its gradient."""
    return matrix(parameters, stage[KERNEL], stage[INPUTS], stage[OUTPUTS])


@jit
def bias(stage, parameters):
    """The stage's bias (outputs,), or nothing (0,)."""
    return part(parameters, stage[BIAS], stage[BIASES])


@jit
def add_up(partials, offset, out):
    """Sum the workers' partials in the order of the workers, so that it does not depend on which finished first."""
    for worker in range(partials.shape[0]):
        summand = part(partials, worker * partials.shape[1] + offset, out.size)
        for e in range(out.size):
            out[e] = summand[e] if worker == 0 else out[e] + summand[e]
