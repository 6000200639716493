"""Text tables that fit a width."""

from collections.abc import Collection, Sequence

GAP = "  "
SHORTEST = 8
"""Minimum width in characters of a truncated column."""


def lines_of(heads: Sequence[str], rows: Sequence[Sequence[str]], width: int, text: Collection[int]) -> list[str]:
    """Return a header line and a line per row.

    If they are too wide, the widest text columns are truncated with "…".

    Arguments:
        heads: column heads.
        rows: cells.
        width: maximum characters per line.
        text: indices of text columns, which are left-aligned; the others are right-aligned.
    """
    table = [list(heads), *map(list, rows)]
    widths = [max(len(row[column]) for row in table) for column in range(len(heads))]
    while text and sum(widths) + len(GAP) * (len(widths) - 1) > width:
        widest = max(text, key=lambda column: widths[column])
        if widths[widest] <= SHORTEST:
            break
        widths[widest] -= 1
    lines = []
    for row in table:
        cells = [
            f"{cut(cell, size):<{size}}" if column in text else f"{cell:>{size}}"
            for column, (cell, size) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append(GAP.join(cells).rstrip()[:width])
    return lines


def cut(text: str, size: int) -> str:
    """Truncate text to `size` characters, ending in "…" if it was longer."""
    return text if len(text) <= size else f"{text[: size - 1]}…"
