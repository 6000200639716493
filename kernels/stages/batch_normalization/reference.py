"""Batch normalization, in plain array code. Contract: the package's docstring."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from dnnkit.kernels.array import Array, Namespace
from dnnkit.kernels.stages import Context, Settings


def forward(
    xs: Sequence[Array], parameters: Sequence[Array], settings: Settings, context: Context, xp: Namespace = np
) -> tuple[Array, Any]:
    """Return (y, (normalized rows, 1 / √(v + epsilon), whether mean and variance are the batch's))."""
    moving = len(parameters) - 2
    gamma, beta = _trained(parameters, settings)
    mean, variance = parameters[moving:]
    x = xp.reshape(xs[0], (-1, settings["channels"]))
    of_batch = context.training and not settings["frozen"]
    if of_batch:
        mean, kept = xp.mean(x, axis=0), [mean, variance]
        variance = xp.mean((x - mean) * (x - mean), axis=0)
        for place, (before, now) in enumerate(zip(kept, (mean, variance), strict=True), start=moving):
            context.statistics[place] = settings["momentum"] * before + (1 - settings["momentum"]) * now
    inverse = 1 / xp.sqrt(variance + settings["epsilon"])
    normal = (x - mean) * inverse
    y = normal if gamma is None else normal * gamma
    y = y if beta is None else y + beta
    return xp.reshape(y, xs[0].shape), (normal, inverse, of_batch)


def _trained(parameters: Sequence[Array], settings: Settings) -> tuple[Array | None, Array | None]:
    """Return (γ, β), either of which may be None."""
    return parameters[0] if settings["scale"] else None, parameters[-3] if settings["center"] else None


def backward(
    dy: Array,
    saved: Any,
    parameters: Sequence[Array],
    settings: Settings,
    needs_dx: Sequence[bool],
    xp: Namespace = np,
) -> tuple[list[Array | None], list[Array | None]]:
    """Return the gradients in x, γ and β; moving moments have none."""
    normal, inverse, of_batch = saved
    gamma, _ = _trained(parameters, settings)
    slope = xp.reshape(dy, normal.shape)
    dgamma, dbeta = xp.sum(slope * normal, axis=0), xp.sum(slope, axis=0)
    dparameters = [one for one, there in ((dgamma, "scale"), (dbeta, "center")) if settings[there]]
    if not needs_dx[0]:
        return [None], [*dparameters, None, None]
    factor = inverse if gamma is None else inverse * gamma
    if of_batch:
        slope = slope - dbeta / normal.shape[0] - normal * (dgamma / normal.shape[0])
    return [xp.reshape(slope * factor, dy.shape)], [*dparameters, None, None]


def affine(parameters: Sequence[Array], settings: Settings, xp: Namespace = np) -> tuple[Array, Array]:
    """Return (γ / √(v + epsilon), β - m γ / √(v + epsilon)), from the moving moments."""
    gamma, beta = _trained(parameters, settings)
    factors = 1 / xp.sqrt(parameters[-1] + settings["epsilon"])
    factors = factors if gamma is None else factors * gamma
    summands = -parameters[-2] * factors
    return factors, summands if beta is None else summands + beta


def numpy_source(xs: Sequence[str], parameters: Sequence[str], settings: Settings) -> str:
    """Return the NumPy expression of the forward pass, for exported code."""
    x, (mean, variance) = xs[0], parameters[-2:]
    y = f"({x}.reshape(-1, {settings['channels']}) - {mean}) / np.sqrt({variance} + {settings['epsilon']!r})"
    y += f" * {parameters[0]}" if settings["scale"] else ""
    y += f" + {parameters[-3]}" if settings["center"] else ""
    return f"({y}).reshape({x}.shape)"
