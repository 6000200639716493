"""Layers bound to a network: copies of descriptions that know their network and so have weights."""

from collections.abc import Sequence
from copy import copy
from dataclasses import FrozenInstanceError
from typing import Any, Protocol, TypeVar

from numpy.typing import NDArray

from dnnkit.errors import ConfigurationError, NotReady

Described = TypeVar("Described")
"""A `Layer`, which this module does not import."""


class Place(Protocol):
    """The position of a layer in a network."""

    @property
    def description(self) -> Any:
        """The layer as it was given."""

    @property
    def network(self) -> Any:
        """The network that the layer belongs to."""

    def find(self, name: str) -> Any:
        """Return an attribute that only a layer in a network has; None if there is none of that name."""

    def get_weights(self) -> list[NDArray[Any]]:
        """As `Layer.get_weights`."""

    def set_weights(self, weights: Sequence[Any]) -> None:
        """As `Layer.set_weights`."""

    def count_params(self) -> int:
        """As `Layer.count_params`."""

    def set_trainable(self, trainable: Any) -> None:
        """Freeze or unfreeze the layer."""


def at_place(layer: Described, name: str, place: Place) -> Described:
    """Return a copy of the layer that knows its position and name in a network."""
    twin = copy(layer)
    object.__setattr__(twin, "name", name)
    object.__setattr__(twin, "_place", place)
    return twin


def description(layer: Described) -> Described:
    """Return the description that a layer obtained from a network was copied from, or the layer itself."""
    place = layer.__dict__.get("_place")
    return layer if place is None else place.description


def bound(layer: Any) -> Place:
    """Return the layer's position; raise `NotReady` for a layer without a network."""
    place = layer.__dict__.get("_place")
    if place is None:
        raise NotReady(
            f"{layer} is a description without weights, which several networks may share: get the layer from a "
            "network, by net.layers[0] or net.get_layer(name)"
        )
    return place  # type: ignore[no-any-return]


def explain_refused_assignments(kind: type[Any]) -> None:
    """Give helpful errors for assignments. Done on first instantiation, after `dataclass` has made `__setattr__`."""
    made: Any = kind.__setattr__ if "__setattr__" in vars(kind) else None
    if made is None or hasattr(made, "explains"):
        return

    def refuse(self: Any, name: str, value: Any) -> None:
        place = self.__dict__.get("_place")
        if place is not None and name == "trainable":
            place.set_trainable(value)
            object.__setattr__(self, name, bool(value))
            return
        if place is not None:
            raise ConfigurationError(
                f"{name} of a layer obtained from a network cannot be assigned, because it is a copy: assign weights "
                "with set_weights, and make a new network for other layers"
            )
        try:
            made(self, name, value)
        except FrozenInstanceError:
            if name != "trainable":
                raise
            raise ConfigurationError(
                f"trainable of a layer {type(self).__name__} cannot be assigned, because networks share layers: "
                f"write {type(self).__name__}(..., trainable={bool(value)}), or, in a network, "
                f"net.{'unfreeze' if value else 'freeze'}({self.base_name()!r})"
            ) from None

    refuse.explains = True  # type: ignore[attr-defined]
    kind.__setattr__ = refuse  # type: ignore[assignment]
