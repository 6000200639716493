"""Parts of summaries: rankings of cases, and numbers as a sentence says them."""

from collections.abc import Sequence
from dataclasses import field
from math import inf, isfinite

from dnnkit.bench.cells import Cell, Table, number
from dnnkit.bench.results import Row
from dnnkit.bench.statistics import ratio
from dnnkit.deferred import dataclass

NAMED = 4
"""Number of names listed in a sentence; further ones are counted."""


@dataclass(frozen=True)
class Glance:
    """A summary: a sentence, a ranking if there is one, and answers to common questions."""

    sentence: str
    ranking: Table | None = None
    lines: tuple[str, ...] = ()


@dataclass
class Rank:
    """Cases from fastest to slowest, and those that do not differ from the fastest."""

    rows: list[Row]
    same: list[str] = field(default_factory=list)
    """Names that do not differ significantly from the first."""
    never: list[str] = field(default_factory=list)
    """Names whose median was never reached."""


def rank(rows: Sequence[Row], name: str, noise: float) -> Rank:
    """Rank rows by their medians.

    Arguments:
        rows: rows of one quantity; smaller is better.
        name: the column with their names.
        noise: relative difference between runs of identical code.
    """
    found = sorted((row for row in rows if isfinite(row.summary.median)), key=lambda row: row.summary.median)
    never = [str(row.case[name]) for row in rows if not isfinite(row.summary.median)]
    same = [str(row.case[name]) for row in found[1:] if is_same(found[0], row, noise)]
    return Rank(found, same, never)


def is_same(a: Row, b: Row, noise: float) -> bool:
    """Return whether two rows do not differ beyond chance and noise; values never reached count as very large."""
    late = 10 * max(sample for sample in (*a.samples, *b.samples) if isfinite(sample))
    first, second = ([sample if isfinite(sample) else late for sample in row.samples] for row in (a, b))
    return ratio(first, second).verdict(noise) == "indistinguishable"


def names_of(names: Sequence[str]) -> str:
    """Join names as text: "tanh, elu and 3 others"."""
    shown, others = list(names[:NAMED]), len(names) - NAMED
    if others == 1:
        shown, others = list(names), 0
    if others > 0:
        return f"{', '.join(shown)} and {others} others"
    return " and ".join(filter(None, (", ".join(shown[:-1]), shown[-1]))) if shown else ""


def duration(seconds: float) -> str:
    """Format seconds with a suitable unit: "41 ms"."""
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if seconds >= size or unit == "µs":
            value = seconds / size
            return f"{value:,.0f} {unit}" if value >= 10 else f"{value:.2g} {unit}"
    raise AssertionError


def times(value: float) -> str:
    """Format a ratio: "5.2 ×"."""
    return f"{value:,.0f} ×" if value >= 100 else f"{value:.2g} ×" if value >= 10 else f"{value:.1f} ×"


def median_cell(row: Row | None) -> Cell:
    """Return the cell of a median; a dash without a row."""
    return Cell("–", inf) if row is None else Cell(number(row.summary.median), row.summary.median)
