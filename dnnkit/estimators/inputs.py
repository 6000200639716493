"""Checks of rows and targets with scikit-learn's functions; their errors become dnnkit's."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import issparse
from sklearn.exceptions import NotFittedError
from sklearn.utils.validation import _check_sample_weight, check_array, check_consistent_length, column_or_1d
from sklearn.utils.validation import validate_data as sklearn_validate_data

from dnnkit.errors import DataError, DnnkitError
from dnnkit.tables.frames import table_of
from dnnkit.tables.table import Table

FLOATS = [np.float64, np.float32]


@contextmanager
def data_errors() -> Iterator[None]:
    """Convert scikit-learn's `ValueError` to `DataError`, with the same message."""
    try:
        yield
    except (DnnkitError, NotFittedError):
        raise
    except ValueError as error:
        hint = ""
        if str(error).startswith("could not convert string"):
            hint = "; for columns of text use encoder='tabular', the default of the preset 'tabular'"
        raise DataError(f"{error}{hint}") from error


def as_rows(estimator: Any, X: Any, *, is_first: bool, is_table: bool) -> Any:
    """Return rows as an array of finite numbers or a CSR matrix; tables for an encoder are returned unchanged.

    Arguments:
        estimator: the estimator; learns the number and names of columns if `is_first`, otherwise compares them.
        X: rows (N, F).
        is_first: whether this is the first fit.
        is_table: whether the estimator has an encoder.
    """
    with data_errors():
        if issparse(X) or not is_table:
            return sklearn_validate_data(estimator, X, accept_sparse="csr", dtype=FLOATS, reset=is_first)
        if isinstance(X, Mapping):
            X = table_of(X)
        if isinstance(X, Table):  # the encoder finds its columns by name
            if is_first:
                estimator.n_features_in_ = len(X.names)
            return X
        if hasattr(X, "columns") or not _is_numeric(X):
            return sklearn_validate_data(estimator, X, reset=is_first, skip_check_array=True)
        return sklearn_validate_data(estimator, X, dtype=FLOATS, reset=is_first, ensure_all_finite="allow-nan")


def _is_numeric(X: Any) -> bool:
    """Return whether NumPy converts it to an array of numbers, or to one that scikit-learn rejects with an error."""
    try:
        array = np.asarray(X)
    except ValueError:  # rows of different lengths
        return False
    return array.dtype.kind in "biufc" or array.ndim != 2 or 0 in array.shape


def as_targets(estimator: Any, X: Any, y: Any, *, is_numeric: bool) -> NDArray[Any]:
    """Return checked targets (N,) or (N, K), one per row."""
    with data_errors():
        if y is None:
            sklearn_validate_data(estimator, X, y, reset=False, skip_check_array=True)  # raises the right error
        y = check_array(y, accept_sparse="csr", ensure_2d=False, dtype=None, input_name="y", estimator=estimator)
        y = y.toarray() if issparse(y) else y
        if is_numeric and y.dtype.kind == "O":
            y = y.astype(np.float64)
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        check_consistent_length(X, y)
        found: NDArray[Any] = y
        return found


def as_weights(sample_weight: Any, X: Any) -> NDArray[np.float64] | None:
    """Return the checked weights of rows, or None."""
    if sample_weight is None:
        return None
    with data_errors():
        rows = np.empty((len(X) if not hasattr(X, "shape") else X.shape[0], 0))
        return _check_sample_weight(sample_weight, rows, dtype=np.float64)  # type: ignore[no-any-return]


def distinct(
    X: Any, y: NDArray[Any], weights: NDArray[np.float64] | None
) -> tuple[Any, NDArray[Any], NDArray[np.float64] | None]:
    """Return the distinct rows in sorted order, with their targets, and their counts or sums of weights.

    If all rows are one batch, the loss is unchanged, and a weight of 2 is then equivalent to repeating a row: bit for
    bit, including what is held out and how targets are scaled.

    Arguments:
        X: rows (N, F) of numbers, an array or a CSR matrix.
        y: their targets, (N,) or (N, K).
        weights: (N,), or None. Rows with weight 0 are dropped.
    """
    if weights is not None and (weights > 0).any() and not (weights < 0).any():
        kept = weights > 0
        X, y, weights = X[kept], y[kept], weights[kept]
    numbers = y if y.dtype.kind in "biuf" else np.unique(y, return_inverse=True)[1]
    dense = X.toarray() if issparse(X) else X
    key = np.column_stack([dense, numbers]).astype(np.float64)
    _, first, inverse = np.unique(key, axis=0, return_index=True, return_inverse=True)
    sums = np.bincount(inverse.reshape(-1), weights, len(first)).astype(np.float64)
    return X[first], y[first], None if (sums == 1).all() else sums
