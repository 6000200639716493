"""Presets: which value a parameter has that is "auto", and how members are made and trained then."""

from collections.abc import Callable, Mapping
from dataclasses import field
from typing import Any

from dnnkit.deferred import dataclass
from dnnkit.estimators.data import EncodedData
from dnnkit.registry import Lazy, Registry


@dataclass(frozen=True)
class OfData:
    """A value that depends on the data."""

    value: Callable[[EncodedData], Any]


@dataclass(frozen=True)
class OfParameters:
    """A value that depends on other parameters, as they were given to the estimator."""

    value: Callable[[Mapping[str, Any]], Any]


@dataclass(frozen=True)
class Preset:
    """A way to make and train the members of an estimator.

    Attributes:
        name: what the parameter `preset` calls it.
        train: as `train_members`.
        values: of each parameter that is "auto": a value; `OfParameters` of a function of the others; or `OfData`
            of a function of `EncodedData`, but of `encoder` and `dtype`, which are needed before there are any.
        scales_targets: whether numbers are standardised before they are learned.
    """

    name: str
    train: Callable[..., Any] = field(repr=False)
    values: Mapping[str, Any] = field(repr=False)
    scales_targets: bool = False


PRESETS: Registry[Preset] = Registry("preset", "an object of class Preset", lambda thing: isinstance(thing, Preset))
PRESETS.add("mlp", Lazy("dnnkit.estimators.mlp:MLP"))
PRESETS.add("tabular", Lazy("dnnkit.estimators.tabular:TABULAR"))
