"""Columns of a value, compiled. Contract: the package's docstring."""

from dnnkit.kernels._engine.kinds import dy_of, setting, source, source_gradient, source_wanted, y_of
from dnnkit.kernels._engine.opcodes import opcode


@opcode
def columns(worker, run, stage, option):
    """Copy some columns of what a stage reads."""
    x, y, start = source(worker, run, stage, 0), y_of(worker, run, stage), int(setting(stage, 0))
    for i in range(worker.rows):
        for k in range(stage.outputs):
            y[i, k] = x[i, start + k]


@opcode
def columns_backward(worker, run, stage, option):
    """Copy the gradient of some columns to where they come from, between zeros."""
    if source_wanted(stage, 0):
        dx, dy, start = source_gradient(worker, run, stage, 0), dy_of(worker, run, stage), int(setting(stage, 0))
        for i in range(worker.rows):
            for k in range(dx.shape[1]):
                here = k - start
                dx[i, k] = dy[i, here] if 0 <= here < stage.outputs else run.zero
