"""Periodic embeddings for the engine. Contract: the package's docstring."""

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

FREQUENCIES, UNITS = range(2)
"""Places of the settings."""


@opcode
def periodic_embedding(worker, run, stage, option):
    """Compute sines and cosines of a stage's x, and each feature's dense layer of them."""
    x, y, waves = source(worker, run, stage, 0), y_of(worker, run, stage), saved(worker, run, stage)
    k, units, kind = int(setting(stage, FREQUENCIES)), int(setting(stage, UNITS)), y.dtype.type
    given = parameter(worker, run, stage, 0)
    kernel, bias = parameter(worker, run, stage, 1 if units else 0), parameter(worker, run, stage, 2 if units else 0)
    for i in range(worker.rows):
        for f in range(x.shape[1]):
            start = f * 2 * k
            for j in range(k):
                angle = kind(2 * math.pi) * given[f * k + j] * x[i, f]
                waves[i, start + j], waves[i, start + k + j] = kind(math.sin(angle)), kind(math.cos(angle))
            if units == 0:
                for j in range(2 * k):
                    y[i, start + j] = waves[i, start + j]
                continue
            for u in range(units):
                y[i, f * units + u] = bias[f * units + u]
            for j in range(2 * k):
                wave = waves[i, start + j]
                for u in range(units):
                    y[i, f * units + u] += wave * kernel[(start + j) * units + u]
            for u in range(units):
                value = y[i, f * units + u]
                y[i, f * units + u] = value if value > 0 else kind(0)


@opcode
def periodic_embedding_backward(worker, run, stage, option):
    """Compute the gradients of a stage's frequencies, of each feature's dense layer, and of x."""
    x, y, dy, waves = (
        source(worker, run, stage, 0),
        y_of(worker, run, stage),
        dy_of(worker, run, stage),
        saved(worker, run, stage),
    )
    k, units, kind = int(setting(stage, FREQUENCIES)), int(setting(stage, UNITS)), y.dtype.type
    given, features = parameter(worker, run, stage, 0), x.shape[1]
    kernel, half = parameter(worker, run, stage, 1 if units else 0), 2 * k * features
    for i in range(worker.rows):
        for f in range(features):
            start = f * 2 * k
            for j in range(2 * k):
                if units == 0:
                    waves[i, half + start + j] = dy[i, start + j]
                    continue
                slope = kind(0)
                for u in range(units):
                    if y[i, f * units + u] > 0:
                        slope += dy[i, f * units + u] * kernel[(start + j) * units + u]
                waves[i, half + start + j] = slope
    if stage.trains:
        of_frequencies = parameter_gradient(worker, run, stage, 0)
        for e in range(of_frequencies.size):
            of_frequencies[e] = 0
        for i in range(worker.rows):
            for f in range(features):
                for j in range(k):
                    s, c = f * 2 * k + j, f * 2 * k + k + j
                    slope = waves[i, half + s] * waves[i, c] - waves[i, half + c] * waves[i, s]
                    of_frequencies[f * k + j] += kind(2 * math.pi) * slope * x[i, f]
        if units > 0:
            of_kernel, of_bias = parameter_gradient(worker, run, stage, 1), parameter_gradient(worker, run, stage, 2)
            for e in range(of_kernel.size):
                of_kernel[e] = 0
            for e in range(of_bias.size):
                of_bias[e] = 0
            for i in range(worker.rows):
                for f in range(features):
                    for u in range(units):
                        if y[i, f * units + u] > 0:
                            of_bias[f * units + u] += dy[i, f * units + u]
                    for j in range(2 * k):
                        wave = waves[i, f * 2 * k + j]
                        for u in range(units):
                            if y[i, f * units + u] > 0:
                                place = (f * 2 * k + j) * units + u
                                of_kernel[place] += wave * dy[i, f * units + u]
    if source_wanted(stage, 0):
        dx = source_gradient(worker, run, stage, 0)
        for i in range(worker.rows):
            for f in range(features):
                total = kind(0)
                for j in range(k):
                    s, c = f * 2 * k + j, f * 2 * k + k + j
                    slope = waves[i, half + s] * waves[i, c] - waves[i, half + c] * waves[i, s]
                    total += slope * given[f * k + j]
                dx[i, f] = kind(2 * math.pi) * total
