"""Presets: values of parameters that are "auto", and the function that trains the members."""

from collections.abc import Callable, Mapping
from dataclasses import field
from typing import Any

from dnnkit.deferred import dataclass
from dnnkit.estimators.data import EncodedData
from dnnkit.registry import Lazy, Registry


@dataclass(frozen=True)
class OfData:
    """A default that is computed from the data."""

    value: Callable[[EncodedData], Any]


@dataclass(frozen=True)
class OfParameters:
    """A default that is computed from the other parameters, as given to the estimator."""

    value: Callable[[Mapping[str, Any]], Any]


@dataclass(frozen=True)
class Preset:
    """A recipe for the members of an estimator.

    Attributes:
        name: value of the parameter `preset` that selects it.
        train: a function with the signature of `train_members`.
        values: the value of each parameter that is "auto": a constant, an `OfParameters`, or an `OfData` (not for
            `encoder` and `dtype`, which are needed before the data are encoded).
        scales_targets: whether numeric targets are standardized for training.
    """

    name: str
    train: Callable[..., Any] = field(repr=False)
    values: Mapping[str, Any] = field(repr=False)
    scales_targets: bool = False


PRESETS: Registry[Preset] = Registry("preset", "an object of class Preset", lambda thing: isinstance(thing, Preset))
PRESETS.add("mlp", Lazy("dnnkit.estimators.mlp:MLP"))
PRESETS.add("tabular", Lazy("dnnkit.estimators.tabular:TABULAR"))
PRESETS.add("plain", Lazy("dnnkit.estimators.plain:PLAIN"))
