"""What was found in a table, in lines of text."""

from collections import Counter
from collections.abc import Iterator, Sequence

from dnnkit.tables.columns import Column

MOST_LINES = 24
"""Columns that are told one by one; of more, these and how many others there are."""


def report(columns: Sequence[Column], rows: int, width: int = 80) -> Iterator[str]:
    """The lines: how many rows and columns of which kind, then the columns, each in one line of that width at most."""
    counts = Counter(column.group for column in columns)
    kinds = ", ".join(f"{count:,} {group}" for group, count in counts.most_common())
    yield f"{rows:,} rows, {len(columns):,} columns: {kinds}"
    longest = min(max((len(column.name) for column in columns), default=0), 24)
    kind = max((len(column.kind) for column in columns), default=0)
    for column in columns[:MOST_LINES]:
        name = column.name if len(column.name) <= longest else f"{column.name[: longest - 1]}…"
        missing = f"; {column.missing:,} missing" if column.missing else ""
        room = width - longest - kind - len(missing) - 6
        summary = column.summary()
        summary = summary if len(summary) <= room else f"{summary[: room - 1]}…"
        yield f"  {name:{longest}}  {column.kind:{kind}}  {summary}{missing}"
    if len(columns) > MOST_LINES:
        others = columns[MOST_LINES:]
        yield f"  and {len(others):,} more columns; {sum(column.missing for column in others):,} missing"
