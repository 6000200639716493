"""Cells and tables."""

from math import isfinite

from dnnkit.deferred import dataclass


@dataclass(frozen=True)
class Cell:
    """A cell: its text, and the value to sort by."""

    text: str
    value: float | str


@dataclass(frozen=True)
class Table:
    """A table: title, note, head and lines.

    Columns `aside` are shown on pages only, not in a terminal; a table that is still too wide is split by the columns
    `parts`.
    """

    title: str
    note: str
    head: tuple[str, ...]
    lines: tuple[tuple[Cell, ...], ...]
    aside: frozenset[str] = frozenset()
    parts: tuple[str, ...] = ()

    def is_numeric(self, place: int) -> bool:
        """Return whether a column has numbers."""
        return any(not isinstance(line[place].value, str) for line in self.lines)


def text(text: str) -> Cell:
    """Return a cell that is sorted by its text."""
    return Cell(text, text)


def number(value: float) -> str:
    """Format a number with three digits; `never` for infinity."""
    if not isfinite(value):
        return "never"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:#.3g}".rstrip(".") if value else "0"
