"""Confusion matrices."""

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from dnnkit.errors import ConfigurationError, DataError, ShapeError
from dnnkit.settings import FINITE, shown, whole


def confusion_matrix(
    y_true: Any,
    y_pred: Any,
    *,
    sample_weight: Any = None,
    num_classes: int | None = None,
    normalize: Literal["true", "pred", "all"] | None = None,
    threshold: float = 0.5,
) -> NDArray[Any]:
    """Count predictions by class: entry (i, j) is the number of rows of class i for which j was predicted.

    Arguments:
        y_true: integer classes (N,), one-hot rows (N, C), or 0 and 1 as (N, 1).
        y_pred: as returned by `net.predict`: scores per class (N, C), of which the largest counts; for one output,
            probabilities of class 1, (N, 1) or (N,); or integer classes (N,).
        sample_weight: (N,), weight of each row; the result is then float64, otherwise int64.
        num_classes: C, if the highest class does not occur in the data.
        normalize: "true" divides by the rows of each class, "pred" by the predictions of each class, "all" by all rows.
        threshold: a single output above it predicts class 1; default 0.5.

    Returns:
        (C, C), with a row per true class and a column per predicted one, as in scikit-learn.

    Raises:
        DataError: the arguments are not arrays of numbers, are empty, or have invalid labels.
        ShapeError: the arrays have different numbers of rows.
        ConfigurationError: another argument is invalid.
    """
    from dnnkit.measures.finishing import over

    true, predicted = _classes("y_true", y_true, 0.5), _classes("y_pred", y_pred, FINITE.of("threshold", threshold))
    if len(true) != len(predicted):
        raise ShapeError(f"y_true has {len(true)} rows but y_pred has {len(predicted)}: expected the same")
    if len(true) == 0:
        raise DataError("y_true is empty: expected at least one row")
    weights = None
    if sample_weight is not None:
        weights = np.asarray(sample_weight, np.float64)
        if weights.shape != true.shape:
            raise ShapeError(f"sample_weight has shape {weights.shape}: expected {true.shape}, one number per row")
    widths = [np.shape(given)[1] for given in (y_true, y_pred) if np.ndim(given) == 2]
    highest = 1 + max(int(true.max()), int(predicted.max()))
    classes = max([2, highest, *widths])
    if num_classes is not None:
        known = int(whole(2, 1 << 14).of("num_classes", num_classes))
        if known < highest:
            raise DataError(f"num_classes is {known}, but there are labels up to {highest - 1}")
        classes = max(known, *widths) if widths else known
    counts: NDArray[Any] = np.bincount(true * classes + predicted, weights, classes * classes)
    counts = counts.reshape(classes, classes)
    if normalize is None:
        return counts
    if normalize not in ("true", "pred", "all"):
        raise ConfigurationError(f"normalize is {shown(normalize)}: expected 'true', 'pred', 'all' or None")
    axis = {"true": 1, "pred": 0, "all": None}[normalize]
    return over(counts, np.broadcast_to(counts.sum(axis=axis, keepdims=True), counts.shape))


def _classes(name: str, given: Any, threshold: float) -> NDArray[np.int64]:
    """Return the class of each row, (N,)."""
    try:
        array = np.asarray(given.get() if hasattr(given, "get") else given)
    except ValueError as error:
        raise DataError(f"{name} cannot be converted to an array: {error}. Expected rows of equal length") from error
    if (
        array.dtype.kind not in "biuf"
        or array.ndim not in (1, 2)
        or (array.dtype.kind == "f" and np.isnan(array).any())
    ):
        raise DataError(
            f"{name} is {array.dtype} of shape {array.shape}: expected class numbers (N,) or numbers (N, C), not NaN"
        )
    if array.ndim == 2 and array.shape[1] > 1:
        return np.asarray(array.argmax(axis=1), np.int64)
    array = array.reshape(-1)
    is_whole = array.dtype.kind != "f" or bool((array == np.floor(array)).all())
    if not is_whole and array.size and not (array.min() >= 0 and array.max() <= 1):
        raise DataError(f"{name} goes from {array.min():g} to {array.max():g}: expected class numbers or probabilities")
    if is_whole and not (array.size and array.max() <= 1 and array.dtype.kind == "f"):
        if array.size and array.min() < 0:
            raise DataError(f"{name} has labels from {array.min()}: expected 0 or more")
        return array.astype(np.int64)
    return (array > threshold).astype(np.int64)
