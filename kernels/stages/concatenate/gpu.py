"""Concatenation on the GPU. Contract: the package's docstring."""

from collections.abc import Sequence
from typing import Any

from dnnkit.kernels._cuda.source import Source
from dnnkit.kernels._cuda.strips import Memory
from dnnkit.kernels.array import Array
from dnnkit.kernels.stages import Context, Settings
from dnnkit.kernels.stages.columns.gpu import copy_columns


def sources() -> list[Source]:
    """Return no variants: the kernels are those of `columns`."""
    return []


def forward(
    xs: Sequence[Array], parameters: Sequence[Array], settings: Settings, context: Context, memory: Memory
) -> tuple[Array, Any]:
    """Return (all columns, the number of columns of each value)."""
    widths = [x.shape[1] for x in xs]
    y, start = memory("y", (xs[0].shape[0], sum(widths))), 0
    for x, width in zip(xs, widths, strict=True):
        copy_columns(x, 0, y, start, width)
        start += width
    return y, widths


def backward(
    dy: Array,
    saved: Any,
    parameters: Sequence[Array],
    settings: Settings,
    needs_dx: Sequence[bool],
    memory: Memory,
    outs: Sequence[Array | None] | None = None,
) -> tuple[Sequence[Array | None], Sequence[Array | None]]:
    """Return the columns of dy that belong to each value."""
    dxs: list[Array | None] = []
    start = 0
    for place, (width, needs) in enumerate(zip(saved, needs_dx, strict=True)):
        dx = memory(f"dx {place}", (dy.shape[0], width)) if needs else None
        if dx is not None:
            copy_columns(dy, start, dx, 0, width)
        dxs.append(dx)
        start += width
    return dxs, []
