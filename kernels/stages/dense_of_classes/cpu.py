"""Dense of classes for the engine. Contract: the package's docstring.

Sources have consecutive blocks of kernel rows; `place` is the index of a source's settings.
"""

from dnnkit.kernels._engine.kinds import (
    dy_of,
    parameter,
    parameter_gradient,
    setting,
    source,
    source_gradient,
    source_wanted,
    y_of,
)
from dnnkit.kernels._engine.opcodes import opcode
from dnnkit.kernels._numba.at_address import matrix, part
from dnnkit.kernels._numba.indirect_calls import address_of
from dnnkit.kernels._numba.jit import jit
from dnnkit.kernels.matmul.cpu import product, product_of_columns, product_with_transpose
from dnnkit.kernels.stages.embedding.cpu import set_to_zero, start_of

CONCATENATE, MULTI_HOT, COUNT, NUMBERS = range(4)
"""Mode numbers among the settings."""


@jit
def rows_of(stage, place):
    """Return how many rows of the kernel belong to a source."""
    total = setting(stage, place + 2)
    if setting(stage, place) == CONCATENATE:
        for column in range(1, int(setting(stage, place + 1))):
            total += setting(stage, place + 2 + column)
    return int(total)


@jit
def rows_at(w, first, count, outputs):
    """Return `count` rows of the kernel, or of its gradient, from its flat array."""
    return matrix(w.dtype.type(0), address_of(w, first * outputs), count, outputs)


@jit
def is_new(x, i, column):
    """Whether no earlier column has the same class."""
    found = True
    for before in range(column):
        found &= x[i, before] != x[i, column]
    return found


@jit
def add_rows(x, y, w, first, stage, place):
    """Add to each row of y the kernel rows selected by its class numbers."""
    mode, columns, outputs = setting(stage, place), x.shape[1], y.shape[1]
    for i in range(x.shape[0]):
        out, start = part(y, i * outputs, outputs), first
        for column in range(columns):
            size = int(setting(stage, place + 2 + column))
            if mode != MULTI_HOT or is_new(x, i, column):
                row = part(w, (start + start_of(x[i, column], size, 1)) * outputs, outputs)
                for o in range(outputs):
                    out[o] += row[o]
            start += size if mode == CONCATENATE else 0


@jit
def add_slopes(x, dy, dw, first, stage, place):
    """Add each row of dy to the gradients of the kernel rows selected by its class numbers."""
    mode, columns, outputs = setting(stage, place), x.shape[1], dy.shape[1]
    for i in range(x.shape[0]):
        slope, start = part(dy, i * outputs, outputs), first
        for column in range(columns):
            size = int(setting(stage, place + 2 + column))
            if mode != MULTI_HOT or is_new(x, i, column):
                row = part(dw, (start + start_of(x[i, column], size, 1)) * outputs, outputs)
                for o in range(outputs):
                    row[o] += slope[o]
            start += size if mode == CONCATENATE else 0


@opcode
def dense_of_classes(worker, run, stage, option):
    """Add up the kernel rows that class numbers of a stage select, products of numeric columns, and the bias."""
    y, w = y_of(worker, run, stage), parameter(worker, run, stage, 0)
    outputs, first, place, is_begun = stage.outputs, 0, 1, False
    for k in range(stage.reads):
        count = rows_of(stage, place)
        if setting(stage, place) == NUMBERS:
            out = matrix(run.zero, worker.dz if is_begun else stage.y, worker.rows, outputs)
            product(source(worker, run, stage, k), rows_at(w, first, count, outputs), out, worker.offer)
            if is_begun:
                for i in range(worker.rows):
                    for o in range(outputs):
                        y[i, o] += out[i, o]
            is_begun = True
        first, place = first + count, place + 2 + int(setting(stage, place + 1))
    if not is_begun:
        set_to_zero(y)
    if setting(stage, 0) > 0:
        bias = parameter(worker, run, stage, 1)
        for i in range(worker.rows):
            for o in range(outputs):
                y[i, o] += bias[o]
    first, place = 0, 1
    for k in range(stage.reads):
        count = rows_of(stage, place)
        if setting(stage, place) != NUMBERS:
            add_rows(source(worker, run, stage, k), y, w, first, stage, place)
        first, place = first + count, place + 2 + int(setting(stage, place + 1))


@opcode
def dense_of_classes_backward(worker, run, stage, option):
    """Compute the gradients of a stage's kernel and bias, and of its numeric columns."""
    dy, w = dy_of(worker, run, stage), parameter(worker, run, stage, 0)
    outputs, first, place = stage.outputs, 0, 1
    for k in range(stage.reads):
        x, count = source(worker, run, stage, k), rows_of(stage, place)
        is_numbers = setting(stage, place) == NUMBERS
        if stage.trains:
            dw = parameter_gradient(worker, run, stage, 0)
            own = rows_at(dw, first, count, outputs)
            if is_numbers:
                product_of_columns(x, 0, dy, own, worker.offer)
            else:
                set_to_zero(own)
                add_slopes(x, dy, dw, first, stage, place)
        if source_wanted(stage, k):
            dx = source_gradient(worker, run, stage, k)
            if is_numbers:
                product_with_transpose(dy, rows_at(w, first, count, outputs), dx, worker.offer)
            else:
                set_to_zero(dx)
        first, place = first + count, place + 2 + int(setting(stage, place + 1))
    if stage.trains and setting(stage, 0) > 0:
        db = parameter_gradient(worker, run, stage, 1)
        for o in range(outputs):
            db[o] = 0
        for i in range(worker.rows):
            for o in range(outputs):
                db[o] += dy[i, o]
