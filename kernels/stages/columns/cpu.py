"""Columns of a value, compiled. Contract: the package's docstring."""

from dnnkit.kernels._engine.kinds import copy_columns, flat_gradient, setting, source_at, source_wanted
from dnnkit.kernels._engine.opcodes import opcode


@opcode
def columns(worker, run, stage, option):
    """Copy some columns of what a stage reads."""
    one, start, count = source_at(stage.sources), int(setting(stage, 0)), stage.outputs
    copy_columns(run, worker.rows, count, one.x, one.features, start, stage.y, count, 0)


@opcode
def columns_backward(worker, run, stage, option):
    """Copy the gradient of some columns to where they come from, between zeros."""
    if source_wanted(stage, 0):
        one, start, count = source_at(stage.sources), int(setting(stage, 0)), stage.outputs
        dx = flat_gradient(worker, run, stage, 0)
        for e in range(dx.size):
            dx[e] = run.zero
        copy_columns(run, worker.rows, count, stage.dy, count, 0, one.dx, one.features, start)
