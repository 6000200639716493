"""What every launcher does whose kernel shares a row among a group of threads, and sums over the rows of a batch."""

from dataclasses import dataclass
from functools import cache
from typing import Any

from dnnkit.kernels._cuda.launch import PARTIALS, THREADS, blocks, contiguous, counted, empty, launch, power_of_two
from dnnkit.kernels._cuda.source import Source
from dnnkit.kernels.array import Array

PASSES = 4
"""Groups of rows that a block takes one after the other before another block is worth its part of the sum."""


SHORT = 32
"""Columns of a row that always goes through a tile."""

TILED, PACK = 64, 16
"""Bytes of a row that one thread has of a tile at most, and that it reads at once where there is no tile."""


@dataclass(frozen=True)
class Division:
    """How the threads of a block share rows: how many have one, and the bytes of a tile in shared memory per matrix.

    The rule for tiles is also in `rows.cu`.
    """

    group: int
    tile: int

    @classmethod
    @cache
    def of(cls, columns: int, itemsize: int) -> "Division":
        """For rows of so many numbers."""
        columns = counted(columns)
        through_tile = columns <= SHORT or (columns * itemsize % PACK != 0 and columns * itemsize <= 32 * TILED)
        group = power_of_two(-(-columns * itemsize // (TILED if through_tile else PACK)), 32)
        pitch = (-(-columns // group) | 1) * group
        return cls(group, THREADS // group * pitch * itemsize if through_tile else 0)

    @property
    def rows(self) -> int:
        """Rows of a block at a time."""
        return THREADS // self.group


def sum_over_rows(
    source: Source,
    kernel: str,
    scores: Array,
    targets: Array,
    weights: Array | None,
    arguments: dict[str, Any],
    totals: Array,
    scratch: Array | None,
    sums: int = 1,
    adds: bool = False,
    clock: Array | None = None,
) -> None:
    """Launch a kernel that leaves each block's `sums` over its rows of (B, K), and add them up to totals.

    It `adds` to what is there already, or writes over it. A `clock` is one of the kernel's parameters, if it has any.
    """
    count, columns = scores.shape
    division = Division.of(columns, scores.itemsize)
    parts = blocks(count, PASSES * division.rows, PARTIALS // sums)
    if parts > 1 and scratch is None:
        scratch = empty(PARTIALS, "float64")
    batch = {
        "targets": contiguous(targets, "int64" if targets.ndim == 1 else scores.dtype),
        "weights": None if weights is None else contiguous(weights, scores.dtype),
        "parts": scratch if parts > 1 else None,
        "totals": totals,
        "adds": adds,
        "rows": count,
        "columns": columns,
        "group": division.group,
    }
    shared_bytes = division.tile * (2 if targets.ndim > 1 else 1)
    launch(source, kernel, parts, THREADS, {**arguments, **batch}, shared_bytes)
    if parts > 1:
        assert scratch is not None
        sum_parts(source, scratch, parts, totals, sums, adds, clock)


def sum_parts(
    source: Source,
    parts: Array,
    count: int,
    totals: Array,
    sums: int = 1,
    adds: bool = False,
    clock: Array | None = None,
) -> None:
    """Launch what adds up the parts of `count` blocks, by a source that includes `sums.cu`."""
    arguments = {"parts": parts, "totals": totals, "clock": clock, "count": count, "sums": sums, "adds": adds}
    launch(source, "sum_parts", 1, THREADS, arguments)
