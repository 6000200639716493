"""Layer normalisation for the engine. Contract: the package's docstring."""

import math

from dnnkit.kernels._engine.kinds import (
    dy_of,
    parameter,
    parameter_gradient,
    saved,
    setting,
    source,
    source_gradient,
    source_wanted,
    y_of,
)
from dnnkit.kernels._engine.opcodes import opcode

CHANNELS, EPSILON, CENTERED, SCALE, CENTER = range(5)
"""Places of the settings."""


@opcode
def layer_normalization(worker, run, stage, option):
    """Normalise each row of a stage's x."""
    x, y, kept = source(worker, run, stage, 0), y_of(worker, run, stage), saved(worker, run, stage)
    channels, features, kind = int(setting(stage, CHANNELS)), stage.outputs, y.dtype.type
    scale, center, count = setting(stage, SCALE) > 0, setting(stage, CENTER) > 0, kind(channels)
    gamma, beta = parameter(worker, run, stage, 0), parameter(worker, run, stage, 1 if scale else 0)
    for i in range(worker.rows):
        for first in range(0, features, channels):
            mean = kind(0)
            if setting(stage, CENTERED) > 0:
                for c in range(first, first + channels):
                    mean += x[i, c]
                mean /= count
            square = kind(0)
            for c in range(first, first + channels):
                difference = x[i, c] - mean
                square += difference * difference
            inverse = kind(1) / kind(math.sqrt(square / count + kind(setting(stage, EPSILON))))
            kept[i, features + first // channels] = inverse
            for c in range(first, first + channels):
                kept[i, c] = (x[i, c] - mean) * inverse
                y[i, c] = kept[i, c]
            if scale:
                for c in range(channels):
                    y[i, first + c] *= gamma[c]
            if center:
                for c in range(channels):
                    y[i, first + c] += beta[c]


@opcode
def layer_normalization_backward(worker, run, stage, option):
    """Compute the gradients of gamma, beta and the x of a stage."""
    dy, kept = dy_of(worker, run, stage), saved(worker, run, stage)
    channels, features, kind = int(setting(stage, CHANNELS)), stage.outputs, dy.dtype.type
    scale, center = setting(stage, SCALE) > 0, setting(stage, CENTER) > 0
    if stage.trains:
        if scale:
            dgamma = parameter_gradient(worker, run, stage, 0)
            for c in range(channels):
                dgamma[c] = 0
            for i in range(worker.rows):
                for first in range(0, features, channels):
                    for c in range(channels):
                        dgamma[c] += dy[i, first + c] * kept[i, first + c]
        if center:
            dbeta = parameter_gradient(worker, run, stage, 1 if scale else 0)
            for c in range(channels):
                dbeta[c] = 0
            for i in range(worker.rows):
                for first in range(0, features, channels):
                    for c in range(channels):
                        dbeta[c] += dy[i, first + c]
    if not source_wanted(stage, 0):
        return
    dx, gamma = source_gradient(worker, run, stage, 0), parameter(worker, run, stage, 0)
    for i in range(worker.rows):
        for first in range(0, features, channels):
            inverse, mean, product = kept[i, features + first // channels], kind(0), kind(0)
            for c in range(channels):
                slope = dy[i, first + c]
                if scale:
                    slope *= gamma[c]
                dx[i, first + c] = slope
                mean += slope
                product += slope * kept[i, first + c]
            product /= kind(channels)
            mean = mean / kind(channels) if setting(stage, CENTERED) > 0 else kind(0)
            for c in range(first, first + channels):
                dx[i, c] = (dx[i, c] - mean - kept[i, c] * product) * inverse
