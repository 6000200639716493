"""Concatenation, compiled. Contract: the package's docstring."""

from dnnkit.kernels._engine.kinds import SOURCE_BYTES, copy_columns, source_at, source_wanted
from dnnkit.kernels._engine.opcodes import opcode


@opcode
def concatenate(worker, run, stage, option):
    """Copy the inputs of a stage side by side."""
    start = 0
    for place in range(stage.reads):
        one = source_at(stage.sources + place * SOURCE_BYTES)
        copy_columns(run, worker.rows, one.features, one.x, one.features, 0, stage.y, stage.outputs, start)
        start += one.features


@opcode
def concatenate_backward(worker, run, stage, option):
    """Copy to each input of a stage the gradient of its columns."""
    start = 0
    for place in range(stage.reads):
        one = source_at(stage.sources + place * SOURCE_BYTES)
        if source_wanted(stage, place):
            copy_columns(run, worker.rows, one.features, stage.dy, stage.outputs, start, one.dx, one.features, 0)
        start += one.features
