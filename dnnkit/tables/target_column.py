"""Target columns: detect whether they are classes or numbers, and reject unusable ones."""

from collections import Counter
from collections.abc import Collection, Sequence
from itertools import islice
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from dnnkit.deferred import dataclass
from dnnkit.errors import DataError
from dnnkit.registry import did_you_mean
from dnnkit.settings import shown
from dnnkit.tables.columns import figure
from dnnkit.tables.conversions import as_numbers, as_texts, typed
from dnnkit.tables.finding import is_an_identifier
from dnnkit.tables.series import Series
from dnnkit.tables.summary import listed, printable
from dnnkit.tables.table import Table

Task: TypeAlias = Literal["classes", "numbers"]

MOST_WHOLE_CLASSES = 20
"""Maximum number of distinct integers that are treated as classes by default."""


@dataclass(frozen=True)
class TargetColumn:
    """The targets of a table.

    Attributes:
        names: names of the columns.
        task: "classes" or "numbers".
        y: classes (N,), numbers (N,), or numbers (N, columns) for several targets.
    """

    names: tuple[str, ...]
    task: Task
    y: NDArray[Any]

    def report(self) -> list[str]:
        """Describe the target in lines of text."""
        if self.task == "numbers":
            columns = self.y[:, None] if self.y.ndim == 1 else self.y
            return [
                f"target {shown(name)}: numbers, {figure(float(column.min()))} to {figure(float(column.max()))}, "
                f"mean {figure(float(column.mean()))}"
                for name, column in zip(self.names, columns.T, strict=True)
            ]
        counts = Counter(self.y.tolist())
        some = ", ".join(f"{printable(str(each)[:24])} ({count:,})" for each, count in counts.most_common(4))
        more = f", and {len(counts) - 4:,} more" if len(counts) > 4 else ""
        return [f"target {shown(self.names[0])}: {len(counts):,} classes, {some}{more}"]


def find_target(table: Table, names: Sequence[str], task: Task | None, file: str) -> TargetColumn:
    """Return the checked target of a table.

    Arguments:
        table: the table.
        names: names of the target columns; several only for numbers.
        task: None to infer it: text, booleans and few distinct integers are classes.
        file: name of the table in errors.

    Raises:
        DataError: a column does not exist, has missing values, is constant, an identifier, free text or dates; a
            class
            has a single row; one of several columns is not numeric.
    """
    for name in names:
        if name not in table.names:
            raise DataError(
                f"{file} has no column {name!r}: {did_you_mean(name, table.names)}it has {listed(table.names)}"
            )
    if len(set(names)) != len(names):
        raise DataError(f"the target is {listed(names)}: expected each column once")
    columns = [typed(table.series[table.names.index(name)]) for name in names]
    for column in columns:
        _check_values(column)
    if len(columns) > 1:
        for column in columns:
            if task == "classes" or column.form not in ("number", "boolean"):
                raise DataError(f"target {column.name!r} has classes: expected a single target, or several of numbers")
        y = np.stack([_as_values(column) for column in columns], axis=1)
        return TargetColumn(tuple(names), "numbers", y)
    (column,) = columns
    task = task or _likely_task(column)
    return TargetColumn(tuple(names), task, _as_classes(column) if task == "classes" else _as_values(column))


def _check_values(column: Series) -> None:
    missing = column.is_missing()
    if missing.any():
        raise DataError(
            f"target {column.name!r} has no value in {int(missing.sum()):,} of {len(column):,} rows, first in "
            f"{column.place(int(missing.argmax()))}: remove these rows"
        )
    if column.form == "date":
        raise DataError(f"target {column.name!r} has dates: expected classes or numbers")
    values = column.values.tolist() if isinstance(column.values, np.ndarray) else column.values
    if len(set(values)) == 1:
        raise DataError(f"target {column.name!r} is {_word(values[0])} in all rows: there is nothing to predict")
    distinct = len(set(values))
    is_text = column.form in ("text", "cells")
    if is_an_identifier(column) or (is_text and distinct > 20 and distinct > len(values) / 2):
        raise DataError(
            f"target {column.name!r} looks like an identifier: {distinct:,} different values in {len(values):,} rows, "
            f"{listed_values(values)}; choose the column to predict"
        )


def listed_values(values: Collection[Any], most: int = 3) -> str:
    """Format the first values for an error."""
    return ", ".join(map(_word, islice(values, most))) + (", ..." if len(values) > most else "")


def _word(value: Any) -> str:
    return figure(value) if isinstance(value, float) else shown(value)


def _likely_task(column: Series) -> Task:
    if column.form in ("text", "cells", "boolean"):
        return "classes"
    few = len(np.unique(column.values)) <= MOST_WHOLE_CLASSES
    return "classes" if few and _is_whole(column.values) else "numbers"


def _is_whole(values: NDArray[Any]) -> bool:
    return bool(np.all(np.abs(values) < 2**53) and np.all(values == np.floor(values)))


def _as_values(column: Series) -> NDArray[np.float64]:
    if column.form == "text":
        texts = [value for value in column.values if value is not None]
        raise DataError(f"target {column.name!r} has text, {listed_values(texts)}: expected numbers")
    values: NDArray[np.float64] = as_numbers(column).values
    if not np.isfinite(values).all():
        row = int(np.argmin(np.isfinite(values)))
        raise DataError(f"target {column.name!r} is infinite in {column.place(row)}: expected finite numbers")
    return values


def _as_classes(column: Series) -> NDArray[Any]:
    if column.form == "number":
        values: NDArray[Any] = column.values.astype(np.int64) if _is_whole(column.values) else column.values
    elif column.form == "boolean":
        values = column.values.astype(bool)
    else:
        values = np.array(as_texts(column).values)
    classes, first, counts = np.unique(values, return_index=True, return_counts=True)
    lonely = np.flatnonzero(counts == 1)
    if len(lonely):
        names = listed_values([classes[number].item() for number in lonely])
        place = column.place(int(first[lonely[0]]))
        several = len(lonely) > 1
        numbers = "; or use --task numbers" if column.form == "number" else ""
        raise DataError(
            f"target {column.name!r} has {len(lonely):,} {'classes' if several else 'class'} of a single row, {names} "
            f"({place}{' first' if several else ''}), so none is left to score: remove such rows{numbers}"
        )
    return values
