"""Opcodes that connect the stages of a graph: gradients of values that several read, of parameters they share."""

from dnnkit.kernels._engine.kinds import PARAMETER_BYTES, SOURCE_BYTES, parameter_at, source_at
from dnnkit.kernels._engine.opcodes import opcode
from dnnkit.kernels._engine.updates import apply_update
from dnnkit.kernels._numba.at_address import vector


@opcode
def use_slope(worker, run, stage, option):
    """Go backward from the gradient of a stage's y."""
    worker.dy = stage.dy


@opcode
def add_slope(worker, run, stage, option):
    """Add the gradient of what a stage reads, of the option's number, to that of other readers."""
    one = source_at(stage.sources + option * SOURCE_BYTES)
    summand = vector(run.zero, one.dx, worker.rows * one.features)
    total = vector(run.zero, one.sum, summand.size)
    for e in range(total.size):
        total[e] += summand[e]


@opcode
def move_gradient(worker, run, stage, option):
    """Move the gradient of a stage's parameter, of the option's number, to where it belongs."""
    one = parameter_at(stage.parameters + option * PARAMETER_BYTES)
    summand = vector(run.zero, worker.spare + one.start, one.size)
    total = vector(run.zero, worker.gradient + one.start, one.size)
    for e in range(total.size):
        total[e] = summand[e]


@opcode
def add_gradient(worker, run, stage, option):
    """Add the gradient of a stage's parameter, of the option's number, to that of other stages that share it."""
    one = parameter_at(stage.parameters + option * PARAMETER_BYTES)
    summand = vector(run.zero, worker.spare + one.start, one.size)
    total = vector(run.zero, worker.gradient + one.start, one.size)
    for e in range(total.size):
        total[e] += summand[e]


@opcode
def update_parameter(worker, run, stage, option):
    """Update a stage's parameter, of the option's number."""
    one = parameter_at(stage.parameters + option * PARAMETER_BYTES)
    apply_update(worker, run, one.start, one.start, one.size)
