"""Layers bound to a network: a copy of the description that knows its place, and so has weights."""

from collections.abc import Sequence
from copy import copy
from dataclasses import FrozenInstanceError
from typing import Any, Protocol, TypeVar

from numpy.typing import NDArray

from dnnkit.errors import ConfigurationError, NotReady

Described = TypeVar("Described")
"""A `Layer`, which this file does not know."""


class Place(Protocol):
    """Where a layer stands in a network."""

    @property
    def description(self) -> Any:
        """The layer as it was given."""

    @property
    def network(self) -> Any:
        """Whose layer it is."""

    def find(self, name: str) -> Any:
        """A thing that only a layer of a network has; None if there is none of that name."""

    def get_weights(self) -> list[NDArray[Any]]:
        """As a layer's."""

    def set_weights(self, weights: Sequence[Any]) -> None:
        """As a layer's."""

    def count_params(self) -> int:
        """As a layer's."""

    def set_trainable(self, trainable: Any) -> None:
        """Freeze it, or train it again."""


def at_place(layer: Described, name: str, place: Place) -> Described:
    """A copy of the layer that knows where it stands, and under which name."""
    twin = copy(layer)
    object.__setattr__(twin, "name", name)
    object.__setattr__(twin, "_place", place)
    return twin


def description(layer: Described) -> Described:
    """The layer itself, of one that a network gave."""
    place = layer.__dict__.get("_place")
    return layer if place is None else place.description


def bound(layer: Any) -> Place:
    """Where it stands; `NotReady` for a layer of no network."""
    place = layer.__dict__.get("_place")
    if place is None:
        raise NotReady(
            f"{layer} is a description that may stand in several networks, whose weights are: ask a network for it, by "
            "net.layers[0] or net.get_layer(name)"
        )
    return place  # type: ignore[no-any-return]


def let_assignments_say_more(kind: type[Any]) -> None:
    """What `dataclass` has made refuses them all alike; it makes that after the class, so this looks at instances."""
    made: Any = kind.__setattr__ if "__setattr__" in vars(kind) else None
    if made is None or hasattr(made, "says_more"):
        return

    def refuse(self: Any, name: str, value: Any) -> None:
        place = self.__dict__.get("_place")
        if place is not None and name == "trainable":
            place.set_trainable(value)
            object.__setattr__(self, name, bool(value))
            return
        if place is not None:
            raise ConfigurationError(
                f"{name} of a layer that a network gave cannot be assigned, for it is a copy: assign weights by "
                "set_weights, and make another network for other layers"
            )
        try:
            made(self, name, value)
        except FrozenInstanceError:
            if name != "trainable":
                raise
            raise ConfigurationError(
                f"trainable of a layer {type(self).__name__} cannot be assigned, for networks share descriptions of "
                f"layers: write {type(self).__name__}(..., trainable={bool(value)}), or of a network that has it "
                f"net.{'unfreeze' if value else 'freeze'}({self.base_name()!r})"
            ) from None

    refuse.says_more = True  # type: ignore[attr-defined]
    kind.__setattr__ = refuse  # type: ignore[assignment]
