"""Normalization by known moments, for the engine. Contract: the package's docstring."""

import math

from dnnkit.kernels._engine.kinds import dy_of, parameter, setting, source, source_gradient, source_wanted, y_of
from dnnkit.kernels._engine.opcodes import opcode
from dnnkit.kernels._numba.at_address import part
from dnnkit.kernels._numba.jit import jit
from dnnkit.kernels.stages.normalization import LEAST


@jit
def spread_of(variance):
    """Return the divisor: the standard deviation, bounded from below."""
    kind = type(variance)
    return max(kind(math.sqrt(variance)), kind(LEAST))


@opcode
def normalization(worker, run, stage, option):
    """Normalize a stage's x by the given means and variances."""
    x, y, channels = source(worker, run, stage, 0), y_of(worker, run, stage), int(setting(stage, 0))
    mean, variance = parameter(worker, run, stage, 0), parameter(worker, run, stage, 1)
    for first in range(0, y.size, channels):
        given, out = part(x, first, channels), part(y, first, channels)
        for c in range(channels):
            out[c] = (given[c] - mean[c]) / spread_of(variance[c])


@opcode
def normalization_backward(worker, run, stage, option):
    """Compute the gradient of a stage's x."""
    if source_wanted(stage, 0):
        dy, dx, channels = dy_of(worker, run, stage), source_gradient(worker, run, stage, 0), int(setting(stage, 0))
        variance = parameter(worker, run, stage, 1)
        for first in range(0, dx.size, channels):
            slope, out = part(dy, first, channels), part(dx, first, channels)
            for c in range(channels):
                out[c] = slope[c] / spread_of(variance[c])
