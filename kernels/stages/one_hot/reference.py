"""One-hot columns, in plain array code. Contract: the package's docstring."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from dnnkit.kernels.array import Array, Namespace
from dnnkit.kernels.stages import Context, Settings


def forward(
    xs: Sequence[Array], parameters: Sequence[Array], settings: Settings, context: Context, xp: Namespace = np
) -> tuple[Array, Any]:
    """Return (y, the shape of x)."""
    x = xs[0]
    columns = [
        xp.astype(x[:, k : k + 1] == xp.arange(size, dtype=x.dtype)[None, :], x.dtype)
        for k, size in enumerate(settings["sizes"])
    ]
    if settings["mode"] == "concatenate":
        return xp.concat(columns, axis=1), x.shape
    y = columns[0]
    for column in columns[1:]:
        y = y + column
    return (xp.where(y > 0, xp.ones_like(y), y) if settings["mode"] == "multi_hot" else y), x.shape


def backward(
    dy: Array,
    saved: Any,
    parameters: Sequence[Array],
    settings: Settings,
    needs_dx: Sequence[bool],
    xp: Namespace = np,
) -> tuple[list[Array | None], list[Array | None]]:
    """Return zeros: class numbers have no gradient."""
    return [xp.zeros(saved, dtype=dy.dtype) if needs_dx[0] else None], []


def numpy_source(xs: Sequence[str], parameters: Sequence[str], settings: Settings) -> str:
    """Return the NumPy expression of the forward pass, for exported code."""
    x, sizes = xs[0], settings["sizes"]
    columns = [f"({x}[:, {k}:{k + 1}] == np.arange({size}))" for k, size in enumerate(sizes)]
    if settings["mode"] == "concatenate":
        return f"np.concatenate([{', '.join(columns)}], axis=1).astype({x}.dtype)"
    y = " + ".join(f"{column}.astype(int)" for column in columns)
    return f"np.minimum({y}, 1).astype({x}.dtype)" if settings["mode"] == "multi_hot" else f"({y}).astype({x}.dtype)"
