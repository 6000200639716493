"""What every launcher does whose kernel shares a row among a group of threads, and sums over the rows of a batch."""

import re
from collections.abc import Iterable
from functools import cache
from typing import Any

from dnnkit.deferred import dataclass
from dnnkit.kernels._cuda.launch import PARTIALS, THREADS, blocks, contiguous, counted, empty, launch, power_of_two
from dnnkit.kernels._cuda.source import Source
from dnnkit.kernels.array import Array

PASSES = 4
"""Groups of rows that a block takes one after the other before another block is worth its part of the sum."""


SHORT = 32
"""Columns of a row that always goes through a tile."""

TILED, HELD, PACK = 64, 128, 16
"""Bytes of a row that one thread has of a tile at most, and in registers; and that it reads at once."""

WARP = 32
IN_TILES, IN_REGISTERS, AS_STREAMS = "IN_TILES", "IN_REGISTERS", "AS_STREAMS"
"""How threads come by the numbers of a row: see `rows.cu`, which is compiled for one of them."""

MANY_PASSES = re.compile(r"^#define MANY_PASSES\b", re.MULTILINE)
"""What a source says if it passes over a row more than once, so that rows are worth registers."""


@dataclass(frozen=True)
class Division:
    """How a block's threads share rows.

    Attributes:
        rows: `IN_TILES`, `IN_REGISTERS` or `AS_STREAMS`.
        group: threads that have a row together.
        tile: bytes of shared memory per matrix that is read.
    """

    rows: str
    group: int
    tile: int

    @classmethod
    @cache
    def of(cls, source: Source, columns: int) -> "Division":
        """For rows of so many numbers in the source's dtype."""
        itemsize = source.itemsize
        size = counted(columns) * itemsize
        if columns <= SHORT or (size % PACK != 0 and size <= WARP * TILED):
            group = power_of_two(-(-size // TILED), WARP)
            pitch = (-(-columns // group) | 1) * group
            return cls(IN_TILES, group, THREADS // group * pitch * itemsize)
        fits = size % PACK == 0 and size <= WARP * HELD and IN_REGISTERS in ways(source)
        return cls(IN_REGISTERS if fits else AS_STREAMS, power_of_two(-(-size // PACK), WARP), 0)

    @property
    def at_once(self) -> int:
        """Rows of a block."""
        return THREADS // self.group


def ways(source: Source) -> tuple[str, ...]:
    """The ways that the rows of a source may go."""
    return (IN_TILES, IN_REGISTERS, AS_STREAMS) if MANY_PASSES.search(source.text()) else (IN_TILES, AS_STREAMS)


def variants(sources: Iterable[Source]) -> list[Source]:
    """Each for every way that its rows may go."""
    return [source.having(ROWS=way) for source in sources for way in ways(source)]


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
    division = Division.of(source, columns)
    parts = blocks(count, PASSES * division.at_once, PARTIALS // sums)
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
    source = source.having(ROWS=division.rows)
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
