"""What tables are made of."""

from math import isfinite

from dnnkit.deferred import dataclass


@dataclass(frozen=True)
class Cell:
    """What is read, and what is sorted by."""

    text: str
    value: float | str


@dataclass(frozen=True)
class Table:
    """A title, what to know about it, the head and the lines.

    Columns `aside` are for pages wider than a terminal; where it is still too wide, columns `parts` divide it.
    """

    title: str
    note: str
    head: tuple[str, ...]
    lines: tuple[tuple[Cell, ...], ...]
    aside: frozenset[str] = frozenset()
    parts: tuple[str, ...] = ()

    def is_numeric(self, place: int) -> bool:
        """Whether a column has numbers."""
        return any(not isinstance(line[place].value, str) for line in self.lines)


def text(text: str) -> Cell:
    """A cell that is sorted by what is read."""
    return Cell(text, text)


def number(value: float) -> str:
    """Three digits; `never` for what was not reached."""
    if not isfinite(value):
        return "never"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:#.3g}".rstrip(".") if value else "0"
