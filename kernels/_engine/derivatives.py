"""Opcodes for derivatives of the outputs: each step runs the same rows backward from a different output."""

from dnnkit.kernels._engine.opcodes import opcode
from dnnkit.kernels._numba.at_address import matrix, size_of, vector
from dnnkit.kernels._numba.jit import jit


@jit
def output_of(worker, run, row):
    """Return the output that a row is differentiated from in this step; it may be out of range."""
    return worker.step * run.repeats + (worker.first_in_batch + row) % run.repeats


@opcode
def choose_outputs(worker, run, stage, option):
    """Start the backward pass from a different output in each copy of a sample."""
    dscores = matrix(run.zero, worker.dscores, worker.rows, run.outputs)
    for row in range(worker.rows):
        chosen = output_of(worker, run, row)
        for output in range(run.outputs):
            dscores[row, output] = dscores.dtype.type(output == chosen)
    worker.dy = worker.dscores


@opcode
def take_derivatives(worker, run, stage, option):
    """Write the gradient of the network's input, before rescaling, to the derivatives of these outputs."""
    count = run.features
    for row in range(worker.rows):
        chosen = output_of(worker, run, row)
        if chosen < run.outputs:
            place = (worker.first_in_batch + row) // run.repeats * run.outputs + chosen
            out = vector(run.zero, run.out + place * count * size_of(run.zero), count)
            dx, scale = vector(run.zero, worker.dx + row * count * size_of(run.zero), count), out.dtype.type(run.scale)
            for e in range(count):
                out[e] = scale * dx[e]
