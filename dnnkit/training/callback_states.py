"""States of callbacks in checkpoints: JSON values, with arrays stored separately."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from dnnkit.errors import CheckpointError, ConfigurationError
from dnnkit.settings import plain, shown


def without_arrays(value: Any, arrays: dict[str, Any], place: str) -> Any:
    """Convert to JSON values, moving arrays to `arrays`."""
    value = plain(value)
    if isinstance(value, np.ndarray):
        arrays[place] = np.ascontiguousarray(value)
        return {"array": place}
    if isinstance(value, Mapping):
        return {str(name): without_arrays(item, arrays, f"{place}/{name}") for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [without_arrays(item, arrays, f"{place}/{number}") for number, item in enumerate(value)]
    if value is None or isinstance(value, str | bool | int | float):
        return value
    raise ConfigurationError(
        f"the state of a callback holds {shown(value)} at {place}: expected numbers, text, lists and dictionaries of "
        "them, and NumPy arrays"
    )


def with_arrays(value: Any, arrays: Mapping[str, Any]) -> Any:
    """Invert `without_arrays`; raise `CheckpointError` for a missing array."""
    if isinstance(value, dict):
        if set(value) == {"array"}:
            return _array(value["array"], arrays)
        return {name: with_arrays(item, arrays) for name, item in value.items()}
    return [with_arrays(item, arrays) for item in value] if isinstance(value, list) else value


def _array(name: Any, arrays: Mapping[str, Any]) -> Any:
    if not isinstance(name, str) or name not in arrays:
        raise CheckpointError(f"the checkpoint is damaged: callbacks.safetensors has no array {shown(name)}")
    return arrays[name].copy()
