"""Shared code of launchers whose kernels split a row among a group of threads, or sum over the rows of a batch."""

import re
from collections.abc import Iterable
from functools import cache
from typing import Any

from dnnkit.deferred import dataclass
from dnnkit.kernels._cuda.launch import PARTIALS, THREADS, blocks, contiguous, counted, empty, launch, power_of_two
from dnnkit.kernels._cuda.source import Source
from dnnkit.kernels.array import Array

PASSES = 4
"""Groups of rows per block, below which another partial sum does not pay."""


SHORT = 32
"""Rows up to this many columns always go through a tile."""

TILED, HELD, PACK = 64, 128, 16
"""Maximum bytes per thread of a row in a tile, and in registers; bytes per vector load."""

WARP = 32
IN_TILES, IN_REGISTERS, AS_STREAMS = "IN_TILES", "IN_REGISTERS", "AS_STREAMS"
"""How threads access the numbers of a row; `rows.cu` is compiled for one of these."""

MANY_PASSES = re.compile(r"^#define MANY_PASSES\b", re.MULTILINE)
"""Defined by a source that passes over a row more than once, which makes registers worthwhile."""


@dataclass(frozen=True)
class Division:
    """How the threads of a block share rows.

    Attributes:
        rows: `IN_TILES`, `IN_REGISTERS` or `AS_STREAMS`.
        group: threads per row.
        tile: bytes of shared memory per matrix that is read.
    """

    rows: str
    group: int
    tile: int

    @classmethod
    @cache
    def of(cls, source: Source, columns: int) -> "Division":
        """Return the division for rows of `columns` numbers in the source's dtype."""
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
        """Rows per block at a time."""
        return THREADS // self.group


def ways(source: Source) -> tuple[str, ...]:
    """Return the row access modes of a source."""
    return (IN_TILES, IN_REGISTERS, AS_STREAMS) if MANY_PASSES.search(source.text()) else (IN_TILES, AS_STREAMS)


def variants(sources: Iterable[Source]) -> list[Source]:
    """Return a variant of each source for each of its row access modes."""
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
    """Launch a kernel that leaves `sums` partial sums per block over its rows of (B, K), and add them up to totals.

    With `adds`, they are added to the existing totals, otherwise they replace them. `clock` is passed if the kernel has
    such a parameter.
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
    """Launch the sum of the partial sums of `count` blocks, from a source that includes `sums.cu`."""
    arguments = {"parts": parts, "totals": totals, "clock": clock, "count": count, "sums": sums, "adds": adds}
    launch(source, "sum_parts", 1, THREADS, arguments)
