"""What `Sequential` and `Model` have in common: all features of a network, whichever way it was written."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar, Self

from dnnkit.backends.base import Backend
from dnnkit.diagnosis.traceable import Traceable
from dnnkit.errors import NotReady
from dnnkit.exports.exportable import Exportable
from dnnkit.graph.graph import Call, Graph
from dnnkit.graph.nested import NestedModel, nested
from dnnkit.graph.symbols import Symbol, as_form
from dnnkit.instead import add_missing
from dnnkit.network import checks
from dnnkit.network.copying import Copyable
from dnnkit.network.describing import Describable
from dnnkit.network.fitting import Fittable
from dnnkit.network.freezing import Freezable
from dnnkit.network.jacobian import Differentiable
from dnnkit.network.open_step import OpenStep
from dnnkit.network.own_loops import OwnLoops
from dnnkit.network.shared_layers import SharedLayers
from dnnkit.saves import saving
from dnnkit.saves.numbers import restore_numbers
from dnnkit.saves.schema import text
from dnnkit.seeds import check_seed, draw_seed
from dnnkit.settings import or_none

NAME_OF_NETWORK = or_none(text(words="text, of at most 200 letters", most=200))


class Shown:
    """Like `property`, but for an attribute that a user's subclass may assign like any other."""

    def __init__(self, get: Callable[[Any], Any]) -> None:
        self._get, self.__doc__ = get, get.__doc__

    def __get__(self, owner: Any, of: type) -> Any:
        return self if owner is None else self._get(owner)


