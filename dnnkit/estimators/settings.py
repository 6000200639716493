"""Resolved parameters of an estimator: every "auto" is replaced by its value."""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

from dnnkit.deferred import dataclass
from dnnkit.estimators.data import EncodedData
from dnnkit.estimators.parameters import taken
from dnnkit.estimators.presets import PRESETS, OfData, OfParameters, Preset
from dnnkit.formula import Formula
from dnnkit.losses import Loss
from dnnkit.network.checks import Dtype
from dnnkit.optimizers import Optimizer
from dnnkit.schedules import Schedule

AUTO = "auto"


@dataclass(frozen=True)
class Settings:
    """Resolved parameters, by which members are made. See the estimators for their meaning."""

    preset: Preset
    hidden_layer_sizes: tuple[int, ...]
    activation: str | Formula
    solver: str | Optimizer
    alpha: float
    batch_size: int
    learning_rate: str
    learning_rate_init: float
    power_t: float
    max_iter: int
    shuffle: bool
    tol: float
    verbose: Any
    momentum: float
    nesterovs_momentum: bool
    early_stopping: bool
    validation_fraction: float
    beta_1: float
    beta_2: float
    epsilon: float
    n_iter_no_change: float
    max_fun: int
    dropout: float
    loss: str | Loss
    schedule: str | Schedule | None
    normalization: str | None
    label_smoothing: float
    n_ensemble: int
    calibration: str | None
    time_budget: float | None
    dtype: Dtype
    backend: Any
    n_jobs: int | None
    callbacks: Sequence[Any]


def preset_of(given: Any) -> Preset:
    """Return the preset with that name, or the given custom preset."""
    return PRESETS.make(given, Preset)  # type: ignore[no-any-return]


def value_of(name: str, parameters: Mapping[str, Any], data: EncodedData | None = None) -> Any:
    """Return a parameter's resolved value; `data` may be None for values that do not depend on data."""
    value, values = parameters[name], preset_of(parameters["preset"]).values
    if isinstance(value, str) and value == AUTO and name in values:
        value = values[name]
        if isinstance(value, OfParameters):
            value = value.value(parameters)
        elif isinstance(value, OfData):
            assert data is not None
            value = value.value(data)
    return taken(name, value)


def resolve(parameters: Mapping[str, Any], data: EncodedData) -> Settings:
    """Return the settings that an estimator's parameters mean for these data."""
    names = [field.name for field in fields(Settings) if field.name != "preset"]
    values = {name: value_of(name, parameters, data) for name in names}
    return Settings(preset=preset_of(parameters["preset"]), **values)
