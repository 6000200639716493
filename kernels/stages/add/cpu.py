"""The sum of values, compiled. Contract: the package's docstring."""

from dnnkit.kernels._engine.kinds import dy_of, source, source_gradient, source_wanted, y_of
from dnnkit.kernels._engine.opcodes import opcode


@opcode
def add(worker, run, stage, option):
    """Add up the values that a stage reads."""
    y = y_of(worker, run, stage)
    for place in range(stage.reads):
        x = source(worker, run, stage, place)
        for i in range(worker.rows):
            for k in range(stage.outputs):
                y[i, k] = x[i, k] if place == 0 else y[i, k] + x[i, k]


@opcode
def add_backward(worker, run, stage, option):
    """Give to each value that a stage adds up the gradient of the sum."""
    dy = dy_of(worker, run, stage)
    for place in range(stage.reads):
        if source_wanted(stage, place):
            dx = source_gradient(worker, run, stage, place)
            for i in range(worker.rows):
                for k in range(stage.outputs):
                    dx[i, k] = dy[i, k]
