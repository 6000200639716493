"""Checks of an estimator's parameters. scikit-learn stores them unchecked until `fit`, which calls these."""

from collections.abc import Callable, Mapping
from math import inf
from numbers import Integral
from typing import Any

from dnnkit import layers
from dnnkit.activations import find
from dnnkit.base_loss import LOSSES, Loss
from dnnkit.errors import UnknownName
from dnnkit.optimizers import OPTIMIZERS, Optimizer
from dnnkit.schedules import SCHEDULES, Schedule
from dnnkit.settings import FLAG, NOT_NEGATIVE, POSITIVE, SHARE, Expected, numbers, or_none, plain, whole

ACTIVATIONS = {"identity": "linear", "logistic": "sigmoid"}
"""scikit-learn's names of activations that dnnkit calls differently."""

NORMALIZATIONS = {
    "batch": layers.BatchNormalization,
    "layer": layers.LayerNormalization,
    "rms": layers.RMSNormalization,
}

LOSSES_THERE = {"squared_error": "mean_squared_error", "absolute_error": "mean_absolute_error"}
"""scikit-learn's names of losses; "log_loss" is the cross-entropy of the task."""


def _sizes(value: Any) -> tuple[int, ...]:
    if isinstance(value, str):
        raise TypeError
    return tuple(whole().take(plain(size)) for size in ((value,) if isinstance(value, Integral) else value))


def _activation(value: Any) -> Any:
    return find(ACTIVATIONS.get(value, value) if isinstance(value, str) else value)


def _solver(value: Any) -> Any:
    if isinstance(value, Optimizer):
        return value
    name = OPTIMIZERS.name_of(value)
    return OPTIMIZERS.make(value, Optimizer) if name is None else name


def _loss(value: Any) -> Any:
    if value is None or isinstance(value, Loss) or value == "log_loss":
        return value
    value = LOSSES_THERE.get(value, value) if isinstance(value, str) else value
    name = LOSSES.name_of(value)
    return LOSSES.make(value, Loss) if name is None else name


def _schedule(value: Any) -> Any:
    if value is None or isinstance(value, Schedule):
        return value
    name = SCHEDULES.name_of(value)
    if name is None:
        raise UnknownName(f"{SCHEDULES.unknown(value)}; or pass a schedule object, or None")
    return name


def one_of(*names: str | None) -> Expected:
    """Accept one of these words, or None if it is among them."""

    def take(value: Any) -> Any:
        if not any(value is name or (isinstance(value, str) and value == name) for name in names):
            raise ValueError
        return value

    return Expected(f"one of {', '.join(map(repr, names))}", take)


def _class_weight(value: Any) -> Any:
    if value is None or isinstance(value, Mapping) or (isinstance(value, str) and value == "balanced"):
        return value
    raise ValueError


def _callbacks(value: Any) -> Any:
    return () if value is None else value if isinstance(value, list | tuple) else (value,)


def _n_jobs(value: Any) -> Any:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, Integral) or value == 0:
        raise ValueError
    return int(value)


UNIT = numbers("a number from 0 to 1", lambda number: 0 <= number <= 1)

PARAMETERS: dict[str, Expected] = {
    "hidden_layer_sizes": Expected("sizes of the hidden layers, such as (100,)", _sizes),
    "alpha": NOT_NEGATIVE,
    "batch_size": whole(),
    "learning_rate": one_of("constant", "invscaling", "adaptive"),
    "learning_rate_init": POSITIVE,
    "power_t": NOT_NEGATIVE,
    "max_iter": whole(),
    "shuffle": FLAG,
    "tol": NOT_NEGATIVE,
    "momentum": UNIT,
    "nesterovs_momentum": FLAG,
    "early_stopping": FLAG,
    "validation_fraction": SHARE,
    "beta_1": SHARE,
    "beta_2": SHARE,
    "epsilon": POSITIVE,
    "n_iter_no_change": Expected(
        "a whole number, 1 or more, or numpy.inf", lambda value: value if value == inf else whole().take(value)
    ),
    "max_fun": whole(),
    "dropout": SHARE,
    "class_weight": Expected("a dictionary of weights by class, 'balanced' or None", _class_weight),
    "normalization": one_of(*NORMALIZATIONS, None),
    "label_smoothing": SHARE,
    "n_ensemble": whole(),
    "calibration": one_of("temperature", None),
    "time_budget": or_none(POSITIVE),
    "dtype": one_of("float32", "float64"),
    "callbacks": Expected("a callback or a list of them", _callbacks),
    "n_jobs": Expected("a whole number other than 0 (-1 for all processors), or None", _n_jobs),
}
"""Checks by parameter name. Parameters neither here nor in `NAMED` are checked where they are used."""

NAMED: dict[str, Callable[[Any], Any]] = {
    "activation": _activation,
    "solver": _solver,
    "loss": _loss,
    "schedule": _schedule,
}
"""Parameters that may be names in a registry, which reports unknown names."""


def taken(name: str, given: Any) -> Any:
    """Return the checked value of a parameter; raise `ConfigurationError`, or `UnknownName` for a registry."""
    if name in NAMED:
        return NAMED[name](given)
    expected = PARAMETERS.get(name)
    return given if expected is None else expected.of(name, given)
