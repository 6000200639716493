"""Metrics: what is reported beside the loss. Means over rows, weighted like the loss."""

from collections.abc import Callable
from typing import Any

from dnnkit.backends.program import Loss, Metric
from dnnkit.errors import UnknownName

CATEGORICAL = ("categorical_accuracy", "sparse_categorical_accuracy")
NAMES = ("accuracy", "binary_accuracy", *CATEGORICAL)


def lower(metric: str | Callable[..., Any], loss: Loss, outputs: int) -> Metric:
    """The metric as backends see it.

    "accuracy" is categorical for class labels and for several outputs, except under a binary cross-entropy. Your own
    metric is a function `(xp, targets, predictions) -> one value a row`; its `__name__` is what History calls it.
    """
    if callable(metric):
        return Metric(getattr(metric, "__name__", type(metric).__name__), metric)
    if metric not in NAMES:
        raise UnknownName(f"unknown metric {metric!r}: choose one of {', '.join(NAMES)}, or pass a function")
    binary_loss = loss.kernel in ("binary_crossentropy", "sigmoid_cross_entropy")
    categorical = loss.targets == "labels" or (outputs > 1 and not binary_loss)
    if metric in CATEGORICAL or (metric == "accuracy" and categorical):
        return Metric(metric, "categorical")
    return Metric(metric, "binary", threshold=0.0 if loss.kernel == "sigmoid_cross_entropy" else 0.5)
