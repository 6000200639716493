"""What every network is, however it was written: it is built, trained, asked, frozen, described, copied and saved."""

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
from dnnkit.network.kinship import Kin
from dnnkit.network.open_step import OpenStep
from dnnkit.network.own_loops import OwnLoops
from dnnkit.saves import saving
from dnnkit.saves.numbers import restore_numbers
from dnnkit.saves.schema import text
from dnnkit.seeds import check_seed, draw_seed
from dnnkit.settings import or_none

NAME_OF_NETWORK = or_none(text(words="text, of at most 200 letters", most=200))


class Shown:
    """As `property`, of an attribute that a class of the user's own may assign, as it does any other."""

    def __init__(self, get: Callable[[Any], Any]) -> None:
        self._get, self.__doc__ = get, get.__doc__

    def __get__(self, owner: Any, of: type) -> Any:
        return self if owner is None else self._get(owner)


class WholeNetwork(
    Fittable, OpenStep, Differentiable, OwnLoops, Freezable, Describable, Copyable, Traceable, Exportable
):
    """Base of `Sequential` and `Model`, which differ in how their graph is written."""

    is_graph: ClassVar = True
    """Whether its graph is written out, and not only its layers."""

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
        """The network of a graph; for dnnkit's own parts."""
        made = cls.__new__(cls)
        WholeNetwork.__init__(made, graph, **settings)
        return made

    # -- as symbolic values ------------------------------------------------------------------------------------------

    def _values(self) -> list[Symbol]:
        """A symbolic value for each value of the graph: those that it was written with, or new ones."""
        self.join()
        if self._symbols is None or self._symbols[0] != self.graph.calls:
            if None in (each.shape for each in self.graph.inputs):
                raise NotReady(
                    "the network is not built yet, so it is not known what its layers give: call build(input_shape)"
                )
            self._symbols = self.graph.calls, self.graph.symbols()
        return self._symbols[1]

    @Shown
    def inputs(self) -> list[Symbol]:
        """Its inputs as symbolic values, for another `dk.Model` of the same layers."""
        return self._values()[: len(self.graph.inputs)]

    @Shown
    def outputs(self) -> list[Symbol]:
        """Its outputs as symbolic values."""
        values = self._values()
        return [values[place] for place in self.graph.outputs]

    @Shown
    def input(self) -> Any:
        """Its input as a symbolic value; of several, a list, or a dictionary if they were given in one."""
        names = tuple(each.name for each in self.graph.inputs)
        return as_form(self.graph.input_form, names, tuple(self.inputs))

    @Shown
    def output(self) -> Any:
        """Its output as a symbolic value; of several, a list, or a dictionary if they were given in one."""
        return as_form(self.graph.output_form, self.graph.output_names, tuple(self.outputs))

    @property
    def input_names(self) -> list[str]:
        """The names of its inputs, by which data may be given in a dictionary."""
        return [each.name for each in self.graph.inputs]

    @property
    def output_names(self) -> list[str]:
        """The names of its outputs, by which targets, losses and metrics may be given in a dictionary."""
        return list(self.graph.output_names)

    def values_of_layer(self, name: str, *, given: bool) -> Any:
        """What a layer is given in its first call, or gives, as symbolic values; for dnnkit's own parts."""
        values, first = self._values(), len(self.graph.inputs)
        for each in self.graph.calls:
            if self.graph.names[each.layer] == name:
                places = each.reads if given else tuple(range(first, first + each.gives))
                found = tuple(values[place] for place in places)
                layer = self.graph.layers[each.layer]
                return layer.as_given(found) if not given else found[0] if len(found) == 1 else list(found)
            first += each.gives
        raise NotReady(f"the layer {name!r} is called nowhere")

    # -- as a part of others -----------------------------------------------------------------------------------------

    def join(self) -> None:
        """From now on its layers may stand in other networks, too, with the same weights; for dnnkit's own parts."""
        if self.turns.kin is None:
            self.turns.kin = Kin(self)
            if self.is_built:
                self.turns.kin.was_built()
        else:
            self.turns.kin.join()

    def as_layer(self) -> NestedModel:
        """The network as a layer, one and the same as long as its layers are; for dnnkit's own parts."""
        self.join()
        if self._layer is None or self._layer.graph != self.graph:
            self._layer = nested(self.graph, self.name)
        return self._layer

    # -- keeping ----------------------------------------------------------------------------------------------------

    def save(self, path: str | Path) -> None:
        """Write architecture, parameters, optimizer state and history to a folder; `dk.load` reads it."""
        saving.save_network(self, path)

    def save_weights(self, path: str | Path, layout: str | None = None) -> None:
        """Write the parameters to one safetensors file.

        Arguments:
            path: the file.
            layout: None for dnnkit's own names; "torch", "keras" or "sklearn" for the names and shapes that the same
                layers have there: see docs/export.md.

        Raises:
            ConfigurationError: a layer has no counterpart there.
        """
        saving.save_weights(self, path, layout)

    def load_weights(self, path: str | Path | Mapping[str, Any], layout: str | None = None) -> None:
        """Read the parameters of a network that is built.

        Arguments:
            path: a safetensors file, a save folder, or a mapping of arrays by name, such as PyTorch's `state_dict()`.
            layout: None for dnnkit's own names; "torch", "keras" or "sklearn" for the names and shapes of that library.

        Raises:
            CheckpointError: they are not those of this network, in names or shapes.
        """
        saving.load_weights(self, path, layout)

    # -- copies -----------------------------------------------------------------------------------------------------

    def _become(self, state: Mapping[str, Any], backend: str | Backend | None) -> None:
        """The network that `state_of` described, on that backend."""
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
        """Attributes that `__init__` does not make."""
        made = WholeNetwork.__new__(WholeNetwork)
        WholeNetwork.__init__(
            made, Graph.chain((), None), backend=None, seed=0, dtype="float32", num_threads=None, name=None
        )
        return {name: value for name, value in vars(self).items() if name not in vars(made)}


add_missing(WholeNetwork, "network")
