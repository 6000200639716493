"""What every launcher does whose kernel goes down the columns of a matrix, and sums down them: see `strips.cu`."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from dnnkit.kernels._cuda.launch import PARTIALS, THREADS, blocks, counted, launch, power_of_two
from dnnkit.kernels._cuda.source import REALS, Source
from dnnkit.kernels.array import Array

ROWS_OF_THREAD = 16
"""Rows that a thread adds up before another block is worth a partial sum of its own."""

SUM_COLUMNS = "_cuda/sum_columns.cu"

Memory = Callable[..., Array]
"""`memory(name, shape, dtype=None, fill=None)`: that much of it, the same at every call; of a stage's dtype if none is
said. With `fill`, an array of the host, it has those numbers, which are the same at every call."""


def sources() -> list[Source]:
    """What adds up the sums of several chunks."""
    return [Source.of(SUM_COLUMNS, dtype) for dtype in REALS]


def block_of(columns: int, itemsize: int) -> tuple[int, int]:
    """Threads along a row, and rows at a time."""
    along = power_of_two(-(-columns // lanes(itemsize)), 32)
    return along, THREADS // along


def lanes(itemsize: int) -> int:
    """Numbers that a thread takes at a time where rows are aligned; where they are not, its loop takes more turns."""
    return 16 // itemsize


def strips_of(columns: int, itemsize: int) -> int:
    """Blocks side by side."""
    return blocks(columns, lanes(itemsize) * block_of(columns, itemsize)[0])


def chunks_of(rows: int, columns: int) -> int:
    """Blocks one below the other, from the sizes alone: so the sums are the same in each run."""
    along, down = block_of(columns, 4)
    most = max(1, PARTIALS // blocks(columns, 4 * along))
    return blocks(rows, ROWS_OF_THREAD * down, most)


def along_columns(
    source: Source, kernel: str, rows: int, columns: int, arguments: Mapping[str, Any], itemsize: int
) -> None:
    """Launch a kernel that sums nothing."""
    if rows == 0 or columns == 0:
        return
    _, down = block_of(columns, itemsize)
    _launch(source, kernel, rows, columns, arguments, itemsize, blocks(rows, ROWS_OF_THREAD * down))


def down_columns(
    source: Source,
    kernel: str,
    rows: int,
    columns: int,
    arguments: Mapping[str, Any],
    sums: Mapping[str, Array | None],
    memory: Memory,
    like: Array,
) -> None:
    """Launch a kernel that sums down the columns, and add up what several chunks of rows give.

    `sums` are where the sums go, (columns,) each, by the kernel's parameters; None for one that nobody wants. They are
    of the dtype of `like`.
    """
    if columns == 0:
        return
    count, dtype, parts = chunks_of(rows, columns), like.dtype.name, dict(sums)
    if count > 1:
        wanted = [name for name, out in sums.items() if out is not None]
        parts |= {name: memory(f"parts of {name}", (count * columns,)) for name in wanted}
    _launch(source, kernel, rows, columns, {**arguments, **parts}, like.itemsize, count)
    if count > 1:
        for name in wanted:
            add_chunks(parts[name], count, columns, sums[name], dtype)


def add_chunks(parts: Array | None, count: int, columns: int, out: Array | None, dtype: str) -> None:
    """The sum of (count, columns) over the chunks, to out."""
    along = power_of_two(columns, 32)
    summed = {"parts": parts, "out": out, "rows": count, "columns": counted(columns)}
    launch(Source.of(SUM_COLUMNS, dtype), "sum_columns", (blocks(columns, along), 1), (along, THREADS // along), summed)


def _launch(
    source: Source, kernel: str, rows: int, columns: int, arguments: Mapping[str, Any], itemsize: int, count: int
) -> None:
    sizes = {"rows": rows, "columns": counted(columns), "chunk": max(1, -(-rows // count))}
    grid = strips_of(columns, itemsize), count
    launch(source, kernel, grid, block_of(columns, itemsize), {**arguments, **sizes})


def wanted(outs: Sequence[Array | None] | None, place: int, memory: Memory, shape: tuple[int, ...]) -> Array | None:
    """Where the gradient of a parameter goes; None if it is not wanted. Without `outs`, in memory of its own."""
    return memory(f"gradient {place}", shape) if outs is None else outs[place]
