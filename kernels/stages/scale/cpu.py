"""Scale for the engine. Contract: the package's docstring."""

from dnnkit.kernels._engine.kinds import (
    dy_of,
    parameter,
    parameter_gradient,
    source,
    source_gradient,
    source_wanted,
    y_of,
)
from dnnkit.kernels._engine.opcodes import opcode


@opcode
def scale(worker, run, stage, option):
    """Multiply each feature of a stage's x by its own number."""
    x, y, factors = source(worker, run, stage, 0), y_of(worker, run, stage), parameter(worker, run, stage, 0)
    for i in range(worker.rows):
        for k in range(stage.outputs):
            y[i, k] = x[i, k] * factors[k]


@opcode
def scale_backward(worker, run, stage, option):
    """Compute the gradients of a stage's factors and x."""
    x, dy = source(worker, run, stage, 0), dy_of(worker, run, stage)
    if stage.trains:
        gradient = parameter_gradient(worker, run, stage, 0)
        for k in range(stage.outputs):
            gradient[k] = 0
        for i in range(worker.rows):
            for k in range(stage.outputs):
                gradient[k] += dy[i, k] * x[i, k]
    if source_wanted(stage, 0):
        dx, factors = source_gradient(worker, run, stage, 0), parameter(worker, run, stage, 0)
        for i in range(worker.rows):
            for k in range(stage.outputs):
                dx[i, k] = dy[i, k] * factors[k]
