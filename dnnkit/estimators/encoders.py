"""What makes numbers of a table, by name; an object with `fit` and `transform` may stand in place of a name."""

from typing import Any

from dnnkit.errors import ConfigurationError
from dnnkit.registry import Lazy, Registry
from dnnkit.settings import shown


def _is_encoder(thing: object) -> bool:
    return isinstance(thing, type) and hasattr(thing, "fit") and hasattr(thing, "transform")


ENCODERS: Registry[type] = Registry("encoder", "a class with fit and transform", _is_encoder)
ENCODERS.add("tabular", Lazy("dnnkit.tables.encoder:TabularEncoder"))


def encoder_of(given: Any) -> Any:
    """A new encoder, not fitted; None for none."""
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
