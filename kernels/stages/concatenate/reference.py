"""Concatenation, in plain array code. Contract: the package's docstring."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from dnnkit.kernels.array import Array, Namespace
from dnnkit.kernels.stages import Context, Settings


def forward(
    xs: Sequence[Array], parameters: Sequence[Array], settings: Settings, context: Context, xp: Namespace = np
) -> tuple[Array, Any]:
    """Return (all columns, the number of columns of each value)."""
    return xp.concat(list(xs), axis=1), [x.shape[1] for x in xs]


def backward(
    dy: Array,
    saved: Any,
    parameters: Sequence[Array],
    settings: Settings,
    needs_dx: Sequence[bool],
    xp: Namespace = np,
) -> tuple[list[Array | None], list[Array | None]]:
    """Return the columns of dy that belong to each value."""
    dxs: list[Array | None] = []
    start = 0
    for columns, needs in zip(saved, needs_dx, strict=True):
        dxs.append(dy[:, start : start + columns] if needs else None)
        start += columns
    return dxs, []


def numpy_source(xs: Sequence[str], parameters: Sequence[str], settings: Settings) -> str:
    """Return the NumPy expression of the forward pass, for exported code."""
    return f"np.concatenate([{', '.join(xs)}], axis=1)"
