"""Normalization by known moments, in plain array code. Contract: the package's docstring."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from dnnkit.kernels.array import Array, Namespace
from dnnkit.kernels.stages import Context, Settings
from dnnkit.kernels.stages.normalization import LEAST


def forward(
    xs: Sequence[Array], parameters: Sequence[Array], settings: Settings, context: Context, xp: Namespace = np
) -> tuple[Array, Any]:
    """Return (y, the standard deviations)."""
    mean, variance, _ = parameters
    spread = xp.sqrt(variance)
    spread = xp.where(spread > LEAST, spread, xp.full_like(spread, LEAST))
    x = xp.reshape(xs[0], (-1, settings["channels"]))
    return xp.reshape((x - mean) / spread, xs[0].shape), spread


def backward(
    dy: Array,
    saved: Any,
    parameters: Sequence[Array],
    settings: Settings,
    needs_dx: Sequence[bool],
    xp: Namespace = np,
) -> tuple[list[Array | None], list[Array | None]]:
    """Return the gradient in x."""
    if not needs_dx[0]:
        return [None], [None, None, None]
    slope = xp.reshape(dy, (-1, settings["channels"])) / saved
    return [xp.reshape(slope, dy.shape)], [None, None, None]


def affine(parameters: Sequence[Array], settings: Settings, xp: Namespace = np) -> tuple[Array, Array]:
    """Return (1 / standard deviation, -mean / standard deviation)."""
    spread = xp.sqrt(parameters[1])
    spread = xp.where(spread > LEAST, spread, xp.full_like(spread, LEAST))
    return 1 / spread, -parameters[0] / spread


def numpy_source(xs: Sequence[str], parameters: Sequence[str], settings: Settings) -> str:
    """Return the NumPy expression of the forward pass, for exported code."""
    x, (mean, variance, _) = xs[0], parameters
    rows = f"({x}.reshape(-1, {settings['channels']}) - {mean})"
    return f"({rows} / np.maximum(np.sqrt({variance}), {LEAST!r})).reshape({x}.shape)"
