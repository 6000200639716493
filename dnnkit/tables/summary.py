"""What was found in a table, in lines of text."""

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from itertools import islice

from dnnkit.tables.columns import Column

MOST_LINES = 24
"""Columns that are told one by one; of more, these and how many others there are."""


def report(columns: Sequence[Column], rows: int, width: int = 80) -> Iterator[str]:
    """The lines: how many rows and columns of which kind, then the columns, each in one line of that width at most."""
    counts = Counter((column.kind, column.group) for column in columns)
    kinds = ", ".join(f"{count:,} {one if count == 1 else several}" for (one, several), count in counts.most_common())
    yield f"{rows:,} rows, {len(columns):,} columns: {kinds}"
    longest = min(max((len(column.name) for column in columns), default=0), 24)
    kind = max((len(column.kind) for column in columns), default=0)
    for column in columns[:MOST_LINES]:
        name = printable(column.name if len(column.name) <= longest else f"{column.name[: longest - 1]}…")
        missing = f"; {column.missing:,} missing" if column.missing else ""
        room = width - longest - kind - len(missing) - 6
        summary = printable(column.summary())
        summary = summary if len(summary) <= room else f"{summary[: room - 1]}…"
        yield f"  {name:{longest}}  {column.kind:{kind}}  {summary}{missing}"
    if len(columns) > MOST_LINES:
        others = columns[MOST_LINES:]
        yield f"  and {len(others):,} more columns; {sum(column.missing for column in others):,} missing"


def listed(names: Collection[str], most: int = 12) -> str:
    """Names for an error."""
    return listed_words([repr(name[:60]) for name in names], most)


def listed_words(words: Collection[str], most: int = 12) -> str:
    """Words for an error, of which there may be too many."""
    some = ", ".join(islice(words, most))
    return some if len(words) <= most else f"{some} and {len(words) - most:,} more"


def printable(text: str) -> str:
    """The text on one line, without what moves a terminal's cursor or changes its colours."""
    return text if text.isprintable() else "".join(each if each.isprintable() else "\ufffd" for each in text)
