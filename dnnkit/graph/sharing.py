"""Which layers are one, in all networks where they stand: called on symbolic values, a layer has its weights once.

A layer that stands in several networks because symbolic values led there is marked, and with it which of the networks
has its newest weights. `network/kinship.py` brings them to the others.
"""

from collections.abc import Iterator, Sequence
from typing import Any
from weakref import WeakSet

from dnnkit.errors import ConfigurationError
from dnnkit.layers.base import Layer
from dnnkit.layers.places import description


class Shared:
    """A layer, in whatever networks it stands.

    Attributes:
        members: what stands for these networks.
        newest: the one whose weights are the newest; None as long as none has any.
        version: how often they have changed.
    """

    def __init__(self) -> None:
        self.members: WeakSet[Any] = WeakSet()
        self.newest: Any = None
        self.version = 0


def shared_of(layer: Layer) -> Shared:
    """What all networks of a layer have in common; copies that are frozen or not have it, too."""
    layer = description(layer)
    found: Shared | None = layer.__dict__.get("_shared")
    if found is None:
        found = Shared()
        object.__setattr__(layer, "_shared", found)
    return found


def identity(layer: Layer) -> int:
    """The same number for two layers that are one."""
    return id(shared_of(layer))


def leaves(layers: Sequence[Layer], names: Sequence[str]) -> Iterator[tuple[str, Layer]]:
    """The layers that have parameters of their own, with their paths: "dense", or "encoder/dense" within another."""
    for layer, name in zip(layers, names, strict=True):
        inner = layer.inner_layers()
        yield from ((f"{name}/{path}", each) for path, each in inner) if inner else ((name, layer),)


def check_shared_once(layers: Sequence[Layer], names: Sequence[str]) -> None:
    """Raise `ConfigurationError` for a layer that is called by itself and within a network that is called."""
    seen: dict[int, str] = {}
    for path, layer in leaves(layers, names):
        before = seen.setdefault(identity(layer), path)
        if before != path:
            raise ConfigurationError(
                f"the layers {before!r} and {path!r} are one, which would have its weights twice: call it in one "
                "place, by itself or within a network, or make a layer for each"
            )
