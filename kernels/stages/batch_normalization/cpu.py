"""Batch normalization for the engine. Contract: the package's docstring."""

import math

from dnnkit.kernels._engine.kinds import (
    add_sums,
    dy_of,
    kept,
    my_sums,
    parameter,
    parameter_gradient,
    rows_of_batch,
    saved,
    setting,
    source,
    source_gradient,
    source_wanted,
    y_of,
)
from dnnkit.kernels._engine.opcodes import opcode
from dnnkit.kernels._numba.at_address import part
from dnnkit.kernels._numba.jit import jit

CHANNELS, EPSILON, MOMENTUM, SCALE, CENTER, FROZEN = range(6)
"""Indices of the settings."""


@jit
def channels_of(stage):
    """Return the number of channels, each with its own moments."""
    return int(setting(stage, CHANNELS))


@jit
def number_of_moving(stage):
    """Return the parameter number of the moving mean; the moving variance is the next."""
    return int(setting(stage, SCALE)) + int(setting(stage, CENTER))


@jit
def count_of(worker, run, stage):
    """Return how many numbers a mean is taken over."""
    return rows_of_batch(worker, run) * (stage.outputs // channels_of(stage))


@jit
def sum_to(x, wanted, out):
    """Sum x over rows into out (C,); if `wanted` is not empty, sum squared differences from it."""
    channels = out.size
    for c in range(channels):
        out[c] = 0
    for first in range(0, x.size, channels):
        row = part(x, first, channels)
        if wanted.size > 0:
            for c in range(channels):
                difference = row[c] - wanted[c]
                out[c] += difference * difference
        else:
            for c in range(channels):
                out[c] += row[c]


@jit
def finish(worker, run, stage, mean, inverse, normal):
    """Normalize, scale and shift; the normalized rows go to `normal`, which may alias y."""
    x, y, channels = source(worker, run, stage, 0), y_of(worker, run, stage), channels_of(stage)
    scale, center = setting(stage, SCALE) > 0, setting(stage, CENTER) > 0
    gamma, beta = parameter(worker, run, stage, 0), parameter(worker, run, stage, 1 if scale else 0)
    for first in range(0, y.size, channels):
        given, made, out = part(x, first, channels), part(normal, first, channels), part(y, first, channels)
        for c in range(channels):
            made[c] = (given[c] - mean[c]) * inverse[c]
        if scale:
            for c in range(channels):
                out[c] = made[c] * gamma[c]
        else:
            for c in range(channels):
                out[c] = made[c]
        if center:
            for c in range(channels):
                out[c] += beta[c]


@jit
def invert(stage, variance, out):
    """Write 1 / √(variance + epsilon) to out."""
    epsilon, one = variance.dtype.type(setting(stage, EPSILON)), variance.dtype.type(1)
    for c in range(out.size):
        out[c] = one / variance.dtype.type(math.sqrt(variance[c] + epsilon))


@opcode
def batch_normalization_mean(worker, run, stage, option):
    """Sum the x of a stage, feature by feature."""
    if setting(stage, FROZEN) == 0:
        channels, x = channels_of(stage), source(worker, run, stage, 0)
        sum_to(x, part(x, 0, 0), my_sums(worker, run, stage, 0, channels))


@opcode
def batch_normalization_variance(worker, run, stage, option):
    """Compute the mean of a stage's x, and sum the squared differences from it."""
    if setting(stage, FROZEN) == 0:
        channels, numbers = channels_of(stage), kept(run, stage)
        mean, count = part(numbers, 0, channels), count_of(worker, run, stage)
        add_sums(worker, run, stage, 0, mean)
        for c in range(channels):
            mean[c] /= mean.dtype.type(count)
        sum_to(source(worker, run, stage, 0), mean, my_sums(worker, run, stage, channels, channels))


@opcode
def batch_normalization(worker, run, stage, option):
    """Compute the variance of a stage's x, and normalize."""
    channels, numbers = channels_of(stage), kept(run, stage)
    mean, variance = part(numbers, 0, channels), part(numbers, channels, channels)
    inverse = part(numbers, 2 * channels, channels)
    if setting(stage, FROZEN) == 0:
        count = count_of(worker, run, stage)
        add_sums(worker, run, stage, channels, variance)
        for c in range(channels):
            variance[c] /= variance.dtype.type(count)
    else:
        moving = number_of_moving(stage)
        before, spread = parameter(worker, run, stage, moving), parameter(worker, run, stage, moving + 1)
        for c in range(channels):
            mean[c], variance[c] = before[c], spread[c]
    invert(stage, variance, inverse)
    finish(worker, run, stage, mean, inverse, saved(worker, run, stage))


@opcode
def batch_normalization_predict(worker, run, stage, option):
    """Normalize a stage's x by the moving mean and variance."""
    moving, inverse = number_of_moving(stage), part(kept(run, stage), 2 * channels_of(stage), channels_of(stage))
    invert(stage, parameter(worker, run, stage, moving + 1), inverse)
    finish(worker, run, stage, parameter(worker, run, stage, moving), inverse, y_of(worker, run, stage))


@opcode
def batch_normalization_backward_sums(worker, run, stage, option):
    """Compute the gradients of a stage's gamma and beta."""
    channels, dy, normal = channels_of(stage), dy_of(worker, run, stage), saved(worker, run, stage)
    dgamma = my_sums(worker, run, stage, 2 * channels, channels)
    dbeta = my_sums(worker, run, stage, 3 * channels, channels)
    for c in range(channels):
        dgamma[c], dbeta[c] = 0, 0
    for first in range(0, dy.size, channels):
        slope, made = part(dy, first, channels), part(normal, first, channels)
        for c in range(channels):
            dgamma[c] += slope[c] * made[c]
        for c in range(channels):
            dbeta[c] += slope[c]
    if stage.trains:
        scale = setting(stage, SCALE) > 0
        if scale:
            gradient = parameter_gradient(worker, run, stage, 0)
            for c in range(channels):
                gradient[c] = dgamma[c]
        if setting(stage, CENTER) > 0:
            gradient = parameter_gradient(worker, run, stage, 1 if scale else 0)
            for c in range(channels):
                gradient[c] = dbeta[c]


@opcode
def batch_normalization_backward(worker, run, stage, option):
    """Compute the gradient of a stage's x, through the moments of the batch."""
    if not source_wanted(stage, 0):
        return
    channels, numbers = channels_of(stage), kept(run, stage)
    dy, normal, dx = dy_of(worker, run, stage), saved(worker, run, stage), source_gradient(worker, run, stage, 0)
    inverse, kind = part(numbers, 2 * channels, channels), dx.dtype.type
    dgamma, dbeta = part(numbers, 3 * channels, channels), part(numbers, 4 * channels, channels)
    if setting(stage, FROZEN) == 0:
        count = kind(count_of(worker, run, stage))
        add_sums(worker, run, stage, 2 * channels, dgamma)
        add_sums(worker, run, stage, 3 * channels, dbeta)
        for c in range(channels):
            dgamma[c] /= count
            dbeta[c] /= count
    else:
        for c in range(channels):
            dgamma[c], dbeta[c] = 0, 0
    gamma, scale = parameter(worker, run, stage, 0), setting(stage, SCALE) > 0
    for first in range(0, dx.size, channels):
        slope, made, out = part(dy, first, channels), part(normal, first, channels), part(dx, first, channels)
        for c in range(channels):
            out[c] = (slope[c] - dbeta[c] - made[c] * dgamma[c]) * inverse[c]
        if scale:
            for c in range(channels):
                out[c] *= gamma[c]


@opcode
def batch_normalization_moving(worker, run, stage, option):
    """Move a stage's moving mean and variance towards those of the batch."""
    if setting(stage, FROZEN) == 0:
        channels, numbers, moving = channels_of(stage), kept(run, stage), number_of_moving(stage)
        for which in range(2):
            now, before = part(numbers, which * channels, channels), parameter(worker, run, stage, moving + which)
            keep = before.dtype.type(setting(stage, MOMENTUM))
            rest = before.dtype.type(1 - setting(stage, MOMENTUM))
            for c in range(channels):
                before[c] = keep * before[c] + rest * now[c]
