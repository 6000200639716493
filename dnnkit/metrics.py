"""Metrics, reported in addition to the loss and computed from sums over rows with the loss's weights.

    net.compile("adam", "binary_crossentropy", metrics=["accuracy", "auc", dk.metrics.Precision(threshold=0.8)])

A name means the metric with default arguments; a custom metric is a function `(y_true, y_pred)` (docs/extending.md).
`confusion_matrix` counts predicted against true classes. Definitions follow scikit-learn and Keras; where the two
differ, the docstring says which is used.
"""

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, TypeAlias

from dnnkit.backends.measures import Loss
from dnnkit.backends.measures import Metric as MetricDescription
from dnnkit.errors import ConfigurationError, UnknownName
from dnnkit.kernels import registry as kernels
from dnnkit.measures.accuracies import (
    Accuracy,
    BinaryAccuracy,
    CategoricalAccuracy,
    SparseCategoricalAccuracy,
    SparseTopKCategoricalAccuracy,
    TopKCategoricalAccuracy,
)
from dnnkit.measures.base import METRICS, Answers, Metric
from dnnkit.measures.confusion import confusion_matrix
from dnnkit.measures.kernel_metric import KernelMetric
from dnnkit.measures.numbers import MeanAbsoluteError, MeanSquaredError, R2Score, RootMeanSquaredError
from dnnkit.measures.outcomes import AUC, BalancedAccuracy, F1Score, Precision, Recall
from dnnkit.namespaces import open_namespace
from dnnkit.own_metrics import own_metric, warn_of_old_form
from dnnkit.settings import several, shown

__all__ = [
    "AUC",
    "METRICS",
    "Accuracy",
    "BalancedAccuracy",
    "BinaryAccuracy",
    "CategoricalAccuracy",
    "F1Score",
    "KernelMetric",
    "MeanAbsoluteError",
    "MeanSquaredError",
    "Metric",
    "Precision",
    "R2Score",
    "Recall",
    "RootMeanSquaredError",
    "SparseCategoricalAccuracy",
    "SparseTopKCategoricalAccuracy",
    "TopKCategoricalAccuracy",
    "confusion_matrix",
    "is_better_higher",
]

_taken = {kernel for thing in METRICS.added() for kernel in getattr(thing, "kernels", ())}
for _name in kernels.names("metric"):  # a kernel that no class above uses is a metric by its own name
    if _name not in _taken:
        METRICS.add(_name, partial(KernelMetric, kernel=_name))

Given: TypeAlias = str | Callable[..., Any] | Metric

TAKEN = {"loss": "the loss", "epoch": "the number of the epoch"}
"""What logs and files contain under the names that no metric may have."""

WORDS = "names, metrics of dk.metrics or functions, such as ['accuracy']"


def check(given: Given | Iterable[Given] | None) -> tuple[Given, ...]:
    """Check metrics and return them with unique names; a single one and None are accepted too.

    A name is kept as given, because logs use it; other spellings, such as "BinaryAccuracy", are normalised, and classes
    are instantiated. Logs and History identify a metric by name only, so duplicate names are refused, and so is a
    custom function named like a built-in metric, which would replace it after loading. A function in the old form
    causes a `DeprecationWarning` at the call of `compile`.
    """
    if given is None:
        return ()
    if isinstance(given, str | Metric) or callable(given):
        given = (given,)
    metrics = tuple(_made(metric) for metric in several("metrics", given, WORDS))
    seen: set[str] = set()
    for metric in metrics:
        name, cure = name_of(metric), "give your function another __name__"
        if isinstance(metric, str):
            cure = "give it once"
        elif isinstance(metric, Metric):
            cure = f"give it once, or with {type(metric).__name__}(name=...)"
        if name in seen:
            raise ConfigurationError(f"two metrics are called {name!r}, and one would hide the other: {cure}")
        if name in TAKEN or name.startswith("val_"):
            what = TAKEN.get(name, f"{name.removeprefix('val_')} of the validation data")
            raise ConfigurationError(f"a metric is called {name!r}, which in logs is {what}: {cure}")
        is_function = not isinstance(metric, str | Metric)
        if is_function and METRICS.name_of(name) and METRICS.get(name) is not metric:
            raise ConfigurationError(
                f"your metric {shown(metric)} is called {name!r} like one of dnnkit's, which would replace it after "
                f"loading: {cure}"
            )
        seen.add(name)
    for metric in metrics:
        if not isinstance(found := _found(metric), Metric):
            warn_of_old_form(name_of(metric), found, stacklevel=3)
    return metrics


def _made(metric: Any) -> Given:
    if isinstance(metric, type) and issubclass(metric, Metric):
        return metric()
    if isinstance(metric, str):
        if METRICS.name_of(metric) is None:
            raise UnknownName(f"{METRICS.unknown(metric)}, or pass a function")
        return METRICS.spelled(metric)
    if not isinstance(metric, Metric) and (not callable(metric) or isinstance(metric, type)):
        raise ConfigurationError(f"metrics has {shown(metric)}: expected {WORDS}")
    given: Given = metric
    return given


def lower(metric: Given, loss: Loss, outputs: int, head: str = "linear", gives: str = "values") -> MetricDescription:
    """Return the metric as backends see it.

    A custom metric is a function `(y_true, y_pred) -> one value per row`, reported under its `__name__`. `head` is the
    activation fused with the loss, `gives` what the last activation outputs.

    Raises:
        ConfigurationError: the metric is not defined for such outputs or targets.
    """
    found = _found(metric)
    if isinstance(found, Metric):
        if loss.targets == "any":
            raise ConfigurationError(
                f"the metric {found.called!r} cannot interpret the targets of your custom loss, whose targets are "
                "'any': use a function (y_true, y_pred), which gets them unchanged"
            )
        return found.lower(Answers(loss, outputs, head, gives))
    name = name_of(metric)
    return MetricDescription(name, own_metric(name, found))


def _found(metric: Given) -> Metric | Callable[..., Any]:
    """Return the metric or function given directly or by name."""
    if not isinstance(metric, str):
        return metric
    found = METRICS.find(metric)
    kind = found.func if isinstance(found, partial) else found
    if not (isinstance(kind, type) and issubclass(kind, Metric)):
        return found
    made: Metric = found(name=metric)
    return made


def name_of(metric: Given) -> str:
    """Return the metric's name in logs and History."""
    if isinstance(metric, str):
        return metric
    return metric.called if isinstance(metric, Metric) else getattr(metric, "__name__", type(metric).__name__)


def is_better_higher(name: str, measured: Iterable[Given] = ()) -> bool:
    """Whether higher is better for a quantity in logs, such as "val_accuracy"; used by "auto" modes.

    A metric declares it by `higher_is_better`, which a custom function may have as an attribute. For anything else,
    higher is better if the name contains "accuracy", and lower otherwise, as for a loss.

    Arguments:
        name: as in logs, with or without "val_".
        measured: metrics of the network, `net.metrics`, which may have custom names.
    """
    name = name.removeprefix("val_")
    found: Any = next((metric for metric in measured if name_of(metric) == name), name)
    if not isinstance(found, str) or METRICS.name_of(found) is not None:
        found = _found(found)
    return bool(getattr(found, "higher_is_better", "accuracy" in name))


open_namespace(__name__, METRICS)
