"""PReLU, in plain array code. Contract: the package's docstring."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from dnnkit.kernels.array import Array, Namespace
from dnnkit.kernels.stages import Context, Settings


def forward(
    xs: Sequence[Array], parameters: Sequence[Array], settings: Settings, context: Context, xp: Namespace = np
) -> tuple[Array, Any]:
    """Return (y, x)."""
    x, alpha = xs[0], parameters[0]
    return xp.where(x > 0, x, x * alpha), x


def backward(
    dy: Array,
    saved: Any,
    parameters: Sequence[Array],
    settings: Settings,
    needs_dx: Sequence[bool],
    xp: Namespace = np,
) -> tuple[list[Array | None], list[Array | None]]:
    """Return the gradients in x and in the slopes."""
    x, alpha = saved, parameters[0]
    dalpha = xp.sum(xp.where(x > 0, xp.zeros_like(x), x * dy), axis=0)
    return [xp.where(x > 0, dy, dy * alpha) if needs_dx[0] else None], [dalpha]


def numpy_source(xs: Sequence[str], parameters: Sequence[str], settings: Settings) -> str:
    """Return the NumPy expression of the forward pass, for exported code."""
    x = xs[0]
    return f"np.where({x} > 0, {x}, {x} * {parameters[0]})"
