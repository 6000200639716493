"""Gaussian noise, in plain array code. Contract: the package's docstring."""

from collections.abc import Sequence
from math import pi
from typing import Any

import numpy as np

from dnnkit.kernels.array import Array, Namespace
from dnnkit.kernels.stages import Context, Settings
from dnnkit.kernels.stages.gaussian_noise import PURPOSE


def forward(
    xs: Sequence[Array], parameters: Sequence[Array], settings: Settings, context: Context, xp: Namespace = np
) -> tuple[Array, Any]:
    """Return (y, None)."""
    x = xs[0]
    if not context.training:
        return x, None
    first, count = context.rows_before * x.shape[1], x.shape[0] * x.shape[1]
    odd = first % 2  # then the first element is the second of a pair
    words = context.draw(odd + count + (odd + count) % 2, PURPOSE, xp, first - odd)
    words = xp.astype(words, xp.float64)
    words = xp.reshape(words, (-1, 2))
    radius = xp.sqrt(-2 * xp.log((words[:, :1] + 0.5) / 2.0**32))
    angle = words[:, 1:] * (2 * pi / 2.0**32)
    noise = xp.reshape(xp.concat([radius * xp.cos(angle), radius * xp.sin(angle)], axis=1), (-1,))[odd : odd + count]
    return x + xp.astype(xp.reshape(settings["stddev"] * noise, x.shape), x.dtype), None


def backward(
    dy: Array,
    saved: Any,
    parameters: Sequence[Array],
    settings: Settings,
    needs_dx: Sequence[bool],
    xp: Namespace = np,
) -> tuple[list[Array | None], list[Array | None]]:
    """Return dy unchanged."""
    return [dy if needs_dx[0] else None], []


def numpy_source(xs: Sequence[str], parameters: Sequence[str], settings: Settings) -> str:
    """Return the NumPy expression of the forward pass, for exported code."""
    return xs[0]
