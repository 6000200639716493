"""Values side by side, compiled. Contract: the package's docstring."""

from dnnkit.kernels._engine.kinds import dy_of, source, source_gradient, source_wanted, y_of
from dnnkit.kernels._engine.opcodes import opcode


@opcode
def concatenate(worker, run, stage, option):
    """Copy the values that a stage reads side by side."""
    y, start = y_of(worker, run, stage), 0
    for place in range(stage.reads):
        x = source(worker, run, stage, place)
        for i in range(worker.rows):
            for k in range(x.shape[1]):
                y[i, start + k] = x[i, k]
        start += x.shape[1]


@opcode
def concatenate_backward(worker, run, stage, option):
    """Copy to each value that a stage reads the gradient of its columns."""
    dy, start = dy_of(worker, run, stage), 0
    for place in range(stage.reads):
        x = source(worker, run, stage, place)
        if source_wanted(stage, place):
            dx = source_gradient(worker, run, stage, place)
            for i in range(worker.rows):
                for k in range(x.shape[1]):
                    dx[i, k] = dy[i, start + k]
        start += x.shape[1]
