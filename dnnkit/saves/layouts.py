"""Names and shapes of weights in other libraries: PyTorch, Keras, scikit-learn.

A layout maps the parameters of each supported layer class to their names in the library, and says which are transposed.
Layers that it does not list cannot be written in it.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from dnnkit.errors import CheckpointError, ConfigurationError
from dnnkit.layers.base import Layer
from dnnkit.network.protocol import Network
from dnnkit.registry import Registry


class Layout(NamedTuple):
    """How another library names and stores weights.

    Attributes:
        thing: description of the object with the weights.
        parts: by layer class, {parameter name here: name there}; a suffix ".T" means that the array is transposed.
        join, split: build the full name of a parameter from those of a layer and a part; and the reverse.
        prefix: name of a layer there, given its name here, its index among layers with parameters, and the number of
            modules before it.
        modules: number of modules that a layer is there.
        more: additional parts to write, ignored when reading.
    """

    thing: str
    parts: Mapping[str, Mapping[str, str]]
    join: Callable[[str, str], str]
    split: Callable[[str], tuple[str, str]]
    prefix: Callable[[str, int, int], str]
    modules: Callable[[Layer], int] = lambda layer: 1
    more: Mapping[str, Mapping[str, Any]] = MappingProxyType({})


class Place(NamedTuple):
    """A layer with parameters: its names here and there, and its parts there by their names here."""

    name: str
    prefix: str
    kind: str
    parts: Mapping[str, str]


LAYOUTS: Registry[Layout] = Registry("layout", "a Layout", lambda thing: isinstance(thing, Layout))

AFFINE = {"gamma": "weight", "beta": "bias"}
NO_MODULES = ("Input", "Rescaling", "GaussianNoise")


def _torch_modules(layer: Layer) -> int:
    """Return the number of modules: a dense layer is a Linear and its activation's module; preprocessing has none."""
    has_activation = getattr(layer, "activation", None) not in (None, "linear") and type(layer).__name__ == "Dense"
    return 0 if type(layer).__name__ in NO_MODULES else 2 if has_activation else 1


LAYOUTS.add(
    "torch",
    Layout(
        "a torch.nn.Sequential",
        {
            "Dense": {"kernel": "weight.T", "bias": "bias"},
            "BatchNormalization": {**AFFINE, "moving_mean": "running_mean", "moving_variance": "running_var"},
            "LayerNormalization": AFFINE,
            "RMSNormalization": {"scale": "weight"},
            "PReLU": {"alpha": "weight"},
            "Embedding": {"embeddings": "weight"},
        },
        join=lambda layer, part: f"{layer}.{part}",
        split=lambda name: (name.rpartition(".")[0], name.rpartition(".")[2]),
        prefix=lambda name, number, modules: str(modules),
        modules=_torch_modules,
        more={"BatchNormalization": {"num_batches_tracked": np.zeros((), np.int64)}},
    ),
    "pytorch",
)
LAYOUTS.add(
    "keras",
    Layout(
        "a Keras model",
        {
            "Dense": {"kernel": "kernel", "bias": "bias"},
            "BatchNormalization": {name: name for name in ("gamma", "beta", "moving_mean", "moving_variance")},
            "LayerNormalization": {"gamma": "gamma", "beta": "beta"},
            "RMSNormalization": {"scale": "scale"},
            "PReLU": {"alpha": "alpha"},
            "Embedding": {"embeddings": "embeddings"},
            "Normalization": {"mean": "mean", "variance": "variance", "count": "count"},
        },
        join=lambda layer, part: f"{layer}/{part}",
        split=lambda name: (name.rpartition("/")[0].rpartition("/")[2], name.rpartition("/")[2]),
        prefix=lambda name, number, modules: name,
    ),
)
LAYOUTS.add(
    "sklearn",
    Layout(
        "scikit-learn's MLP",
        {"Dense": {"kernel": "coefs_", "bias": "intercepts_"}},
        join=lambda layer, part: f"{part}.{layer}",
        split=lambda name: (name.rpartition(".")[2], name.rpartition(".")[0]),
        prefix=lambda name, number, modules: str(number),
    ),
    "scikit-learn",
)


