"""Metrics: what is reported beside the loss. Means over rows, weighted like the loss."""

from collections.abc import Callable, Iterable
from typing import Any, TypeAlias

from dnnkit.backends.program import Loss, Metric
from dnnkit.errors import ConfigurationError, UnknownName
from dnnkit.kernels import registry as kernels
from dnnkit.own_metrics import FORM, own_metric, warn_of_old_form
from dnnkit.registry import Registry
from dnnkit.settings import several, shown

Given: TypeAlias = str | Callable[..., Any]

CHOSEN_BY_LOSS = "accuracy"
"""The name that stands for the accuracy that suits the loss."""


def _built_in() -> tuple[str, ...]:
    return (CHOSEN_BY_LOSS, *kernels.names("metric"))


METRICS: Registry[Callable[..., Any]] = Registry("metric", FORM, callable, elsewhere=_built_in)
"""Metrics that were registered; the built-in ones are `kernels/metrics`."""
METRICS.also(CHOSEN_BY_LOSS, "acc")
METRICS.also("categorical_accuracy", "sparse_categorical_accuracy")  # it takes labels as well as rows

TAKEN = {"loss": "the loss", "epoch": "the number of the epoch"}
"""What logs and files have under the names that no metric may have."""


def check(given: Given | Iterable[Given] | None) -> tuple[Given, ...]:
    """The metrics, each under a name of its own; a single one and None are taken, too.

    A name is kept as it is given, for so logs call it; other spellings, such as "BinaryAccuracy", become the name.
    Logs, History and saves know a metric by its name alone: two of one name would be one, and a function that is called
    as a metric of dnnkit's is would be that one after loading. A function of the old form gets a
    `DeprecationWarning`, of the place that called `compile`.
    """
    if given is None:
        return ()
    if isinstance(given, str) or callable(given):
        given = (given,)
    metrics = tuple(
        METRICS.spelled(metric) if isinstance(metric, str) else metric
        for metric in several("metrics", given, "names or functions, such as ['accuracy']")
    )
    seen: set[str] = set()
    for metric in metrics:
        if not isinstance(metric, str) and (not callable(metric) or isinstance(metric, type)):
            raise ConfigurationError(f"metrics has {shown(metric)}: expected names or functions, such as ['accuracy']")
        name = name_of(metric)
        if isinstance(metric, str) and METRICS.name_of(name) is None:
            raise UnknownName(f"{METRICS.unknown(name)}, or pass a function")
        cure = "give it once" if isinstance(metric, str) else "give your function a name of its own: its __name__"
        if name in seen:
            raise ConfigurationError(f"two metrics are called {name!r}, and one would hide the other: {cure}")
        if name in TAKEN or name.startswith("val_"):
            what = TAKEN.get(name, f"{name.removeprefix('val_')} of the validation data")
            raise ConfigurationError(f"a metric is called {name!r}, which is what {what} is called in logs: {cure}")
        if not isinstance(metric, str) and METRICS.name_of(name) and METRICS.get(name) is not metric:
            raise ConfigurationError(
                f"your metric {shown(metric)} is called {name!r} as one of dnnkit's, which would take its place after "
                f"loading: {cure}"
            )
        seen.add(name)
    for metric in metrics:
        if not isinstance(metric, str) or metric in METRICS:
            warn_of_old_form(name_of(metric), _function(metric), stacklevel=3)
    return metrics


def lower(metric: Given, loss: Loss, outputs: int, head: str = "linear") -> Metric:
    """The metric as backends see it.

    "accuracy" is categorical for class labels and for several outputs, except under a binary cross-entropy. Your own
    metric is a function `(y_true, y_pred) -> one value per row`; its `__name__` is what History calls it.
    `head` is the activation that the loss has taken over: where ½ of what it gives is no one number among the scores,
    a metric with a threshold reads the predictions.
    """
    if not isinstance(metric, str) or metric in METRICS:
        name = name_of(metric)
        return Metric(name, own_metric(name, _function(metric)))
    measured = METRICS.name_of(metric)
    if measured is None:
        raise UnknownName(f"{METRICS.unknown(metric)}, or pass a function")
    if loss.targets == "any":
        raise ConfigurationError(
            f"the metric {metric!r} knows nothing of targets that only your loss understands, whose targets are 'any': "
            "use a function of your own (y_true, y_pred), which is given them as they are"
        )
    kernel = kernels.loss(loss.kernel) if isinstance(loss.kernel, str) else None
    is_binary = kernel is not None and kernel.outputs == "binary"
    if measured == CHOSEN_BY_LOSS:
        categorical = loss.targets == "labels" or (outputs > 1 and not is_binary)
        measured = "categorical_accuracy" if categorical else "binary_accuracy"
    if not kernels.metric(measured).has_threshold:
        return Metric(metric, measured)
    if kernel is not None and is_binary and kernel.scores == "logits":
        return Metric(metric, measured, threshold=0.0)
    return Metric(metric, measured, on_predictions=head != "linear")


def _function(metric: Given) -> Callable[..., Any]:
    """The function that is given, itself or by the name that it was registered under."""
    return METRICS[metric] if isinstance(metric, str) else metric


def name_of(metric: Given) -> str:
    """What History and a save call it."""
    return metric if isinstance(metric, str) else getattr(metric, "__name__", type(metric).__name__)


def is_better_higher(name: str, measured: Iterable[Given] = ()) -> bool:
    """Whether more is better of what logs call by that name, such as "val_accuracy"; what "auto" modes go by.

    A metric says so itself, in `higher_is_better`; a function of yours may have an attribute of that name. Of anything
    else, more is better if its name has "accuracy" in it, else less, as of a loss.

    Arguments:
        name: as in logs, with or without "val_".
        measured: the metrics of the network, `net.metrics`, some of which may have names of their own.
    """
    name = name.removeprefix("val_")
    found: Any = next((metric for metric in measured if name_of(metric) == name), name)
    if isinstance(found, str) and found in METRICS:
        found = METRICS[found]
    return bool(getattr(found, "higher_is_better", "accuracy" in name))
