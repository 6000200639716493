"""Tables: named columns of equal length."""

from collections.abc import Callable, Sequence
from dataclasses import field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dnnkit.deferred import dataclass
from dnnkit.errors import DataError
from dnnkit.settings import shown
from dnnkit.tables.series import Series

LONGEST_NAME = 300
"""Maximum length of a name in characters; names appear in errors."""


@dataclass(frozen=True)
class Table:
    """Columns of equal length.

    Attributes:
        names: unique names of the columns; "x0", "x1", ... if the table has none.
        rows: number of rows.
        has_names: whether the names are the table's own.
        column: returns the series of a column, given its index.
        matrix: the whole table as an array of numbers, (N, columns), if it was given as one.
    """

    names: tuple[str, ...]
    rows: int
    has_names: bool
    column: Callable[[int], Series] = field(repr=False)
    matrix: NDArray[Any] | None = field(default=None, repr=False)

    @property
    def shape(self) -> tuple[int, int]:
        """Number of rows and columns."""
        return self.rows, len(self.names)

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns, as in data frames."""
        return self.names

    def __len__(self) -> int:
        return self.rows

    @cached_property
    def series(self) -> tuple[Series, ...]:
        """All columns as series."""
        return tuple(map(self.column, range(len(self.names))))

    def take(self, rows: Any) -> "Table":
        """Return the rows with the given indices."""
        if self.matrix is not None:
            return of_matrix(self.matrix[rows], self.names, self.has_names)
        return of_series([series.take(rows) for series in self.series], len(rows), self.has_names)

    def select(self, names: Sequence[str]) -> "Table":
        """Return the columns with the given names, in that order."""
        numbers = [self.names.index(name) for name in names]
        if self.matrix is not None:
            return of_matrix(self.matrix[:, numbers], tuple(names), self.has_names)
        return of_series([self.series[number] for number in numbers], self.rows, self.has_names)

    def drop(self, names: Sequence[str]) -> "Table":
        """Return all columns except those with the given names."""
        return self.select([name for name in self.names if name not in set(names)])


def of_series(series: Sequence[Series], rows: int, has_names: bool = True) -> Table:
    """Return the table of these columns."""
    return Table(tuple(each.name for each in series), rows, has_names, list(series).__getitem__)


def of_matrix(matrix: NDArray[Any], names: tuple[str, ...], has_names: bool) -> Table:
    """Return the table of an array of numbers."""

    def column(number: int) -> Series:
        return Series(names[number], "number", np.ascontiguousarray(matrix[:, number], np.float64))

    return Table(names, len(matrix), has_names, column, matrix)


def numbered(count: int) -> tuple[str, ...]:
    """Return names for columns without names."""
    return tuple(f"x{number}" for number in range(count))


def check_shape(shape: tuple[int, ...]) -> None:
    """Raise `DataError` unless there are two dimensions, neither of them empty."""
    if len(shape) != 2:
        hint = ""
        if len(shape) == 1:
            hint = ". Reshape your data: X.reshape(-1, 1) if it is one column, X.reshape(1, -1) if it is one row"
        raise DataError(f"the table has shape {shape}: expected 2 dimensions, rows and columns{hint}")
    rows, columns = shape
    if not rows or not columns:
        lacking = "sample" if not rows else "feature"
        raise DataError(
            f"Found array with 0 {lacking}(s) (shape={shape}) while a minimum of 1 is required: the table has no "
            f"{'rows' if not rows else 'columns'}"
        )


def check_names(names: Sequence[Any]) -> list[str]:
    """Return the names of columns; raise `DataError` for names that are not text, too long, or not unique."""
    wrong = next((name for name in names if not isinstance(name, str)), None)
    if wrong is not None:
        raise DataError(f"a column is called {shown(wrong)} ({type(wrong).__name__}): expected text for all names")
    longest = max((name for name in names), key=len, default="")
    if len(longest) > LONGEST_NAME:
        raise DataError(
            f"a column's name has {len(longest):,} characters, {shown(longest)}: expected at most {LONGEST_NAME:,}"
        )
    if len(set(names)) != len(names):
        twice = next(name for number, name in enumerate(names) if name in names[:number])
        raise DataError(f"two columns are named {twice!r}: give each a unique name")
    return [str(name) for name in names]
