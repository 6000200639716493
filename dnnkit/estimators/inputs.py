"""Rows and targets as users have them, by scikit-learn's own checks; what they say is an error of dnnkit's family."""

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
    """Within, a `ValueError` of scikit-learn becomes a `DataError` with its words."""
    try:
        yield
    except (DnnkitError, NotFittedError):
        raise
    except ValueError as error:
        hint = ""
        if str(error).startswith("could not convert string"):
            hint = "; columns of text are for encoder='tabular', which the preset 'tabular' has"
        raise DataError(f"{error}{hint}") from error


def as_rows(estimator: Any, X: Any, *, is_first: bool, is_table: bool) -> Any:
    """Rows as an array of finite numbers or a CSR matrix; of a table, which an encoder will read, as they are.

    Arguments:
        estimator: which learns the number and names of columns if `is_first`, or compares them with what it knows.
        X: (N, F).
        is_first: whether nothing was fitted before.
        is_table: whether there is an encoder.
    """
    with data_errors():
        if issparse(X) or not is_table:
            return sklearn_validate_data(estimator, X, accept_sparse="csr", dtype=FLOATS, reset=is_first)
        if isinstance(X, Mapping):
            X = table_of(X)
        if isinstance(X, Table):  # whose columns the encoder finds, by name
            if is_first:
                estimator.n_features_in_ = len(X.names)
            return X
        if hasattr(X, "columns") or not _is_numeric(X):
            return sklearn_validate_data(estimator, X, reset=is_first, skip_check_array=True)
        return sklearn_validate_data(estimator, X, dtype=FLOATS, reset=is_first, ensure_all_finite="allow-nan")


def _is_numeric(X: Any) -> bool:
    """Whether NumPy makes an array of numbers of it, or one that scikit-learn has words for."""
    try:
        array = np.asarray(X)
    except ValueError:  # rows of different lengths
        return False
    return array.dtype.kind in "biufc" or array.ndim != 2 or 0 in array.shape


def as_targets(estimator: Any, X: Any, y: Any, *, is_numeric: bool) -> NDArray[Any]:
    """Targets (N,) or (N, K), as many as there are rows."""
    with data_errors():
        if y is None:
            sklearn_validate_data(estimator, X, y, reset=False, skip_check_array=True)  # says what is missing
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
    """The weight of each row, or None."""
    if sample_weight is None:
        return None
    with data_errors():
        rows = np.empty((len(X) if not hasattr(X, "shape") else X.shape[0], 0))
        return _check_sample_weight(sample_weight, rows, dtype=np.float64)  # type: ignore[no-any-return]


def distinct(
    X: Any, y: NDArray[Any], weights: NDArray[np.float64] | None
) -> tuple[Any, NDArray[Any], NDArray[np.float64] | None]:
    """The rows that differ, in the order of their numbers, and how often each is there, or the sum of its weights.

    Where all rows are one batch, the loss is the same, and a weight of 2 then is exactly a row that is there twice: bit
    for bit, and so is what is held out, or scaled by.

    Arguments:
        X: rows (N, F) of numbers, an array or a CSR matrix.
        y: their targets, (N,) or (N, K).
        weights: (N,), or None. Rows of weight 0 are left out.
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
