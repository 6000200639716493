"""Estimator parameters as JSON and back: numbers, text, and parts of dnnkit with their settings."""

from collections.abc import Callable, Mapping
from math import isfinite
from typing import Any

from dnnkit.backends.base import Backend
from dnnkit.errors import CheckpointError
from dnnkit.estimators.encoders import ENCODERS
from dnnkit.estimators.presets import Preset
from dnnkit.saves import serialization
from dnnkit.saves.schema import ANYTHING, MEASURED, by_name, list_of, record, taken, text
from dnnkit.settings import Expected, plain, shown

NOT_SAVED = "callbacks", "random_state"
"""Parameters that may be arbitrary objects; they are saved only if they are integers or None."""


def described(name: str, value: Any) -> Any:
    """Return a parameter's value as JSON."""
    value = plain(value)
    if name in NOT_SAVED:
        return value if isinstance(value, int) else None
    if isinstance(value, Preset):
        return value.name
    if isinstance(value, Backend):
        return value.address
    if isinstance(value, float) and not isfinite(value):
        return {"type": "number", "value": serialization.number_to_json(value)}
    if isinstance(value, Mapping):
        pairs = [[described("", key), described("", item)] for key, item in value.items()]
        return {"type": "mapping", "items": pairs}
    for registered in ENCODERS:
        if isinstance(value, ENCODERS[registered]) and hasattr(value, "get_params"):
            given = {key: serialization.describe(item) for key, item in value.get_params(deep=False).items()}
            return {"type": "encoder", "name": registered, "parameters": given}
    return serialization.describe(value)


def rebuilt(value: Any, known: Mapping[str, type]) -> Any:
    """Return the value that `described` wrote."""
    kind = value.get("type") if isinstance(value, dict) else None
    if kind not in SPECIAL:
        return serialization.rebuild(value, known)
    schema, make = SPECIAL[kind]
    return make(taken(value, schema, "a parameter"))


def _mapping(found: Mapping[str, Any]) -> dict[Any, Any]:
    pairs = [(rebuilt(key, {}), rebuilt(item, {})) for key, item in found["items"]]
    if not all(isinstance(key, str | int | float) for key, _ in pairs):
        raise CheckpointError("a parameter is a mapping with keys that are neither text nor numbers: it is damaged")
    return dict(pairs)


def _encoder_with(found: Mapping[str, Any]) -> Any:
    if found["name"] not in ENCODERS:
        raise CheckpointError(f"the save names an encoder {shown(found['name'])}, which dnnkit does not have")
    return ENCODERS[found["name"]](
        **{name: serialization.rebuild(item, {}) for name, item in found["parameters"].items()}
    )


def _pair(value: Any) -> list[Any]:
    if not isinstance(value, list) or len(value) != 2:
        raise ValueError
    return value


_PAIR = Expected("two values", _pair)

SPECIAL: dict[str | None, tuple[Expected, Callable[[Any], Any]]] = {
    "number": (record({"value": MEASURED}), lambda found: found["value"]),
    "mapping": (record({"items": list_of(_PAIR, 1_000_000)}), _mapping),
    "encoder": (record({"name": text(most=100), "parameters": by_name(ANYTHING)}), _encoder_with),
}
"""Values without a JSON equivalent, by type."""
