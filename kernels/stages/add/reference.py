"""The sum of values, in plain array code. Contract: the package's docstring."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from dnnkit.kernels.array import Array, Namespace
from dnnkit.kernels.stages import Context, Settings


def forward(
    xs: Sequence[Array], parameters: Sequence[Array], settings: Settings, context: Context, xp: Namespace = np
) -> tuple[Array, Any]:
    """Return (the sum, the number of values)."""
    y = xs[0]
    for x in xs[1:]:
        y = y + x
    return y, len(xs)


def backward(
    dy: Array,
    saved: Any,
    parameters: Sequence[Array],
    settings: Settings,
    needs_dx: Sequence[bool],
    xp: Namespace = np,
) -> tuple[list[Array | None], list[Array | None]]:
    """Return dy for every value."""
    return [dy if needs else None for needs in needs_dx], []


def numpy_source(xs: Sequence[str], parameters: Sequence[str], settings: Settings) -> str:
    """Return the NumPy expression of the forward pass, for exported code."""
    return " + ".join(xs)
