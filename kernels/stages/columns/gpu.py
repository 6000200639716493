"""Column range on the GPU. Contract: the package's docstring."""

from collections.abc import Sequence
from typing import Any

from dnnkit.kernels._cuda.launch import THREADS, blocks, contiguous, counted, launch, power_of_two
from dnnkit.kernels._cuda.source import REALS, Source
from dnnkit.kernels._cuda.strips import Memory
from dnnkit.kernels.array import Array
from dnnkit.kernels.stages import Context, Settings


def sources() -> list[Source]:
    """Return every variant that ships."""
    return [Source.of("stages/columns/gpu.cu", dtype) for dtype in REALS]


def copy_columns(x: Array | None, first: int, out: Array, to: int, count: int) -> None:
    """Copy columns of x (B, I) from `first` on to columns to ... to + count - 1 of out (B, O); zeros where x has none.

    Without x, write zeros.
    """
    rows = out.shape[0]
    if rows == 0 or count == 0:
        return
    along = power_of_two(-(-count * out.itemsize // 16), 32)
    grid = blocks(count * out.itemsize, 16 * along), blocks(rows, THREADS // along)
    arguments = {
        "from": None if x is None else contiguous(x),
        "from_columns": 0 if x is None else counted(x.shape[1]),
        "from_first": first,
        "to": out,
        "to_columns": counted(out.shape[1]),
        "to_first": to,
        "rows": rows,
        "columns": count,
    }
    source = Source.of("stages/columns/gpu.cu", out.dtype.name)
    launch(source, "copy_columns", grid, (along, THREADS // along), arguments)


def copy(x: Array, out: Array) -> None:
    """Copy x to out, which has the same number of elements."""
    rows, columns = out.shape if out.ndim == 2 else (1, out.size)
    copy_columns(x.reshape(rows, columns), 0, out.reshape(rows, columns), 0, columns)


def zero(out: Array) -> None:
    """Zero out (B, O)."""
    copy_columns(None, 0, out, 0, out.shape[1])


def forward(
    xs: Sequence[Array], parameters: Sequence[Array], settings: Settings, context: Context, memory: Memory
) -> tuple[Array, Any]:
    """Return (the columns, the shape of x)."""
    y = memory("y", (xs[0].shape[0], settings["stop"] - settings["start"]))
    copy_columns(xs[0], settings["start"], y, 0, y.shape[1])
    return y, xs[0].shape


def backward(
    dy: Array,
    saved: Any,
    parameters: Sequence[Array],
    settings: Settings,
    needs_dx: Sequence[bool],
    memory: Memory,
    outs: Sequence[Array | None] | None = None,
) -> tuple[Sequence[Array | None], Sequence[Array | None]]:
    """Return dy at its columns, zeros elsewhere."""
    if not needs_dx[0]:
        return [None], []
    dx = memory("dx", saved)
    copy_columns(dy, -settings["start"], dx, 0, saved[1])
    return [dx], []
