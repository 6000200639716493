"""Centred features, in plain array code. Contract: the package's docstring."""

import numpy as np


def forward(xs, parameters, settings, context, xp=np):
    """Return (y, x minus the mean)."""
    x, (moving, scale) = xs[0], parameters
    mean = moving
    if context.training:
        mean = xp.mean(x, axis=0)
        context.statistics[0] = settings["momentum"] * moving + (1 - settings["momentum"]) * mean
    return scale * (x - mean), x - mean


def backward(dy, saved, parameters, settings, needs_dx, xp=np):
    """Return the gradients; the mean depends on x, so dx is centred too."""
    dx = parameters[1] * (dy - xp.mean(dy, axis=0)) if needs_dx[0] else None
    return [dx], [None, xp.sum(dy * saved, axis=0)]
