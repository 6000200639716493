"""Summaries of tables as text, and lists of names for errors."""

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from itertools import islice

from dnnkit.tables.columns import Column

MOST_LINES = 24
"""Maximum number of columns that are listed one by one; the others are counted."""


def report(columns: Sequence[Column], rows: int, width: int = 80) -> Iterator[str]:
    """Yield lines: the number of rows and of columns by kind, then one line of at most `width` per column."""
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
    """Format names for an error."""
    return listed_words([repr(name[:60]) for name in names], most)


def listed_words(words: Collection[str], most: int = 12) -> str:
    """Join words for an error; of many, list the first and count the others."""
    some = ", ".join(islice(words, most))
    return some if len(words) <= most else f"{some} and {len(words) - most:,} more"


def printable(text: str) -> str:
    """Replace unprintable characters, such as line ends and terminal control sequences."""
    return text if text.isprintable() else "".join(each if each.isprintable() else "\ufffd" for each in text)
