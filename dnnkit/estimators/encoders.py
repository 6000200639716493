"""Encoders turn tables into numbers. They are found by name; any object with `fit` and `transform` is accepted too."""

from typing import Any

from dnnkit.errors import ConfigurationError
from dnnkit.registry import Lazy, Registry
from dnnkit.settings import shown


def _is_encoder(thing: object) -> bool:
    return isinstance(thing, type) and hasattr(thing, "fit") and hasattr(thing, "transform")


ENCODERS: Registry[type] = Registry("encoder", "a class with fit and transform", _is_encoder)
ENCODERS.add("tabular", Lazy("dnnkit.tables.encoder:TabularEncoder"))


def encoder_of(given: Any) -> Any:
    """Return a new, unfitted encoder; None if `given` is None."""
    if given is None:
        return None
    if isinstance(given, str):
        return ENCODERS.find(given)()
    if isinstance(given, type) or not hasattr(given, "fit") or not hasattr(given, "transform"):
        raise ConfigurationError(
            f"encoder is {shown(given)}: expected one of {', '.join(ENCODERS.names())}, a transformer, such as "
            "dk.TabularEncoder(), or None"
        )
    from sklearn.base import clone

    return clone(given)
