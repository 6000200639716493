"""Results in a terminal: a sentence, a ranking, some lines; with `full` every table.

A table wider than the terminal is first split into parts, by the values of some columns; then outliers, quartiles and
the intervals of ratios are dropped, in this order. Numbers are never broken across lines.
"""

import textwrap
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Literal

from dnnkit.bench.cells import Cell, Table
from dnnkit.bench.glance import glance
from dnnkit.bench.results import Results
from dnnkit.bench.tables import noise_text, tables

LEFT_OUT = ("outliers", "quartiles", "quartiles ")
"""Columns that are dropped on a narrow terminal, in this order."""
BETWEEN = 3
"""Characters between columns."""


def show(results: Results, console: Any, full: bool) -> None:
    """Print results.

    Arguments:
        results: the results.
        console: rich's console.
        full: whether to print every table after the summary.
    """
    first = glance(results)
    if first is not None:
        console.print(f"{first.sentence}.", style="bold", highlight=False)
        if first.ranking is not None:
            show_table(first.ranking, console)
        for line in first.lines:
            console.print(line, highlight=False)
    if full or first is None:
        for table in tables(results):
            show_table(table, console)
    words = f"{results.seconds:.0f} s; {noise_text(results)}"
    console.print(
        words if full or first is None else f"{words}. Every table: --full, or --report FILE", highlight=False
    )
    for warning in results.warnings:
        console.print(f"warning: {warning}", style="yellow", highlight=False)


def show_table(table: Table, console: Any) -> None:
    """Print a table within the width of the terminal."""
    for part in fitted(table, console.width):
        console.print(_drawn(part, console.width))


def fitted(table: Table, width: int) -> Iterator[Table]:
    """Yield the table, or parts of it whose lines fit.

    Arguments:
        table: any table.
        width: characters per line.
    """
    table = _without(table, table.aside)
    if width_of(table) <= width:
        yield table
        return
    parts = _parts(table)
    if len(parts) == 1:
        parts = [table]
    for number, part in enumerate(parts):
        for name in LEFT_OUT:
            if width_of(part) > width:
                part = _without(part, {name})
        if width_of(part) > width:
            part = _without_intervals(part)
        yield part if number == len(parts) - 1 else replace(part, note="")


def width_of(table: Table) -> int:
    """Return the characters per line."""
    return sum(_width(table, place) + BETWEEN for place in range(len(table.head))) + 1


def _width(table: Table, place: int) -> int:
    """Return the width of a column; its head may take several lines, broken between words."""
    words = table.head[place].split()
    return max(*(len(word) for word in words or [""]), *(len(line[place].text) for line in table.lines), 1)


def _without(table: Table, names: set[str] | frozenset[str]) -> Table:
    places = [place for place, column in enumerate(table.head) if column not in names]
    return _of_places(table, places)


def _of_places(table: Table, places: list[int]) -> Table:
    lines = tuple(tuple(line[place] for place in places) for line in table.lines)
    return replace(table, head=tuple(table.head[place] for place in places), lines=lines)


def _without_intervals(table: Table) -> Table:
    """Return the table with ratios but without their intervals, which follow in brackets."""
    lines = tuple(
        tuple(cell if isinstance(cell.value, str) else Cell(cell.text.partition(" (")[0], cell.value) for cell in line)
        for line in table.lines
    )
    return replace(table, lines=lines)


def _parts(table: Table) -> list[Table]:
    """Split a table by the values of its `parts` columns, which then appear in the titles."""
    places = [place for place, column in enumerate(table.head) if column in table.parts]
    others = [place for place in range(len(table.head)) if place not in places]
    found: dict[tuple[str, ...], list[tuple[Cell, ...]]] = {}
    for line in table.lines:
        found.setdefault(tuple(line[place].text for place in places), []).append(line)
    return [
        _of_places(replace(table, title=", ".join(filter(None, (table.title, *key))), lines=tuple(lines)), others)
        for key, lines in found.items()
    ]


def _drawn(table: Table, width: int) -> Any:
    from rich import box
    from rich.table import Table as RichTable

    shown = RichTable(box=box.SIMPLE_HEAD, title=table.title, title_justify="left", caption=table.note)
    shown.caption_justify = "left"
    is_narrow = sum(max(len(name), _width(table, place)) + BETWEEN for place, name in enumerate(table.head)) >= width
    for place, name in enumerate(table.head):
        justify: Literal["left", "right"] = "right" if table.is_numeric(place) else "left"
        head = "\n".join(textwrap.wrap(name, _width(table, place))) if is_narrow else name.strip()
        is_whole = table.is_numeric(place) or width_of(table) <= width
        shown.add_column(head, justify=justify, overflow="fold", no_wrap=is_whole)
    for line in table.lines:
        shown.add_row(*(cell.text for cell in line))
    return shown
