"""Tables as lines of text that fit a width."""

from collections.abc import Collection, Sequence

GAP = "  "
SHORTEST = 8
"""Letters that stay of a column that is cut."""


def lines_of(heads: Sequence[str], rows: Sequence[Sequence[str]], width: int, text: Collection[int]) -> list[str]:
    """A line of heads, and one for each row.

    Where they are too wide, the widest column of text is cut, and ends in "…".

    Arguments:
        heads: of the columns.
        rows: cells.
        width: letters in a line, at most.
        text: which columns are text, which begins at the left; numbers end at the right.
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
    """At most so many letters, the last of which says that there were more."""
    return text if len(text) <= size else f"{text[: size - 1]}…"