def places(net: Network, layout: Layout) -> list[Place]:
    """Return the layers with parameters, in order.

    Raises:
        ConfigurationError: a layer has no counterpart in that library.
    """
    found, seen, modules = list[Place](), set[str](), 0
    for step in net.graph.steps():
        if step.name in seen:
            continue
        seen.add(step.name)
        own, kind = step.layer.parameters_of(step.shapes), type(step.layer).__name__
        if own:
            parts = layout.parts.get(kind, {})
            missing = [name for name in own if name not in parts]
            if missing or getattr(step.layer, "parametrization", None) is not None:
                what = f"{kind}(parametrization=...)" if not missing else kind
                raise ConfigurationError(
                    f"the layer {step.name!r}, a {what}, has no counterpart in {layout.thing}, which supports "
                    f"{', '.join(layout.parts)}: save_weights without a layout supports every layer"
                )
            prefix = layout.prefix(step.name, len(found), modules)
            found.append(Place(step.name, prefix, kind, {name: parts[name] for name in own}))
        modules += layout.modules(step.layer)
    return found


def written(net: Network, parameters: Mapping[str, Any], layout: str) -> dict[str, Any]:
    """Return the parameters with the names and shapes of a layout."""
    chosen = LAYOUTS.find(layout)
    found = dict[str, Any]()
    for place in places(net, chosen):
        for own, other in place.parts.items():
            array = parameters[f"{place.name}/{own}"]
            is_turned = other.endswith(".T")
            found[chosen.join(place.prefix, other.removesuffix(".T"))] = (
                np.ascontiguousarray(array.T) if is_turned else array
            )
        for part, array in chosen.more.get(place.kind, {}).items():
            found[chosen.join(place.prefix, part)] = array
    return found


def read(net: Network, arrays: Mapping[str, Any], layout: str, what: str) -> dict[str, Any]:
    """Return the network's parameters from arrays in a layout; errors refer to them as `what`.

    Layers are matched by the set of their parts; those with equal sets are matched by name, if the names are the
    network's, and otherwise ordered by the numbers in their names.

    Raises:
        CheckpointError: the arrays do not fit this network.
    """
    chosen = LAYOUTS.find(layout)
    wanted = places(net, chosen)
    groups = dict[str, dict[str, Any]]()
    for name, array in arrays.items():
        layer, part = chosen.split(name)
        group = groups.setdefault(layer, {})
        if part in group:
            raise CheckpointError(f"{what} has two {part!r} of a layer {layer!r}: give the layers different names")
        group[part] = array
    found = dict[str, Any]()
    skipped = {part for parts in chosen.more.values() for part in parts}
    for place, given in zip(wanted, _in_order(wanted, groups, skipped, chosen, what), strict=True):
        for own, other in place.parts.items():
            array, name = np.asarray(given[other.removesuffix(".T")]), f"{place.name}/{own}"
            found[name] = array.T if other.endswith(".T") else array
    shapes = {one.name: one.shape for one in net.executable.program.parameters}
    for name, array in found.items():
        if array.shape != shapes[name]:
            raise CheckpointError(
                f"{what} has {name} of shape {array.shape} (converted to dnnkit's), but the network's is {shapes[name]}"
            )
    return found


def _in_order(
    wanted: Sequence[Place], groups: Mapping[str, Mapping[str, Any]], skipped: set[str], layout: Layout, what: str
) -> list[Mapping[str, Any]]:
    """Return the arrays of each layer, in order."""
    by_parts = dict[frozenset[str], list[str]]()
    for name, group in groups.items():
        by_parts.setdefault(frozenset(group) - skipped, []).append(name)
    places_of = dict[frozenset[str], list[Place]]()
    for place in wanted:
        places_of.setdefault(frozenset(one.removesuffix(".T") for one in place.parts.values()), []).append(place)
    if {parts: len(names) for parts, names in by_parts.items()} != {
        parts: len(several) for parts, several in places_of.items()
    }:
        raise CheckpointError(
            f"{what} has {_counted(by_parts)}, but {layout.thing} for this network would have "
            f"{_counted(places_of)}: they do not fit"
        )
    found = dict[str, Mapping[str, Any]]()
    for parts, several in places_of.items():
        names = by_parts[parts]
        if {place.name for place in several} == set(names):
            found.update((name, groups[name]) for name in names)
            continue
        if len({re.sub(r"_?\d+", "#", name).rstrip("#") for name in names}) > 1:
            raise CheckpointError(
                f"{what} has layers {', '.join(sorted(names))}, whose names do not determine their order: give the "
                f"layers of the network these names; they are now {', '.join(place.name for place in several)}"
            )
        ordered = sorted(names, key=lambda name: [int(number) for number in re.findall(r"\d+", name)])
        found.update((place.name, groups[name]) for place, name in zip(several, ordered, strict=True))
    return [found[place.name] for place in wanted]


def _counted(several: Mapping[frozenset[str], Sequence[Any]]) -> str:
    """Describe how many layers have which parts."""
    return " and ".join(f"{len(each)} with {', '.join(sorted(parts))}" for parts, each in several.items()) or "nothing"
