"""Gaussian noise for the engine. Contract: the package's docstring."""

import math

import numpy as np

from dnnkit.kernels._engine.kinds import draw_of, dy_of, setting, source, source_gradient, source_wanted, y_of
from dnnkit.kernels._engine.opcodes import opcode
from dnnkit.kernels._numba.at_address import part
from dnnkit.kernels._numba.elementary import sine_and_cosine
from dnnkit.kernels._numba.jit import jit
from dnnkit.kernels.philox.cpu import HALF, LOW, philox
from dnnkit.kernels.stages.gaussian_noise import PURPOSE

TURN = 2 * math.pi / 2.0**32


@jit
def copy_rows(given, out):
    """Copy a matrix."""
    rows, features = out.shape
    for i in range(rows):
        for k in range(features):
            out[i, k] = given[i, k]


@opcode
def gaussian_noise(worker, run, stage, option):
    """Add noise to a stage's x."""
    x, y, features = source(worker, run, stage, 0), y_of(worker, run, stage), stage.outputs
    copy_rows(x, y)
    out, stddev = part(y, 0, y.size), setting(stage, 0)
    step, start = np.uint64(draw_of(worker, run)), worker.first_in_batch * features + stage.first_output
    end = start + worker.rows * features
    c1, c2, c3 = np.uint64(stage.layer), step & LOW, step >> HALF
    for block in range(start // 4, (end + 3) // 4):
        words = philox(np.uint64(block), c1, c2, c3, np.uint64(run.seed), np.uint64(PURPOSE))
        for pair in range(2):
            radius = math.sqrt(-2 * math.log((np.float64(words[2 * pair]) + 0.5) / 2.0**32))
            sine, cosine = sine_and_cosine(np.float64(words[2 * pair + 1]) * TURN)
            place = 4 * block + 2 * pair - start
            if 0 <= place < end - start:
                out[place] += y.dtype.type(stddev * radius * cosine)
            if 0 <= place + 1 < end - start:
                out[place + 1] += y.dtype.type(stddev * radius * sine)


@opcode
def gaussian_noise_predict(worker, run, stage, option):
    """Copy a stage's x: no noise outside training."""
    copy_rows(source(worker, run, stage, 0), y_of(worker, run, stage))


@opcode
def gaussian_noise_backward(worker, run, stage, option):
    """Pass the gradient of a stage through unchanged."""
    if source_wanted(stage, 0):
        copy_rows(dy_of(worker, run, stage), source_gradient(worker, run, stage, 0))
