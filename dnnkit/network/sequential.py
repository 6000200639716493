"""Sequential: the network people make, train, ask and save."""

from collections.abc import Sequence
from typing import ClassVar

from dnnkit.backends import choosing
from dnnkit.backends.base import Backend
from dnnkit.backends.choosing import Chosen
from dnnkit.backends.state import Snapshot, TrainingState
from dnnkit.errors import ConfigurationError
from dnnkit.graph.graph import Graph
from dnnkit.layers import Input, Layer
from dnnkit.network import checks, lowering
from dnnkit.network.whole import WholeNetwork


class Sequential(WholeNetwork):
    """Layers one after the other.

    `layers` are described by `dnnkit.layers`; where the first is `dk.Input(shape)`, or says `input_shape`, the network
    knows its parameters before it sees data. `backend` is a backend's name, None for the one in force when the
    network is built, which, if it is "auto", follows from the network and its batches; `seed` (32 bits) decides initial
    weights, the order of samples and dropout, None draws one (`net.seed` tells it); `dtype` is "float32" or "float64";
    `num_threads` bounds the threads, None for the backend's choice; `name` is for its user. It builds itself on the
    first data it sees.

    Any number of threads may call anything. What reads (`predict`, `evaluate`, `parameters`) runs side by side; beside
    a fit it sees the parameters after a whole step, at most 0.1 s old. What changes the network takes turns, also
    with the steps of a fit; another fit, `compile`, `build` or `to` meanwhile raises `ConcurrentUse`.

    A copy, by `copy.copy` as by `copy.deepcopy`, shares nothing with its original, and trains on bit for bit as it
    would. So does a network that was pickled, for other processes too, on the backend it was on; where that does not
    work, on the one in force there, which a line in the log says. Unpickling runs code, so it is for pickles of your
    own; `save` writes what anyone can read.

    Called on a symbolic value, the network is a layer of another: `dk.Model(x, net(x))`.
    """

    is_graph: ClassVar = False

    def __init__(
        self,
        layers: Sequence[Layer | Input] = (),
        *,
        backend: str | Backend | None = None,
        seed: int | None = None,
        dtype: lowering.Dtype = "float32",
        num_threads: int | None = None,
        name: str | None = None,
    ) -> None:
        super().__init__(
            Graph.chain(*checks.check_layers(layers)),
            backend=backend,
            seed=seed,
            dtype=dtype,
            num_threads=num_threads,
            name=name,
        )
        self._join_if_within()

    def add(self, layer: Layer | Input) -> None:
        """Put a layer behind the others, also behind those of a network that was built and trained.

        Their parameters stay, and the new layer gets its first ones, as the seed says; the optimizer's state is
        forgotten.
        """
        self._replace_layers("add", [*self._given_input(), *self.descriptions, layer])

    def pop(self) -> Layer:
        """Take the last layer away and return it; the parameters of the others stay, as for `add`."""
        if not self.descriptions:
            raise ConfigurationError("the network has no layers: there is none to take away")
        last = self.descriptions[-1]
        self._replace_layers("pop", [*self._given_input(), *self.descriptions[:-1]])
        return last

    def _join_if_within(self) -> None:
        """Have the weights of networks that are among the layers, as a model has that calls them."""
        if any(layer.inner_layers() for layer in self.descriptions):
            self.join()

    def _given_input(self) -> list[Input]:
        return [] if self.input_shape is None else [Input(self.input_shape)]

    def _replace_layers(self, what: str, layers: Sequence[Layer | Input]) -> None:
        """Go on with other layers, of which those that keep their names and shapes keep their parameters."""
        graph = Graph.chain(*checks.check_layers(layers))
        with self.turns.rebuilding(what):
            before = self.graph
            if self._executable is None:
                self.graph = graph
                self._join_if_within()
                return
            if not graph.layers:
                raise ConfigurationError("the only layer of a network that is built cannot be taken away")
            assert self._backend is not None
            old = self._executable
            try:
                self.graph = graph
                fresh = self.initial_parameters()
                program, self._executable = self._program(), None
                self._take(*choosing.build(Chosen(self._backend, self._why), program))
            except BaseException:
                self.graph, self._executable = before, old
                raise
            self._output_shapes = graph.output_shapes()
            self._join_if_within()
            there = old.snapshot()
            kept = {
                name: value
                for name, value in there.parameters.items()
                if name in fresh and value.shape == fresh[name].shape
            }
            self.executable.restore(Snapshot({**fresh, **kept}, {}, TrainingState(epoch=there.state.epoch)))
