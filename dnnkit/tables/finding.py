"""Detection of the kinds of a table's columns."""

from collections.abc import Collection
from dataclasses import replace

import numpy as np

from dnnkit.deferred import dataclass
from dnnkit.tables import category_columns, number_columns  # noqa: F401 # which fill KINDS
from dnnkit.tables.category_columns import FreeText
from dnnkit.tables.columns import KINDS, Column, Options
from dnnkit.tables.conversions import typed
from dnnkit.tables.series import Series
from dnnkit.tables.table import Table


@dataclass(frozen=True)
class Found:
    """Kinds of the columns of a table.

    Attributes:
        columns: the columns that can be encoded.
        refused: descriptions of columns that look like free text, by name.
        numbered: names of columns that number the rows.
    """

    columns: tuple[Column, ...]
    refused: dict[str, str]
    numbered: tuple[str, ...]


def find_columns(table: Table, options: Options, categories: Collection[str] = ()) -> Found:
    """Determine the kind of each column; those named in `categories` are categories whatever their values."""
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
"""Number of rows from which consecutive values are not a coincidence."""


def numbers_rows(series: Series) -> bool:
    """Return whether the values are consecutive increasing integers."""
    if series.form != "number" or series.is_category or len(series) < FEWEST_NUMBERED:
        return False
    return bool(np.all(np.diff(series.values) == 1))


def is_an_identifier(series: Series) -> bool:
    """Return whether the values are consecutive integers in any order, each once."""
    return series.form == "number" and numbers_rows(replace(series, values=np.sort(series.values)))
