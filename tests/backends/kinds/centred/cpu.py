"""Centred features, compiled. Contract: the package's docstring."""

from dnnkit.kernels._engine.kinds import (
    add_sums,
    dy_of,
    kept,
    my_sums,
    parameter,
    parameter_gradient,
    rows_of_batch,
    setting,
    source,
    source_gradient,
    source_wanted,
    y_of,
)
from dnnkit.kernels._engine.opcodes import opcode
from dnnkit.kernels._numba.at_address import part


@opcode
def centred_sums(worker, run, stage, option):
    """Sum each feature over this worker's rows."""
    x, sums = source(worker, run, stage, 0), my_sums(worker, run, stage, 0, stage.outputs)
    for k in range(stage.outputs):
        sums[k] = 0
    for i in range(worker.rows):
        for k in range(stage.outputs):
            sums[k] += x[i, k]


@opcode
def centred(worker, run, stage, option):
    """Subtract the mean of each feature."""
    x, y = source(worker, run, stage, 0), y_of(worker, run, stage)
    mean, scale = part(kept(run, stage), 0, stage.outputs), parameter(worker, run, stage, 1)
    add_sums(worker, run, stage, 0, mean)
    for k in range(stage.outputs):
        mean[k] /= rows_of_batch(worker, run)
    for i in range(worker.rows):
        for k in range(stage.outputs):
            y[i, k] = scale[k] * (x[i, k] - mean[k])


@opcode
def centred_predict(worker, run, stage, option):
    """Subtract the moving mean of each feature."""
    x, y = source(worker, run, stage, 0), y_of(worker, run, stage)
    mean, scale = parameter(worker, run, stage, 0), parameter(worker, run, stage, 1)
    for i in range(worker.rows):
        for k in range(stage.outputs):
            y[i, k] = scale[k] * (x[i, k] - mean[k])


@opcode
def centred_backward_sums(worker, run, stage, option):
    """Sum each gradient over this worker's rows; compute that of the scale."""
    x, dy, mean = source(worker, run, stage, 0), dy_of(worker, run, stage), kept(run, stage)
    sums = my_sums(worker, run, stage, stage.outputs, stage.outputs)
    for k in range(stage.outputs):
        sums[k] = 0
    for i in range(worker.rows):
        for k in range(stage.outputs):
            sums[k] += dy[i, k]
    if stage.trains:
        gradient = parameter_gradient(worker, run, stage, 1)
        for k in range(stage.outputs):
            gradient[k] = 0
        for i in range(worker.rows):
            for k in range(stage.outputs):
                gradient[k] += dy[i, k] * (x[i, k] - mean[k])


@opcode
def centred_backward(worker, run, stage, option):
    """Compute the gradient of x."""
    mean, scale = part(kept(run, stage), stage.outputs, stage.outputs), parameter(worker, run, stage, 1)
    add_sums(worker, run, stage, stage.outputs, mean)
    if source_wanted(stage, 0):
        dy, dx = dy_of(worker, run, stage), source_gradient(worker, run, stage, 0)
        for i in range(worker.rows):
            for k in range(stage.outputs):
                dx[i, k] = scale[k] * (dy[i, k] - mean[k] / rows_of_batch(worker, run))


@opcode
def centred_after(worker, run, stage, option):
    """Move the moving mean."""
    moving, mean, momentum = parameter(worker, run, stage, 0), kept(run, stage), setting(stage, 0)
    for k in range(stage.outputs):
        moving[k] = momentum * moving[k] + (1 - momentum) * mean[k]
