"""Product of values, compiled. Contract: the package's docstring."""

from dnnkit.kernels._engine.kinds import flat, flat_gradient, flat_source, source_wanted
from dnnkit.kernels._engine.opcodes import opcode


@opcode
def multiply(worker, run, stage, option):
    """Multiply the inputs of a stage."""
    y, x = flat(worker, run, stage, stage.y), flat_source(worker, run, stage, 0)
    for e in range(y.size):
        y[e] = x[e]
    for place in range(1, stage.reads):
        factor = flat_source(worker, run, stage, place)
        for e in range(y.size):
            y[e] *= factor[e]


@opcode
def multiply_backward(worker, run, stage, option):
    """Compute for each input of a stage the gradient of the product, times the other inputs."""
    dy = flat(worker, run, stage, stage.dy)
    for place in range(stage.reads):
        if source_wanted(stage, place):
            dx = flat_gradient(worker, run, stage, place)
            for e in range(dx.size):
                dx[e] = dy[e]
            for other in range(stage.reads):
                if other != place:
                    factor = flat_source(worker, run, stage, other)
                    for e in range(dx.size):
                        dx[e] *= factor[e]
