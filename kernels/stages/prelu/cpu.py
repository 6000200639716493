"""PReLU for the engine. Contract: the package's docstring."""

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
def prelu(worker, run, stage, option):
    """Multiply the negative elements of a stage's x by the slope of their feature."""
    x, y, alpha = source(worker, run, stage, 0), y_of(worker, run, stage), parameter(worker, run, stage, 0)
    for i in range(worker.rows):
        for k in range(stage.outputs):
            y[i, k] = x[i, k] if x[i, k] > 0 else x[i, k] * alpha[k]


@opcode
def prelu_backward(worker, run, stage, option):
    """Compute the gradients of a stage's slopes and x."""
    x, dy, zero = source(worker, run, stage, 0), dy_of(worker, run, stage), run.zero
    if stage.trains:
        gradient = parameter_gradient(worker, run, stage, 0)
        for k in range(stage.outputs):
            gradient[k] = zero
        for i in range(worker.rows):
            for k in range(stage.outputs):
                gradient[k] += zero if x[i, k] > 0 else x[i, k] * dy[i, k]
    if source_wanted(stage, 0):
        dx, alpha = source_gradient(worker, run, stage, 0), parameter(worker, run, stage, 0)
        for i in range(worker.rows):
            for k in range(stage.outputs):
                dx[i, k] = dy[i, k] if x[i, k] > 0 else dy[i, k] * alpha[k]
