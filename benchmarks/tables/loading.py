"""A data set of the catalogue as a table, and its folds."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from typing import Any

import numpy as np

from benchmarks.tables.catalogue import CATALOGUE, Entry
from benchmarks.tables.sources import SOURCES, licence
from dnnkit.errors import DataError

REPEATS, FOLDS = 5, 2


@dataclass(frozen=True)
class Table:
    """A data set, ready to be split.

    Arguments:
        entry: its entry in the catalogue.
        x: pandas DataFrame of numbers and strings, missing values kept.
        y: array (rows,) of class names (str), or of numbers (float64).
    """

    entry: Entry
    x: Any
    y: np.ndarray

    @property
    def categories(self) -> list[str]:
        """Return the columns that are not numeric."""
        return [name for name in self.x if self.x[name].dtype == object]

    def facts(self) -> dict[str, Any]:
        """Return facts for the report."""
        entry = self.entry
        return {
            "name": entry.name,
            "task": entry.task,
            "source": f"{SOURCES[entry.source].install}: {entry.item}",
            "licence": licence(entry.source, entry.item),
            "target": entry.target,
            "rows": len(self.x),
            "columns": self.x.shape[1],
            "categorical": len(self.categories),
            "rows with missing values": int(self.x.isna().any(axis=1).sum()),
            "classes": len(np.unique(self.y)) if entry.task == "classification" else None,
        }


@cache
def load(name: str) -> Table:
    """Read one data set of the catalogue.

    Numbers stay numbers (booleans become 0 and 1), all other values become strings; rows without a target are dropped.

    Raises:
        DataError: the data set is unknown, or its package is not installed.
    """
    if name not in CATALOGUE:
        raise DataError(f"no data set is called {name!r}: python -m benchmarks.tables list shows all {len(CATALOGUE)}")
    if find_spec("pandas") is None:
        raise DataError("the data sets are read with pandas, which is not installed: pip install pandas")
    import pandas
    from pandas.api.types import is_bool_dtype, is_numeric_dtype

    entry = CATALOGUE[name]
    table = SOURCES[entry.source].read(entry.item)
    table = table[table[entry.target].notna()].reset_index(drop=True)
    target, x = table[entry.target], table.drop(columns=[entry.target, *entry.drop])
    columns = {}
    for column in x:
        values = x[column]
        if is_bool_dtype(values.dtype):
            columns[str(column)] = values.astype(np.int64)
        elif is_numeric_dtype(values.dtype):
            columns[str(column)] = values.astype(values.dtype.name.lower())
        else:
            columns[str(column)] = values.astype(str).astype(object).where(values.notna(), None)
    y = target.to_numpy(np.float64) if entry.task == "regression" else target.astype(str).to_numpy(dtype=str)
    return Table(entry, pandas.DataFrame(columns), y)


def folds(table: Table, repeats: int = REPEATS) -> Iterator[tuple[int, int, np.ndarray, np.ndarray]]:
    """Yield repeat, fold, the rows to fit on and the rows to test on.

    Each repeat has two halves, stratified by class, or by decile of the target. The seed is the number of the repeat,
    so that all methods get the same halves.
    """
    from sklearn.model_selection import StratifiedKFold

    if table.entry.task == "classification":
        strata = table.y
    else:
        strata = (np.argsort(np.argsort(table.y, kind="stable"), kind="stable") * 10) // len(table.y)
    for repeat in range(repeats):
        halves = StratifiedKFold(FOLDS, shuffle=True, random_state=repeat)
        for fold, (fit, test) in enumerate(halves.split(np.zeros(len(strata)), strata)):
            yield repeat, fold, fit, test
