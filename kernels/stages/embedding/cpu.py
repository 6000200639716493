"""Embedding for the engine. Contract: the package's docstring."""

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
from dnnkit.kernels._numba.at_address import part
from dnnkit.kernels._numba.jit import jit


@jit
def start_of(number, classes, width):
    """Return the flat index of a class's row in the table, clamped so that nothing out of bounds is accessed."""
    found = int(number)
    found = found if found > 0 else 0
    return (found if found < classes else classes - 1) * width


@jit
def set_to_zero(out):
    """Zero a matrix."""
    rows, columns = out.shape
    for i in range(rows):
        for k in range(columns):
            out[i, k] = 0


@opcode
def embedding(worker, run, stage, option):
    """Look up the rows of a stage's table."""
    x, y, table = source(worker, run, stage, 0), y_of(worker, run, stage), parameter(worker, run, stage, 0)
    columns, classes = x.shape[1], int(setting(stage, 0))
    width = stage.outputs // columns
    for i in range(worker.rows):
        for k in range(columns):
            row = part(table, start_of(x[i, k], classes, width), width)
            out = part(y, (i * columns + k) * width, width)
            for d in range(width):
                out[d] = row[d]


@opcode
def embedding_backward(worker, run, stage, option):
    """Compute the gradient of a stage's table: add to the rows that were looked up."""
    x, dy = source(worker, run, stage, 0), dy_of(worker, run, stage)
    columns, classes = x.shape[1], int(setting(stage, 0))
    width = stage.outputs // columns
    if stage.trains:
        gradient = parameter_gradient(worker, run, stage, 0)
        for e in range(gradient.size):
            gradient[e] = 0
        for i in range(worker.rows):
            for k in range(columns):
                row = part(gradient, start_of(x[i, k], classes, width), width)
                slope = part(dy, (i * columns + k) * width, width)
                for d in range(width):
                    row[d] += slope[d]
    if source_wanted(stage, 0):
        set_to_zero(source_gradient(worker, run, stage, 0))
