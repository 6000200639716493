"""Column range, compiled. Contract: the package's docstring."""

from dnnkit.kernels._engine.kinds import copy_columns, flat_gradient, setting, source_at, source_wanted
from dnnkit.kernels._engine.opcodes import opcode


@opcode
def columns(worker, run, stage, option):
    """Copy a range of columns of the input of a stage."""
    one, start, count = source_at(stage.sources), int(setting(stage, 0)), stage.outputs
    copy_columns(run, worker.rows, count, one.x, one.features, start, stage.y, count, 0)


@opcode
def columns_backward(worker, run, stage, option):
    """Copy the gradient of a stage to its columns of the input, and zero the others."""
    if source_wanted(stage, 0):
        one, start, count = source_at(stage.sources), int(setting(stage, 0)), stage.outputs
        dx = flat_gradient(worker, run, stage, 0)
        for e in range(dx.size):
            dx[e] = run.zero
        copy_columns(run, worker.rows, count, stage.dy, count, 0, one.dx, one.features, start)
