"""Embedding, in plain array code. Contract: the package's docstring."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from dnnkit.kernels.array import Array, Namespace
from dnnkit.kernels.stages import Context, Settings


def forward(
    xs: Sequence[Array], parameters: Sequence[Array], settings: Settings, context: Context, xp: Namespace = np
) -> tuple[Array, Any]:
    """Return (y, the class numbers)."""
    x = xs[0]
    classes = xp.reshape(xp.astype(x, xp.int64), (-1,))
    return xp.reshape(xp.take(parameters[0], classes, axis=0), (x.shape[0], -1)), classes


def backward(
    dy: Array,
    saved: Any,
    parameters: Sequence[Array],
    settings: Settings,
    needs_dx: Sequence[bool],
    xp: Namespace = np,
) -> tuple[list[Array | None], list[Array | None]]:
    """Return zeros for class numbers, and the gradient in the table.

    Without a scatter-add, as in NumPy's, the table's gradient is a product with one-hot rows.
    """
    table = parameters[0]
    rows = xp.reshape(dy, (-1, table.shape[1]))
    if xp is np:
        dtable = np.zeros(table.shape, dy.dtype)
        np.add.at(dtable, saved, rows)
    else:
        is_class = xp.arange(table.shape[0], dtype=xp.int64)[:, None] == saved[None, :]
        dtable = xp.matmul(xp.astype(is_class, dy.dtype), rows)
    columns = saved.shape[0] // dy.shape[0]
    return [xp.zeros((dy.shape[0], columns), dtype=dy.dtype) if needs_dx[0] else None], [dtable]


def numpy_source(xs: Sequence[str], parameters: Sequence[str], settings: Settings) -> str:
    """Return the NumPy expression of the forward pass, for exported code."""
    return f"{parameters[0]}[{xs[0]}.astype(int)].reshape(len({xs[0]}), -1)"
