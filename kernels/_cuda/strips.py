"""Shared code of launchers whose kernels go down the columns of a matrix, and of sums down columns; see `strips.cu`."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from dnnkit.kernels._cuda.launch import PARTIALS, THREADS, blocks, counted, launch, power_of_two
from dnnkit.kernels._cuda.source import REALS, Source
from dnnkit.kernels.array import Array

ROWS_OF_THREAD = 16
"""Minimum number of rows per thread, below which another partial sum does not pay."""

SUM_COLUMNS = "_cuda/sum_columns.cu"

Memory = Callable[..., Array]
"""`memory(name, shape, dtype=None, fill=None)`: an array that is the same at every call, of the stage's dtype by
default. With `fill`, a host array that is the same at every call, it holds those numbers.
"""


def sources() -> list[Source]:
    """Return the kernels that add up the sums of several chunks."""
    return [Source.of(SUM_COLUMNS, dtype) for dtype in REALS]


def block_of(columns: int, itemsize: int) -> tuple[int, int]:
    """Return the threads along a row, and the rows at a time."""
    along = power_of_two(-(-columns // lanes(itemsize)), 32)
    return along, THREADS // along


def lanes(itemsize: int) -> int:
    """Return how many numbers a thread processes at a time in aligned rows; unaligned rows take more iterations."""
    return 16 // itemsize


def strips_of(columns: int, itemsize: int) -> int:
    """Return the number of blocks side by side."""
    return blocks(columns, lanes(itemsize) * block_of(columns, itemsize)[0])


def chunks_of(rows: int, columns: int) -> int:
    """Return the number of blocks down the rows. It depends on the sizes alone, which makes sums deterministic."""
    along, down = block_of(columns, 4)
    most = max(1, PARTIALS // blocks(columns, 4 * along))
    return blocks(rows, ROWS_OF_THREAD * down, most)


def along_columns(
    source: Source, kernel: str, rows: int, columns: int, arguments: Mapping[str, Any], itemsize: int
) -> None:
    """Launch a kernel without sums."""
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
    """Launch a kernel that sums down the columns, and add up the sums of several chunks of rows.

    `sums` are the output arrays, (columns,) each, by kernel parameter, in the dtype of `like`; None for a sum that is
    not needed.
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
    """Write the sum of (count, columns) over the chunks to out."""
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
    """Return the array for a parameter's gradient, None if it is not needed. Without `outs`, it is new memory."""
    return memory(f"gradient {place}", shape) if outs is None else outs[place]
