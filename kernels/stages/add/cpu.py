"""Sum of values, compiled. Contract: the package's docstring."""

from dnnkit.kernels._engine.kinds import flat, flat_gradient, flat_source, source_wanted
from dnnkit.kernels._engine.opcodes import opcode


@opcode
def add(worker, run, stage, option):
    """Add up the inputs of a stage."""
    y, x = flat(worker, run, stage, stage.y), flat_source(worker, run, stage, 0)
    if stage.reads == 1:
        for e in range(y.size):
            y[e] = x[e]
        return
    summand = flat_source(worker, run, stage, 1)
    for e in range(y.size):
        y[e] = x[e] + summand[e]
    for place in range(2, stage.reads):
        summand = flat_source(worker, run, stage, place)
        for e in range(y.size):
            y[e] += summand[e]


@opcode
def add_backward(worker, run, stage, option):
    """Copy the gradient of a stage's sum to each of its inputs."""
    dy = flat(worker, run, stage, stage.dy)
    for place in range(stage.reads):
        if source_wanted(stage, place):
            dx = flat_gradient(worker, run, stage, place)
            for e in range(dx.size):
                dx[e] = dy[e]
