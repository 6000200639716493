"""Column range, in plain array code. Contract: the package's docstring."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from dnnkit.kernels.array import Array, Namespace
from dnnkit.kernels.stages import Context, Settings


def forward(
    xs: Sequence[Array], parameters: Sequence[Array], settings: Settings, context: Context, xp: Namespace = np
) -> tuple[Array, Any]:
    """Return (the columns, the shape of x)."""
    return xs[0][:, settings["start"] : settings["stop"]], xs[0].shape


def backward(
    dy: Array,
    saved: Any,
    parameters: Sequence[Array],
    settings: Settings,
    needs_dx: Sequence[bool],
    xp: Namespace = np,
) -> tuple[list[Array | None], list[Array | None]]:
    """Return dy at its columns, zeros elsewhere."""
    if not needs_dx[0]:
        return [None], []
    rows, columns = saved
    sides = [xp.zeros((rows, n), dtype=dy.dtype) for n in (settings["start"], columns - settings["stop"])]
    return [xp.concat([sides[0], dy, sides[1]], axis=1)], []


def numpy_source(xs: Sequence[str], parameters: Sequence[str], settings: Settings) -> str:
    """Return the NumPy expression of the forward pass, for exported code."""
    return f"{xs[0]}[:, {settings['start']}:{settings['stop']}]"