class WholeNetwork(
    Fittable, OpenStep, Differentiable, OwnLoops, Freezable, Describable, Copyable, Traceable, Exportable
):
    """Base of `Sequential` and `Model`, which differ in how their graph is defined."""

    is_graph: ClassVar = True
    """Whether the graph is written out explicitly, rather than as a list of layers."""

    def __init__(
        self,
        graph: Graph,
        *,
        backend: str | Backend | None,
        seed: int | None,
        dtype: Any,
        num_threads: int | None,
        name: str | None,
    ) -> None:
        super().__init__(
            graph,
            backend,
            draw_seed() if seed is None else check_seed(seed),
            checks.check_dtype(dtype),
            checks.check_optional_count("num_threads", num_threads),
        )
        self._draws_seed = seed is None
        self._layer: NestedModel | None = None
        self._symbols: tuple[tuple[Call, ...], list[Symbol]] | None = None
        self.name = NAME_OF_NETWORK.of("name", name)

    @classmethod
    def of_graph(cls, graph: Graph, **settings: Any) -> Self:
        """Return the network of a graph. Internal."""
        made = cls.__new__(cls)
        WholeNetwork.__init__(made, graph, **settings)
        return made

    # -- as symbolic values ------------------------------------------------------------------------------------------

    def _values(self) -> list[Symbol]:
        """Return a symbolic value for each value of the graph: the original ones if available, otherwise new ones."""
        self.join()
        if self._symbols is None or self._symbols[0] != self.graph.calls:
            if None in (each.shape for each in self.graph.inputs):
                raise NotReady(
                    "the network is not built yet, so the shapes of its values are unknown: call build(input_shape)"
                )
            self._symbols = self.graph.calls, self.graph.symbols()
        return self._symbols[1]

    @Shown
    def inputs(self) -> list[Symbol]:
        """The inputs as symbolic values, for another `dk.Model` with the same layers."""
        return self._values()[: len(self.graph.inputs)]

    @Shown
    def outputs(self) -> list[Symbol]:
        """The outputs as symbolic values."""
        values = self._values()
        return [values[place] for place in self.graph.outputs]

    @Shown
    def input(self) -> Any:
        """The input as a symbolic value; with several, a list, or a dictionary if given as one."""
        names = tuple(each.name for each in self.graph.inputs)
        return as_form(self.graph.input_form, names, tuple(self.inputs))

    @Shown
    def output(self) -> Any:
        """The output as a symbolic value; with several, a list, or a dictionary if given as one."""
        return as_form(self.graph.output_form, self.graph.output_names, tuple(self.outputs))

    @property
    def input_names(self) -> list[str]:
        """Names of the inputs, usable as keys when data is given as a dictionary."""
        return [each.name for each in self.graph.inputs]

    @property
    def output_names(self) -> list[str]:
        """Names of the outputs, usable as keys for targets, losses and metrics."""
        return list(self.graph.output_names)

    def values_of_layer(self, name: str, *, given: bool) -> Any:
        """Return the inputs (`given`) or outputs of a layer's first call as symbolic values. Internal."""
        values, first = self._values(), len(self.graph.inputs)
        for each in self.graph.calls:
            if self.graph.names[each.layer] == name:
                places = each.reads if given else tuple(range(first, first + each.gives))
                found = tuple(values[place] for place in places)
                layer = self.graph.layers[each.layer]
                return layer.as_given(found) if not given else found[0] if len(found) == 1 else list(found)
            first += each.gives
        raise NotReady(f"the layer {name!r} is never called")

    # -- as a part of other networks ---------------------------------------------------------------------------------

    def join(self) -> None:
        """Allow other networks to use these layers, sharing their weights. Internal."""
        if self.turns.shared_layers is None:
            self.turns.shared_layers = SharedLayers(self)
            if self.is_built:
                self.turns.shared_layers.publish_initial()
        else:
            self.turns.shared_layers.join()

    def as_layer(self) -> NestedModel:
        """Return the network as a layer, the same object until the layers change. Internal."""
        self.join()
        if self._layer is None or self._layer.graph != self.graph:
            self._layer = nested(self.graph, self.name)
        return self._layer

    # -- saves ------------------------------------------------------------------------------------------------------

    def save(self, path: str | Path) -> None:
        """Write architecture, parameters, optimizer state and history to a folder; `dk.load` reads it.

        Arguments:
            path: the folder. It is created if missing; a previous save in it is replaced only once the new one is
                complete.

        Raises:
            NotReady: the network is not built.
            CheckpointError: the folder cannot be written, or the network has parts that cannot be saved.
        """
        saving.save_network(self, path)

    def save_weights(self, path: str | Path, layout: str | None = None) -> None:
        """Write the parameters to a safetensors file.

        Arguments:
            path: the file.
            layout: None for dnnkit's names; "torch", "keras" or "sklearn" for the names and shapes that the same layers
                have there (docs/export.md).

        Raises:
            ConfigurationError: a layer has no counterpart in that library.
        """
        saving.save_weights(self, path, layout)

    def load_weights(self, path: str | Path | Mapping[str, Any], layout: str | None = None) -> None:
        """Read the parameters of a built network.

        Arguments:
            path: a safetensors file, a save folder, or a mapping {name: array}, such as PyTorch's `state_dict()`.
            layout: None for dnnkit's names; "torch", "keras" or "sklearn" for the names and shapes of that library.

        Raises:
            CheckpointError: names or shapes do not match this network.
        """
        saving.load_weights(self, path, layout)

    # -- copies -----------------------------------------------------------------------------------------------------

    def _become(self, state: Mapping[str, Any], backend: str | Backend | None) -> None:
        """Initialize this object from the state that `state_of` returned, on that backend."""
        same = {name: state[name] for name in ("seed", "dtype", "num_threads")}
        WholeNetwork.__init__(self, state["graph"], **same, backend=backend, name=state.get("name"))
        self.goals, self._optimizer = state["goals"], state["optimizer"]
        self.gradient_accumulation_steps = state.get("gradient_accumulation_steps", 1)
        vars(self).update(state["own"])
        if state["numbers"]:
            assert self.input_shape is not None
            self._make(self.input_shape)
            restore_numbers(self, state["numbers"], "this pickle")

    @property
    def _chosen_backend(self) -> str | Backend | None:
        return self._backend or self._backend_asked

    def _own_attributes(self) -> dict[str, Any]:
        """Attributes that `__init__` does not set."""
        made = WholeNetwork.__new__(WholeNetwork)
        WholeNetwork.__init__(
            made, Graph.chain((), None), backend=None, seed=0, dtype="float32", num_threads=None, name=None
        )
        return {name: value for name, value in vars(self).items() if name not in vars(made)}


add_missing(WholeNetwork, "network")
