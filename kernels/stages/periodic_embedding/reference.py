"""Periodic embeddings, in plain array code. Contract: the package's docstring."""

from collections.abc import Sequence
from math import pi
from typing import Any

import numpy as np

from dnnkit.kernels.array import Array, Namespace
from dnnkit.kernels.stages import Context, Settings


def forward(
    xs: Sequence[Array], parameters: Sequence[Array], settings: Settings, context: Context, xp: Namespace = np
) -> tuple[Array, Any]:
    """Return (y, (x, sines and cosines, y))."""
    x = xs[0]
    angles = 2 * pi * parameters[0][None, :, :] * x[:, :, None]
    waves = xp.concat([xp.sin(angles), xp.cos(angles)], axis=2)
    if not settings["units"]:
        return xp.reshape(waves, (x.shape[0], -1)), (x, waves, waves)
    _, kernel, bias = parameters
    y = xp.sum(waves[:, :, :, None] * kernel[None, :, :, :], axis=2) + bias
    y = xp.where(y > 0, y, xp.zeros_like(y))
    return xp.reshape(y, (x.shape[0], -1)), (x, waves, y)


def backward(
    dy: Array,
    saved: Any,
    parameters: Sequence[Array],
    settings: Settings,
    needs_dx: Sequence[bool],
    xp: Namespace = np,
) -> tuple[list[Array | None], list[Array | None]]:
    """Return the gradients in x, in the frequencies, and in the layer's kernel and bias."""
    x, waves, y = saved
    slope, k = xp.reshape(dy, y.shape), settings["frequencies"]
    dparameters: list[Array | None] = []
    if settings["units"]:
        slope = xp.where(y > 0, slope, xp.zeros_like(slope))
        dkernel = xp.sum(waves[:, :, :, None] * slope[:, :, None, :], axis=0)
        dparameters = [dkernel, xp.sum(slope, axis=0)]
        slope = xp.sum(slope[:, :, None, :] * parameters[1][None, :, :, :], axis=3)
    dangles = slope[:, :, :k] * waves[:, :, k:] - slope[:, :, k:] * waves[:, :, :k]
    dfrequencies = xp.sum(2 * pi * dangles * x[:, :, None], axis=0)
    dx = xp.sum(2 * pi * dangles * parameters[0][None, :, :], axis=2) if needs_dx[0] else None
    return [dx], [dfrequencies, *dparameters]


def numpy_source(xs: Sequence[str], parameters: Sequence[str], settings: Settings) -> str:
    """Return the NumPy expression of the forward pass, for exported code."""
    x = xs[0]
    angles = f"2 * np.pi * {parameters[0]} * {x}[:, :, None]"
    waves = f"np.concatenate([np.sin({angles}), np.cos({angles})], axis=2)"
    if not settings["units"]:
        return f"{waves}.reshape(len({x}), -1)"
    made = f'np.einsum("nfw,fwu->nfu", {waves}, {parameters[1]}) + {parameters[2]}'
    return f"np.maximum({made}, 0).reshape(len({x}), -1)"
