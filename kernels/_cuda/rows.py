"""What every launcher does whose kernel shares a row among a group of threads, and sums over the rows of a batch."""

from typing import Any

from dnnkit.kernels._cuda.launch import PARTIALS, THREADS, blocks, contiguous, empty, launch, power_of_two
from dnnkit.kernels._cuda.source import Source
from dnnkit.kernels.array import Array

PASSES = 4
"""Groups of rows that a block takes one after the other before another block is worth its part of the sum."""


def group_size(columns: int) -> int:
    """Threads that share a row: the fewest that have one for every column, at most a warp."""
    return power_of_two(columns, 32)


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
    group = group_size(columns)
    parts = blocks(count, PASSES * (THREADS // group), PARTIALS // sums)
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
        "group": group,
    }
    launch(source, kernel, parts, THREADS, {**arguments, **batch})
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
