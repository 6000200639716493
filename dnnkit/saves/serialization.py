"""Serialization of layers, losses, optimizers and schedules as JSON: class name and fields."""

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from math import isfinite, isnan
from typing import Any

import numpy as np

from dnnkit.errors import CheckpointError, ConfigurationError
from dnnkit.settings import UNLESS_DEFAULT, is_masked, plain, shown

ARRAY = "array"
"""Marks an array of numbers, in place of a class name; custom classes may contain arrays."""


def describe(thing: Any) -> Any:
    """Return a JSON value: `{"type": "Dense", "units": 10, ...}` for a dataclass, plain values unchanged."""
    if is_dataclass(thing) and not isinstance(thing, type):
        given = {field: getattr(thing, field.name) for field in fields(thing) if field.init}
        values = {
            field.name: describe(value)
            for field, value in given.items()
            if field.metadata != UNLESS_DEFAULT or value != field.default
        }
        return {"type": type(thing).__name__, **values}
    thing = plain(thing)
    if isinstance(thing, np.ndarray) and not is_masked(thing) and thing.dtype.kind in "biuf":
        return {"type": ARRAY, "dtype": thing.dtype.name, "values": thing.tolist()}
    if thing is None or isinstance(thing, str | bool | int | float):
        return thing
    if isinstance(thing, list | tuple):
        return [describe(item) for item in thing]
    raise ConfigurationError(
        f"{thing!r} cannot be saved: only dataclasses, numbers and strings can. "
        "Write it as a dataclass and pass it to load(custom_objects=...)"
    )


def without_nan(value: Any) -> Any:
    """Replace non-finite numbers, which JSON cannot represent, by null."""
    if isinstance(value, dict):
        return {key: without_nan(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [without_nan(item) for item in value]
    return None if isinstance(value, float) and not isfinite(value) else value


def number_to_json(value: float) -> float | str | None:
    """Return a JSON value for any number: null for NaN, "inf" and "-inf" for infinite ones."""
    return value if isfinite(value) else None if isnan(value) else str(value)


def rebuild(description: Any, known: Mapping[str, type]) -> Any:
    """Invert `describe`; only classes in `known` are ever instantiated."""
    if isinstance(description, list):
        return tuple(rebuild(item, known) for item in description)
    if not isinstance(description, dict):
        return description
    values = dict(description)
    name = values.pop("type", None)
    if name == ARRAY:
        return _array(values.get("dtype"), values.get("values"))
    if name not in known:
        raise CheckpointError(
            f"the save names an unknown class {shown(name)}; pass it as custom_objects={{{shown(name)}: the class}}"
        )
    try:
        return known[name](**{key: rebuild(value, known) for key, value in values.items()})
    except TypeError as error:
        raise CheckpointError(
            f"the save's description of a {name} does not fit this version: {str(error)[:300]}"
        ) from error


def _array(dtype: Any, values: Any) -> Any:
    """Build an array of a numeric dtype; items of other dtypes could have any size."""
    try:
        kind = np.dtype(dtype) if isinstance(dtype, str) and len(dtype) <= 20 else np.dtype(object)
        if kind.kind in "biuf":
            return np.asarray(values, kind)
    except (TypeError, ValueError, OverflowError):
        pass
    raise CheckpointError(f"the save describes an array of {shown(dtype)}: expected a numeric dtype, such as 'float32'")
