"""Opcodes that connect the stages of a graph: gradients of values with several readers, and of shared parameters."""

from dnnkit.kernels._engine.kinds import PARAMETER_BYTES, SOURCE_BYTES, parameter_at, source_at
from dnnkit.kernels._engine.opcodes import opcode
from dnnkit.kernels._engine.updates import apply_update
from dnnkit.kernels._numba.at_address import vector


@opcode
def use_slope(worker, run, stage, option):
    """Start the backward pass of a stage from the gradient of its own y."""
    worker.dy = stage.dy


@opcode
def add_slope(worker, run, stage, option):
    """Add the gradient of a stage's input, numbered by the option, to that of its other readers."""
    one = source_at(stage.sources + option * SOURCE_BYTES)
    summand = vector(run.zero, one.dx, worker.rows * one.features)
    total = vector(run.zero, one.sum, summand.size)
    for e in range(total.size):
        total[e] += summand[e]


@opcode
def move_gradient(worker, run, stage, option):
    """Move the gradient of a stage's parameter, numbered by the option, to its place."""
    one = parameter_at(stage.parameters + option * PARAMETER_BYTES)
    summand = vector(run.zero, worker.spare + one.start, one.size)
    total = vector(run.zero, worker.gradient + one.start, one.size)
    for e in range(total.size):
        total[e] = summand[e]


@opcode
def add_gradient(worker, run, stage, option):
    """Add the gradient of a stage's parameter, numbered by the option, to that of other stages that share it."""
    one = parameter_at(stage.parameters + option * PARAMETER_BYTES)
    summand = vector(run.zero, worker.spare + one.start, one.size)
    total = vector(run.zero, worker.gradient + one.start, one.size)
    for e in range(total.size):
        total[e] += summand[e]


@opcode
def update_parameter(worker, run, stage, option):
    """Update a stage's parameter, numbered by the option."""
    one = parameter_at(stage.parameters + option * PARAMETER_BYTES)
    apply_update(worker, run, one.start, one.start, one.size)
