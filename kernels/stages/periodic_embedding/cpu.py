"""Periodic embedding for the engine. Contract: the package's docstring."""

import math

import numpy as np

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
from dnnkit.kernels._numba.elementary import LARGEST_ANGLE, sine_and_cosine
from dnnkit.kernels._numba.jit import jit
from dnnkit.kernels._numba.lanes import sum_of_products_where

FREQUENCIES, UNITS = range(2)
"""Indices of the settings."""


@jit
def wave_of(waves, i, start, count):
    """Return `count` saved numbers of a row, from `start` on."""
    return part(waves, i * waves.shape[1] + start, count)


@opcode
def periodic_embedding(worker, run, stage, option):
    """Compute sines and cosines of a stage's x, and each feature's dense layer."""
    x, y, waves = source(worker, run, stage, 0), y_of(worker, run, stage), saved(worker, run, stage)
    k, units, kind = int(setting(stage, FREQUENCIES)), int(setting(stage, UNITS)), y.dtype.type
    given, features, width = parameter(worker, run, stage, 0), x.shape[1], units if units > 0 else 2 * k
    kernel, bias = parameter(worker, run, stage, 1 if units else 0), parameter(worker, run, stage, 2 if units else 0)
    for i in range(worker.rows):
        for f in range(features):
            wave, out = wave_of(waves, i, f * 2 * k, 2 * k), part(y, (i * features + f) * width, width)
            largest = kind(0)
            for j in range(k):
                wave[j] = kind(2 * math.pi) * given[f * k + j] * x[i, f]
                largest = max(largest, abs(wave[j]))
            if largest <= LARGEST_ANGLE:
                for j in range(k):
                    sine, cosine = sine_and_cosine(np.float64(wave[j]))
                    wave[j], wave[k + j] = kind(sine), kind(cosine)
            else:
                for j in range(k):
                    angle = wave[j]
                    wave[j], wave[k + j] = kind(math.sin(angle)), kind(math.cos(angle))
            if units == 0:
                for j in range(2 * k):
                    out[j] = wave[j]
                continue
            of_feature = part(bias, f * units, units)
            for u in range(units):
                out[u] = of_feature[u]
            for j in range(2 * k):
                row, factor = part(kernel, (f * 2 * k + j) * units, units), wave[j]
                for u in range(units):
                    out[u] += factor * row[u]
            for u in range(units):
                out[u] = out[u] if out[u] > 0 else kind(0)


@opcode
def periodic_embedding_backward(worker, run, stage, option):
    """Compute the gradients of a stage's frequencies, of each feature's dense layer, and of x."""
    x, y, dy = source(worker, run, stage, 0), y_of(worker, run, stage), dy_of(worker, run, stage)
    waves, kind = saved(worker, run, stage), y.dtype.type
    k, units, features = int(setting(stage, FREQUENCIES)), int(setting(stage, UNITS)), x.shape[1]
    given, kernel = parameter(worker, run, stage, 0), parameter(worker, run, stage, 1 if units else 0)
    half, width, trains = 2 * k * features, units if units > 0 else 2 * k, stage.trains != 0
    of_frequencies = parameter_gradient(worker, run, stage, 0)
    of_kernel = parameter_gradient(worker, run, stage, 1 if units else 0)
    of_bias = parameter_gradient(worker, run, stage, 2 if units else 0)
    if trains:
        set_to_zero(of_frequencies)
        if units > 0:
            set_to_zero(of_kernel)
            set_to_zero(of_bias)
    for i in range(worker.rows):
        for f in range(features):
            wave, slopes = wave_of(waves, i, f * 2 * k, 2 * k), wave_of(waves, i, half + f * 2 * k, 2 * k)
            slope, out = part(dy, (i * features + f) * width, width), part(y, (i * features + f) * width, width)
            if units == 0:
                for j in range(2 * k):
                    slopes[j] = slope[j]
            else:
                for j in range(2 * k):
                    row = part(kernel, (f * 2 * k + j) * units, units)
                    slopes[j] = sum_of_products_where(slope, row, out)
            if trains and units > 0:
                sums = part(of_bias, f * units, units)
                for u in range(units):
                    sums[u] += slope[u] if out[u] > 0 else kind(0)
                for j in range(2 * k):
                    row, factor = part(of_kernel, (f * 2 * k + j) * units, units), wave[j]
                    for u in range(units):
                        row[u] += factor * slope[u] if out[u] > 0 else kind(0)
            for j in range(k):  # becomes the gradient of the angle
                slopes[j] = kind(2 * math.pi) * (slopes[j] * wave[k + j] - slopes[k + j] * wave[j])
            if trains:
                sums = part(of_frequencies, f * k, k)
                for j in range(k):
                    sums[j] += slopes[j] * x[i, f]
    if source_wanted(stage, 0):
        dx = source_gradient(worker, run, stage, 0)
        for i in range(worker.rows):
            for f in range(features):
                slopes, total = wave_of(waves, i, half + f * 2 * k, 2 * k), kind(0)
                for j in range(k):
                    total += slopes[j] * given[f * k + j]
                dx[i, f] = total


@jit
def set_to_zero(out):
    """Zero a vector."""
    for e in range(out.size):
        out[e] = 0
