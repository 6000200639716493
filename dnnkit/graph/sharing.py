"""Which calls are of the same layer: a layer is itself in every call of it, also where it was frozen in between."""

from collections.abc import Iterator, Sequence

from dnnkit.errors import ConfigurationError
from dnnkit.graph.shared import Shared
from dnnkit.layers.base import Layer
from dnnkit.layers.places import description


def shared_of(layer: Layer) -> Shared:
    """What all networks of a layer have in common; copies that are frozen or not have it, too."""
    layer = description(layer)
    found = layer.__dict__.get("_shared")
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
                f"the layers {before!r} and {path!r} are one, which would have its weights twice: call it in one place, by "
                "itself or within a network, or make a layer for each"
            )
