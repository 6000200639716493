"""One-hot columns on the GPU. Contract: the package's docstring."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from dnnkit.kernels._cuda.launch import THREADS, blocks, contiguous, counted, launch, power_of_two
from dnnkit.kernels._cuda.source import REALS, Source
from dnnkit.kernels._cuda.strips import Memory
from dnnkit.kernels.array import Array
from dnnkit.kernels.stages import Context, Settings
from dnnkit.kernels.stages.columns.gpu import zero


def sources() -> list[Source]:
    """Return every variant that ships."""
    return [Source.of("stages/one_hot/gpu.cu", dtype) for dtype in REALS]


def forward(
    xs: Sequence[Array], parameters: Sequence[Array], settings: Settings, context: Context, memory: Memory
) -> tuple[Array, Any]:
    """Return (y, the shape of x)."""
    x, sizes, mode = xs[0], tuple(settings["sizes"]), settings["mode"]
    is_wide = mode == "concatenate"
    y = memory("y", (x.shape[0], sum(sizes) if is_wide else sizes[0]))
    if y.size == 0:
        return y, x.shape
    column_of = class_of = None
    if is_wide:
        columns_of = np.repeat(np.arange(len(sizes), dtype=np.int32), sizes)
        classes = np.concatenate([np.arange(size, dtype=np.int32) for size in sizes])
        column_of = memory("column of", columns_of.shape, np.int32, columns_of)
        class_of = memory("class of", classes.shape, np.int32, classes)
    (rows, width), (_, columns) = y.shape, x.shape
    along = power_of_two(width, 32)
    grid = blocks(width, along), blocks(rows, THREADS // along)
    most = columns if mode == "count" else 1
    arguments = {"x": contiguous(x), "column_of": column_of, "class_of": class_of, "most": most, "y": y}
    sizes_of = {"rows": rows, "columns": counted(columns), "width": counted(width)}
    source = Source.of("stages/one_hot/gpu.cu", x.dtype.name)
    launch(source, "one_hot", grid, (along, THREADS // along), {**arguments, **sizes_of})
    return y, x.shape


def backward(
    dy: Array,
    saved: Any,
    parameters: Sequence[Array],
    settings: Settings,
    needs_dx: Sequence[bool],
    memory: Memory,
    outs: Sequence[Array | None] | None = None,
) -> tuple[Sequence[Array | None], Sequence[Array | None]]:
    """Return zeros: class numbers have no gradient."""
    dx = memory("dx", saved) if needs_dx[0] else None
    if dx is not None:
        zero(dx)
    return [dx], []
