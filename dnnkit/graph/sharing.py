"""Identity of layers across networks: a layer called on symbolic values has one set of weights everywhere.

A layer used in several networks carries a shared mark, which records the network with its newest weights.
`network/shared_layers.py` copies them to the others.
"""

from collections.abc import Iterator, Sequence
from typing import Any
from weakref import WeakSet

from dnnkit.errors import ConfigurationError
from dnnkit.layers.base import Layer
from dnnkit.layers.places import description


class Shared:
    """Identity of a layer across networks.

    Attributes:
        members: objects that represent the networks with this layer.
        newest: the one with the newest weights; None while none has any.
        version: counts the changes of the weights.
    """

    def __init__(self) -> None:
        self.members: WeakSet[Any] = WeakSet()
        self.newest: Any = None
        self.version = 0


def shared_of(layer: Layer) -> Shared:
    """Return the shared identity of a layer, which its frozen and unfrozen copies also have."""
    layer = description(layer)
    found: Shared | None = layer.__dict__.get("_shared")
    if found is None:
        found = Shared()
        object.__setattr__(layer, "_shared", found)
    return found


def identity(layer: Layer) -> int:
    """Return a number that is equal for copies of one layer."""
    return id(shared_of(layer))


def leaves(layers: Sequence[Layer], names: Sequence[str]) -> Iterator[tuple[str, Layer]]:
    """Yield the layers that have parameters, with their paths: "dense", or "encoder/dense" if nested."""
    for layer, name in zip(layers, names, strict=True):
        inner = layer.inner_layers()
        yield from ((f"{name}/{path}", each) for path, each in inner) if inner else ((name, layer),)


def check_shared_once(layers: Sequence[Layer], names: Sequence[str]) -> None:
    """Raise `ConfigurationError` for a layer that is called both directly and within a nested network."""
    seen: dict[int, str] = {}
    for path, layer in leaves(layers, names):
        before = seen.setdefault(identity(layer), path)
        if before != path:
            raise ConfigurationError(
                f"the layers {before!r} and {path!r} are the same layer, whose weights would exist twice: call it "
                "either directly or within a network, or make a separate layer"
            )
