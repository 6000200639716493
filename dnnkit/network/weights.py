"""A network's layers and weights as lists, as in Keras; by name, weights are `net.parameters`.

Layers are immutable descriptions without weights, which several networks may share. `net.layers` returns copies that
refer to their network, made on access, so descriptions never change and do not keep networks alive.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dnnkit.deferred import dataclass
from dnnkit.errors import ConfigurationError, UnknownName
from dnnkit.graph.graph import Graph
from dnnkit.layers import Layer
from dnnkit.layers.places import at_place, description
from dnnkit.network.protocol import Network
from dnnkit.registry import did_you_mean
from dnnkit.settings import FLAG, several, shown


@dataclass(frozen=True, eq=False)
class Weight:
    """A parameter of a network; reading it returns the network's current values.

    `path` is its name in `net.parameters`, such as "dense/kernel"; `name` is its name within the layer.
    """

    _network: Network
    path: str

    @property
    def name(self) -> str:
        """Its name within the layer."""
        return self.path.partition("/")[2]

    @property
    def shape(self) -> tuple[int, ...]:
        """Its shape."""
        return self.numpy().shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """Its dtype."""
        return self.numpy().dtype

    def numpy(self) -> NDArray[Any]:
        """Return a copy as a NumPy array."""
        return self._network.parameters[self.path]

    def assign(self, value: Any) -> None:
        """Set the parameter to an array of the same shape."""
        self._network.set_parameters({self.path: value})

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return self.numpy().astype(dtype or self.dtype, copy=False)

    def __repr__(self) -> str:
        return f"<Weight {self.path} {self.shape} {self.dtype}>"


def _weights(net: Network, prefix: str = "") -> list[Weight]:
    names = (parameter.name for parameter in net.executable.program.parameters)
    return [Weight(net, name) for name in names if name.startswith(prefix)]


def _set(what: str, weights: list[Weight], values: Any, net: Network) -> None:
    given = several("weights", values, "a list of arrays, as get_weights returns them")
    if len(given) != len(weights):
        raise ConfigurationError(
            f"{what} has {len(weights)} weights, {', '.join(weight.path for weight in weights) or 'none'}; got "
            f"{len(given)} arrays: expected them as get_weights returns them"
        )
    net.set_parameters({weight.path: value for weight, value in zip(weights, given, strict=True)})


@dataclass(frozen=True)
class PlaceInNetwork:
    """The position of a layer in a network: see `layers.Place`."""

    network: Network
    name: str
    description: Layer

    def _all(self) -> list[Weight]:
        return _weights(self.network, f"{self.name}/")

    @property
    def _is_trained(self) -> bool:
        """Whether the layer is trainable in the network now."""
        return self.network.get_layer(self.name).trainable

    def find(self, name: str) -> Any:
        """Return `weights`, one of them by name, or `input` and `output` as symbolic values."""
        if name in ("input", "output"):
            return self.network.values_of_layer(self.name, given=name == "input")
        if name in ("weights", "variables"):
            return self._all()
        if name in ("trainable_weights", "trainable_variables"):
            return self._all() if self._is_trained else []
        if name in ("non_trainable_weights", "non_trainable_variables"):
            return [] if self._is_trained else self._all()
        return next((weight for weight in self._all() if weight.name == name), None) if self.network.is_built else None

    def get_weights(self) -> list[NDArray[Any]]:
        """As `Layer.get_weights`."""
        return [weight.numpy() for weight in self._all()]

    def set_weights(self, weights: Sequence[Any]) -> None:
        """As `Layer.set_weights`."""
        _set(f"the layer {self.name!r}", self._all(), weights, self.network)

    def set_trainable(self, trainable: Any) -> None:
        """Freeze or unfreeze the layer in the network."""
        change = self.network.unfreeze if FLAG.of("trainable", trainable) else self.network.freeze
        change(self.name)

    def count_params(self) -> int:
        """As `Layer.count_params`."""
        return sum(weight.numpy().size for weight in self._all())


class WithWeights(Network):
    """A network's layers and weights, in order."""

    graph: Graph

    @property
    def layers(self) -> tuple[Layer, ...]:
        """The layers, as copies that give access to their weights: `net.layers[0].get_weights()`.

        They compare equal to the layers that the network was made from, and can be used in another network like them.
        """
        return tuple(
            at_place(layer, name, PlaceInNetwork(self, name, layer))
            for layer, name in zip(self.descriptions, self.graph.names, strict=True)
        )

    @layers.setter
    def layers(self, layers: Sequence[Layer]) -> None:
        self.graph = replace(self.graph, layers=tuple(map(description, layers)))

    def get_layer(self, name: str | None = None, index: int | None = None) -> Layer:
        """Return a layer by name, as `summary` shows it, or by index.

        Arguments:
            name: name of the layer.
            index: position of the layer, counted from 0, instead of a name.

        Raises:
            UnknownName: there is no such layer.
            ConfigurationError: neither or both of the arguments were given.
        """
        layers = self.layers
        if (name is None) == (index is None):
            raise ConfigurationError("get_layer takes a name or an index: give exactly one of them")
        if index is not None:
            if shown(index) not in map(str, range(-len(layers), len(layers))):
                raise UnknownName(f"no layer {shown(index)}: the network has {len(layers)}, counted from 0")
            return layers[index]
        names = [layer.name or "" for layer in layers]
        if name not in names:
            near = did_you_mean(name, names)
            raise UnknownName(f"no layer {shown(name)}: {near}the network has {', '.join(names) or 'none'}")
        return layers[names.index(name)]

    @property
    def weights(self) -> list[Weight]:
        """The parameters of all layers, in order; `parameters` has them by name."""
        return _weights(self)

    @property
    def trainable_weights(self) -> list[Weight]:
        """The parameters that are not frozen."""
        trained = {parameter.name for parameter in self.executable.program.trainable_parameters}
        return [weight for weight in self.weights if weight.path in trained]

    @property
    def non_trainable_weights(self) -> list[Weight]:
        """The parameters that are frozen."""
        frozen = {parameter.name for parameter in self.executable.program.frozen_parameters}
        return [weight for weight in self.weights if weight.path in frozen]

    @property
    def variables(self) -> list[Weight]:
        """Alias of `weights`."""
        return self.weights

    @property
    def trainable_variables(self) -> list[Weight]:
        """Alias of `trainable_weights`."""
        return self.trainable_weights

    @property
    def non_trainable_variables(self) -> list[Weight]:
        """Alias of `non_trainable_weights`."""
        return self.non_trainable_weights

    def get_weights(self) -> list[NDArray[Any]]:
        """Return copies of the parameters of all layers, in order."""
        return [weight.numpy() for weight in self.weights]

    def set_weights(self, weights: Sequence[Any]) -> None:
        """Set the parameters of all layers at once.

        Arguments:
            weights: a list of arrays in the order of `get_weights`.

        Raises:
            ConfigurationError, ShapeError, DataError: they do not fit; nothing has changed then.
        """
        _set("the network", self.weights, weights, self)

    def count_params(self) -> int:
        """Return the total number of parameter elements."""
        return self.executable.program.size
