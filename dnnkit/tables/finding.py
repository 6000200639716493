"""What the columns of a table are, in training."""

from collections.abc import Collection
from dataclasses import replace

import numpy as np

from dnnkit.deferred import dataclass
from dnnkit.tables import category_columns, number_columns  # noqa: F401 # which fill KINDS
from dnnkit.tables.category_columns import FreeText
from dnnkit.tables.columns import KINDS, Column, Options
from dnnkit.tables.series import Series, typed
from dnnkit.tables.table import Table


@dataclass(frozen=True)
class Found:
    """The columns of a table.

    Attributes:
        columns: those that can be encoded.
        refused: what is said of those that look like free text, by name.
        numbered: the names of those that number the rows.
    """

    columns: tuple[Column, ...]
    refused: dict[str, str]
    numbered: tuple[str, ...]


def find_columns(table: Table, options: Options, categories: Collection[str] = ()) -> Found:
    """What each column is; those of these names are categories, whatever they look like."""
    columns, refused, numbered = [], {}, []
    for series in table.series:
        seen = typed(replace(series, is_category=True) if series.name in categories else series)
        if table.has_names and len(table.names) > 1 and numbers_rows(seen):
            numbered.append(seen.name)
        try:
            columns.append(next(found for kind in KINDS.values() if (found := kind.found(seen, options)) is not None))
        except FreeText as text:
            refused[seen.name] = str(text)
    return Found(tuple(columns), refused, tuple(numbered))


FEWEST_NUMBERED = 50
"""Rows of which it would be no accident that they are numbered."""


def numbers_rows(series: Series) -> bool:
    """Whether values are 0, 1, 2, ..., from whatever number on."""
    if series.form != "number" or series.is_category or len(series) < FEWEST_NUMBERED:
        return False
    return bool(np.all(np.diff(series.values) == 1))


def is_an_identifier(series: Series) -> bool:
    """Whether values are consecutive whole numbers, each once, in whatever order."""
    return series.form == "number" and numbers_rows(replace(series, values=np.sort(series.values)))
