"""Names of layers within a network."""

from collections import Counter
from collections.abc import Sequence

from dnnkit.errors import ConfigurationError
from dnnkit.layers.base import Layer


def layer_names(layers: Sequence[Layer]) -> list[str]:
    """Return unique names: those given to layers, and `dense`, `dense_1`, ... for the others."""
    given = Counter(layer.name for layer in layers if layer.name is not None)
    for shared, count in given.items():
        if count > 1:
            raise ConfigurationError(f"{count} layers are called {shared!r}: give them different names, or none")
    seen: Counter[str] = Counter()
    names: list[str] = []
    for layer in layers:
        name = layer.name
        while name is None or (layer.name is None and name in given):
            base = layer.base_name()
            name = f"{base}_{seen[base]}" if seen[base] else base
            seen[base] += 1
        names.append(name)
    return names
