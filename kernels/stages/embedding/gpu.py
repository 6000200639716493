"""Embedding on the GPU. Contract: the package's docstring."""

from collections.abc import Sequence
from typing import Any

from dnnkit.kernels._cuda.launch import THREADS, blocks, contiguous, counted, launch
from dnnkit.kernels._cuda.source import REALS, Source
from dnnkit.kernels._cuda.strips import Memory, add_chunks, along_columns, wanted
from dnnkit.kernels.array import Array
from dnnkit.kernels.stages import Context, Settings
from dnnkit.kernels.stages.columns.gpu import zero

WARPS = THREADS // 32
ROWS_OF_WARP = 512
"""Minimum number of class numbers per warp, below which another partial gradient does not pay."""

MOST_PARTS = 1 << 20
"""Maximum elements of all partial gradients; a large table has only one."""


def sources() -> list[Source]:
    """Return every variant that ships."""
    return [Source.of("stages/embedding/gpu.cu", dtype) for dtype in REALS]


def forward(
    xs: Sequence[Array], parameters: Sequence[Array], settings: Settings, context: Context, memory: Memory
) -> tuple[Array, Any]:
    """Return (y, the class numbers)."""
    x, table = xs[0], parameters[0]
    classes, columns = table.shape
    y = memory("y", (x.shape[0], x.shape[1] * columns))
    arguments = {"x": contiguous(x), "table": contiguous(table), "classes": counted(classes), "y": y}
    along_columns(_source(x), "embedding", x.size, columns, arguments, x.itemsize)
    return y, x


def backward(
    dy: Array,
    saved: Any,
    parameters: Sequence[Array],
    settings: Settings,
    needs_dx: Sequence[bool],
    memory: Memory,
    outs: Sequence[Array | None] | None = None,
) -> tuple[Sequence[Array | None], Sequence[Array | None]]:
    """Return zeros for class numbers, and the gradient in the table."""
    x, (classes, columns) = saved, parameters[0].shape
    dx = memory("dx", x.shape) if needs_dx[0] else None
    if dx is not None:
        zero(dx)
    dtable = wanted(outs, 0, memory, (classes, columns))
    if dtable is None or dtable.size == 0:
        return [dx], [dtable]
    chunks = blocks(x.size, ROWS_OF_WARP, max(1, min(64, MOST_PARTS // dtable.size)))
    parts = dtable if chunks == 1 else memory("parts", (chunks * dtable.size,))
    sizes = {"rows": x.size, "columns": counted(columns), "chunk": max(1, -(-x.size // chunks))}
    arguments = {"dy": contiguous(dy), "x": contiguous(x), "classes": counted(classes), "parts": parts, **sizes}
    launch(_source(x), "embedding_backward", (blocks(classes, WARPS), chunks), THREADS, arguments)
    if chunks > 1:
        add_chunks(parts, chunks, dtable.size, dtable, x.dtype.name)
    return [dx], [dtable]


def _source(x: Array) -> Source:
    return Source.of("stages/embedding/gpu.cu", x.dtype.name)
