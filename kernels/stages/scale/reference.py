"""Scale, in plain array code. Contract: the package's docstring."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from dnnkit.kernels.array import Array, Namespace
from dnnkit.kernels.stages import Context, Settings


def forward(
    xs: Sequence[Array], parameters: Sequence[Array], settings: Settings, context: Context, xp: Namespace = np
) -> tuple[Array, Any]:
    """Return (y, x)."""
    return xs[0] * parameters[0], xs[0]


def backward(
    dy: Array,
    saved: Any,
    parameters: Sequence[Array],
    settings: Settings,
    needs_dx: Sequence[bool],
    xp: Namespace = np,
) -> tuple[list[Array | None], list[Array | None]]:
    """Return the gradients in x and in the factors."""
    return [dy * parameters[0] if needs_dx[0] else None], [xp.sum(dy * saved, axis=0)]


def affine(parameters: Sequence[Array], settings: Settings, xp: Namespace = np) -> tuple[Array, Array]:
    """Return (the factors, 0)."""
    return parameters[0], xp.zeros_like(parameters[0])


def numpy_source(xs: Sequence[str], parameters: Sequence[str], settings: Settings) -> str:
    """Return the NumPy expression of the forward pass, for exported code."""
    return f"{xs[0]} * {parameters[0]}"
