"""Metrics: what is reported beside the loss. Means over rows, weighted like the loss."""

from collections.abc import Callable
from typing import Any

from dnnkit.backends.program import Loss, Metric
from dnnkit.errors import UnknownName
from dnnkit.kernels import registry

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
    kernel = registry.loss(loss.kernel) if isinstance(loss.kernel, str) else None
    binary_loss = kernel is not None and kernel.outputs == "binary"
    categorical = loss.targets == "labels" or (outputs > 1 and not binary_loss)
    if metric in CATEGORICAL or (metric == "accuracy" and categorical):
        return Metric(metric, "categorical")
    on_logits = kernel is not None and (kernel.outputs, kernel.scores) == ("binary", "logits")
    return Metric(metric, "binary", threshold=0.0 if on_logits else 0.5)
