"""Layer normalization for the engine. Contract: the package's docstring."""

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
from dnnkit.kernels._numba.at_address import part
from dnnkit.kernels._numba.lanes import sum_of, sum_of_products

CHANNELS, EPSILON, CENTERED, SCALE, CENTER = range(5)
"""Indices of the settings."""


@opcode
def layer_normalization(worker, run, stage, option):
    """Normalize each row of a stage's x."""
    x, y, kept = source(worker, run, stage, 0), y_of(worker, run, stage), saved(worker, run, stage)
    channels, features, kind = int(setting(stage, CHANNELS)), stage.outputs, y.dtype.type
    scale, center, count = setting(stage, SCALE) > 0, setting(stage, CENTER) > 0, kind(channels)
    gamma, beta = parameter(worker, run, stage, 0), parameter(worker, run, stage, 1 if scale else 0)
    centered, epsilon = setting(stage, CENTERED) > 0, kind(setting(stage, EPSILON))
    pieces = features // channels
    for number in range(worker.rows * pieces):
        row, piece = number // pieces, number % pieces
        given, out = part(x, number * channels, channels), part(y, number * channels, channels)
        made = part(kept, row * (features + pieces) + piece * channels, channels)
        mean = sum_of(given) / count if centered else kind(0)
        for c in range(channels):
            made[c] = given[c] - mean
        inverse = kind(1) / kind(math.sqrt(sum_of_products(made, made) / count + epsilon))
        part(kept, row * (features + pieces) + features, pieces)[piece] = inverse
        for c in range(channels):
            made[c] *= inverse
            out[c] = made[c]
        if scale:
            for c in range(channels):
                out[c] *= gamma[c]
        if center:
            for c in range(channels):
                out[c] += beta[c]


@opcode
def layer_normalization_backward(worker, run, stage, option):
    """Compute the gradients of a stage's gamma, beta and x."""
    dy, kept = dy_of(worker, run, stage), saved(worker, run, stage)
    channels, features, kind = int(setting(stage, CHANNELS)), stage.outputs, dy.dtype.type
    scale, center, pieces = setting(stage, SCALE) > 0, setting(stage, CENTER) > 0, features // channels
    if stage.trains:
        dgamma = parameter_gradient(worker, run, stage, 0)
        dbeta = parameter_gradient(worker, run, stage, 1 if scale else 0)
        for c in range(channels):
            if scale:
                dgamma[c] = 0
            if center:
                dbeta[c] = 0
        for number in range(worker.rows * pieces):
            slope = part(dy, number * channels, channels)
            made = part(kept, number // pieces * (features + pieces) + number % pieces * channels, channels)
            if scale:
                for c in range(channels):
                    dgamma[c] += slope[c] * made[c]
            if center:
                for c in range(channels):
                    dbeta[c] += slope[c]
    if not source_wanted(stage, 0):
        return
    dx, gamma, centered = (
        source_gradient(worker, run, stage, 0),
        parameter(worker, run, stage, 0),
        setting(stage, CENTERED),
    )
    for number in range(worker.rows * pieces):
        start, piece = number // pieces * (features + pieces), number % pieces
        made, inverse = part(kept, start + piece * channels, channels), part(kept, start + features, pieces)[piece]
        slope, out = part(dy, number * channels, channels), part(dx, number * channels, channels)
        for c in range(channels):
            out[c] = slope[c] * gamma[c] if scale else slope[c]
        product = sum_of_products(out, made) / kind(channels)
        mean = sum_of(out) / kind(channels) if centered > 0 else kind(0)
        for c in range(channels):
            out[c] = (out[c] - mean - made[c] * product) * inverse
