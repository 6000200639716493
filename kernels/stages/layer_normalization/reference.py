"""Layer normalization, in plain array code. Contract: the package's docstring."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from dnnkit.kernels.array import Array, Namespace
from dnnkit.kernels.stages import Context, Settings


def forward(
    xs: Sequence[Array], parameters: Sequence[Array], settings: Settings, context: Context, xp: Namespace = np
) -> tuple[Array, Any]:
    """Return (y, (normalized rows, 1 / √(v + epsilon)))."""
    gamma, beta = _trained(parameters, settings)
    x = xp.reshape(xs[0], (-1, settings["channels"]))
    if settings["centered"]:
        x = x - xp.mean(x, axis=1, keepdims=True)
    inverse = 1 / xp.sqrt(xp.mean(x * x, axis=1, keepdims=True) + settings["epsilon"])
    normal = x * inverse
    y = normal if gamma is None else normal * gamma
    y = y if beta is None else y + beta
    return xp.reshape(y, xs[0].shape), (normal, inverse)


def _trained(parameters: Sequence[Array], settings: Settings) -> tuple[Array | None, Array | None]:
    """Return (γ, β), either of which may be None."""
    return parameters[0] if settings["scale"] else None, parameters[-1] if settings["center"] else None


def backward(
    dy: Array,
    saved: Any,
    parameters: Sequence[Array],
    settings: Settings,
    needs_dx: Sequence[bool],
    xp: Namespace = np,
) -> tuple[list[Array | None], list[Array | None]]:
    """Return the gradients in x, γ and β."""
    normal, inverse = saved
    gamma, _ = _trained(parameters, settings)
    slope = xp.reshape(dy, normal.shape)
    dgamma, dbeta = xp.sum(slope * normal, axis=0), xp.sum(slope, axis=0)
    dparameters: list[Array | None] = [one for one, there in ((dgamma, "scale"), (dbeta, "center")) if settings[there]]
    if not needs_dx[0]:
        return [None], dparameters
    slope = slope if gamma is None else slope * gamma
    dx = slope - normal * xp.mean(slope * normal, axis=1, keepdims=True)
    if settings["centered"]:
        dx = dx - xp.mean(slope, axis=1, keepdims=True)
    return [xp.reshape(dx * inverse, dy.shape)], dparameters


def numpy_source(xs: Sequence[str], parameters: Sequence[str], settings: Settings) -> str:
    """Return the NumPy expression of the forward pass, for exported code."""
    x = f"{xs[0]}.reshape(-1, {settings['channels']})"
    y = f"({x} - {x}.mean(axis=1, keepdims=True))" if settings["centered"] else x
    y += f" / np.sqrt(({y} ** 2).mean(axis=1, keepdims=True) + {settings['epsilon']!r})"
    y += f" * {parameters[0]}" if settings["scale"] else ""
    y += f" + {parameters[-1]}" if settings["center"] else ""
    return f"({y}).reshape({xs[0]}.shape)"
