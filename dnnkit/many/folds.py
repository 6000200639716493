"""Held-out rows for several networks: stratified folds, divided anew in each repeat."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from dnnkit.errors import ConfigurationError, DataError
from dnnkit.network.checks import check_count
from dnnkit.settings import shown

Rows: TypeAlias = NDArray[np.intp]
Division: TypeAlias = list[tuple[Rows, Rows]]
"""For each network the indices of its training rows and its held-out rows."""
Stratified: TypeAlias = Literal["auto"] | bool | Any


def folds_of(rows: int, folds: int, *, labels: NDArray[Any] | None = None, repeats: int = 1, seed: int = 0) -> Division:
    """Divide rows into folds, each of which is held out once per repeat; every repeat divides them anew.

    The sizes of folds, and of each class within them, differ by one row at most.

    Arguments:
        rows: N.
        folds: number of folds, 2 to N.
        labels: (N,), equal for rows of one class, to stratify by; None for no stratification.
        repeats: number of divisions.
        seed: seed of the divisions, 0 to 2³² - 1.

    Raises:
        ConfigurationError: an argument is out of range.
        DataError: there are fewer rows than folds.
    """
    folds, repeats = check_count("folds", folds, 2), check_count("repeats", repeats)
    if rows < folds:
        raise DataError(f"{rows} rows cannot be divided into {folds} folds: give more rows, or fewer folds")
    found: Division = []
    for repeat in range(repeats):
        order = np.random.default_rng([seed, repeat]).permutation(rows)
        if labels is not None:
            order = order[np.argsort(labels[order], kind="stable")]
        parts = np.empty(rows, np.intp)
        parts[order] = np.arange(rows) % folds
        found += [(np.flatnonzero(parts != fold), np.flatnonzero(parts == fold)) for fold in range(folds)]
    return found


def labels_of(y: Any, stratified: Stratified = "auto") -> NDArray[np.intp] | None:
    """Return the class index of each row to stratify folds by; None for no stratification.

    Arguments:
        y: the targets.
        stratified: "auto": stratify if y are classes: integers or booleans, one per row, or one-hot rows. True: raise
            if they are not; False: never; an array (N,): stratify by it instead of y.

    Raises:
        DataError: `stratified` is True and y are not classes, or the array does not have one value per row.
    """
    if stratified is False or stratified is None:
        return None
    targets = np.asarray(y) if not isinstance(y, Mapping | list | tuple) else None
    if isinstance(stratified, bool | str):
        if isinstance(stratified, str) and stratified != "auto":
            raise ConfigurationError(f"stratified is {shown(stratified)}: expected 'auto', True, False or an array")
        labels = None if targets is None else classes_of(targets)
        if labels is None and stratified is True:
            raise DataError(
                "stratified=True, but y are no classes (whole numbers, booleans or one-hot rows): give an array (N,) "
                "of what folds shall have equal shares of, or stratified=False"
            )
        return labels
    labels = np.asarray(stratified)
    if labels.ndim != 1 or (targets is not None and len(labels) != len(targets)):
        rows = "N" if targets is None else len(targets)
        raise DataError(f"stratified has shape {labels.shape}: expected ({rows},), a value for each row")
    return np.unique(labels, return_inverse=True)[1].reshape(-1)


def classes_of(y: NDArray[Any]) -> NDArray[np.intp] | None:
    """Return the class index of each row; None if y are not classes."""
    if y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]
    if y.ndim == 2 and y.dtype.kind in "biuf" and len(y) and bool(((y == 0) | (y == 1)).all()):
        return y.argmax(axis=1) if bool((y.sum(axis=1) == 1).all()) else None
    if y.ndim != 1 or y.dtype.kind not in "biuOUS":
        return None
    return np.unique(y, return_inverse=True)[1].reshape(-1)


def division_of(
    given: int | Sequence[tuple[Any, Any]], rows: int, labels: NDArray[Any] | None, repeats: int, seed: int
) -> Division:
    """Return folds, given their number or pairs of row indices, such as a scikit-learn splitter yields.

    Raises:
        ConfigurationError: `given` is neither, or `repeats` is combined with pairs.
        DataError: a pair has no rows, indices out of range, or rows both for training and held out.
    """
    if isinstance(given, int | np.integer) or not hasattr(given, "__iter__"):
        return folds_of(rows, given, labels=labels, repeats=repeats, seed=seed)  # type: ignore[arg-type]
    if check_count("repeats", repeats) != 1:
        raise ConfigurationError(f"repeats={repeats} beside pairs of row numbers: give the pairs of all repeats")
    found: Division = []
    for number, pair in enumerate(given):
        if not isinstance(pair, tuple | list) or len(pair) != 2:
            raise ConfigurationError(
                f"folds[{number}] is {shown(pair)}: expected a number of folds, or pairs (rows to learn from, rows to "
                "hold out)"
            )
        train, held_out = (_row_numbers(part, rows, f"folds[{number}]") for part in pair)
        if np.intersect1d(train, held_out).size:
            raise DataError(f"folds[{number}] has rows both to learn from and to hold out: scores would tell nothing")
        found.append((train, held_out))
    if not found:
        raise ConfigurationError("folds is empty: expected a number of folds, or pairs of row numbers")
    return found


def _row_numbers(given: Any, rows: int, what: str) -> Rows:
    numbers = np.asarray(given)
    if numbers.dtype == bool and numbers.shape == (rows,):
        numbers = np.flatnonzero(numbers)
    if numbers.ndim != 1 or not numbers.size or numbers.dtype.kind not in "iu":
        raise DataError(f"{what} has {shown(given)}: expected row numbers, at least one")
    if numbers.min() < 0 or numbers.max() >= rows:
        raise DataError(f"{what} has row numbers from {numbers.min()} to {numbers.max()}: expected 0 to {rows - 1}")
    return numbers.astype(np.intp)


def share_of(division: Division) -> float:
    """Return the mean ratio of held-out rows to training rows."""
    return float(np.mean([len(held_out) / len(train) for train, held_out in division]))


def taken(data: Any, rows: Rows) -> Any:
    """Return rows of an array, or of each array in a list or a dictionary; None for None."""
    if data is None:
        return None
    if isinstance(data, Mapping):
        return {name: taken(each, rows) for name, each in data.items()}
    if isinstance(data, list | tuple) and data and hasattr(data[0], "shape"):
        return [taken(each, rows) for each in data]
    return data[rows] if hasattr(data, "shape") else np.asarray(data)[rows]


def count_rows(data: Any) -> int:
    """Return the number of rows of an array, or of the first array in a list or a dictionary."""
    if isinstance(data, Mapping) and data:
        return count_rows(next(iter(data.values())))
    if isinstance(data, list | tuple) and data and hasattr(data[0], "shape"):
        return count_rows(data[0])
    shape = getattr(data, "shape", None) or np.shape(data)
    if not shape:
        raise DataError(f"x is {shown(data)}: expected an array with one row per sample")
    return int(shape[0])
