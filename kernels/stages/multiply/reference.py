"""Product of values, in plain array code. Contract: the package's docstring."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from dnnkit.kernels.array import Array, Namespace
from dnnkit.kernels.stages import Context, Settings


def forward(
    xs: Sequence[Array], parameters: Sequence[Array], settings: Settings, context: Context, xp: Namespace = np
) -> tuple[Array, Any]:
    """Return (the product, all factors)."""
    y = xs[0]
    for x in xs[1:]:
        y = y * x
    return y, list(xs)


def backward(
    dy: Array,
    saved: Any,
    parameters: Sequence[Array],
    settings: Settings,
    needs_dx: Sequence[bool],
    xp: Namespace = np,
) -> tuple[list[Array | None], list[Array | None]]:
    """Return, for each factor, dy times the other factors."""
    dxs: list[Array | None] = []
    for place, needs in enumerate(needs_dx):
        dx = dy
        for other, x in enumerate(saved):
            if other != place:
                dx = dx * x
        dxs.append(dx if needs else None)
    return dxs, []


def numpy_source(xs: Sequence[str], parameters: Sequence[str], settings: Settings) -> str:
    """Return the NumPy expression of the forward pass, for exported code."""
    return " * ".join(xs)
