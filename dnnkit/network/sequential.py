"""`Sequential`: a network whose layers form a chain."""

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
    """Network with one layer after the other.

    The network builds itself (creates its parameters) on the first data it sees, or earlier if the input shape is
    known from `dk.Input` or a layer's `input_shape`.

    Thread safety: any thread may call any method. Reads (`predict`, `evaluate`, `parameters`) run in parallel; during a
    fit they see the parameters as of a completed step, at most 0.1 s old. Methods that change the network are
    serialised, also with the steps of a fit. A second fit, `compile`, `build` or `to` during a fit raises
    `ConcurrentUse`.

    Copies: `copy.copy` and `copy.deepcopy` both make independent copies that continue training bitwise identically, and
    so does pickling, also across processes. An unpickled network uses the backend it was on, or, if that is not
    available, the current one, which is logged. Unpickling runs code, so load only pickles you trust; `save` writes a
    format that is safe to read.

    Called on a symbolic value, the network acts as a layer: `dk.Model(x, net(x))`.

    Arguments:
        layers: layers in order, optionally starting with `dk.Input(shape)`.
        backend: name of a backend. None uses the current one when the network is built; "auto" chooses by network and
            batch size.
        seed: 32-bit seed of initial weights, sample order and dropout. None draws one, which `net.seed` reports.
        dtype: "float32" or "float64".
        num_threads: upper bound for the number of threads; None leaves it to the backend.
        name: name shown in summaries.
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
        """Append a layer; works on built and trained networks too.

        Existing parameters are kept and the new layer is initialised from the seed; the optimizer state is reset.

        Arguments:
            layer: the layer to append.

        Raises:
            ShapeError: the layer does not accept the shape of the current output.
            ConcurrentUse: a fit is running.
        """
        self._replace_layers("add", [*self._given_input(), *self.descriptions, layer])

    def pop(self) -> Layer:
        """Remove the last layer and return it; the other layers keep their parameters, the optimizer state is reset."""
        if not self.descriptions:
            raise ConfigurationError("the network has no layers: there is none to remove")
        last = self.descriptions[-1]
        self._replace_layers("pop", [*self._given_input(), *self.descriptions[:-1]])
        return last

    def _join_if_within(self) -> None:
        """Share the weights of networks used as layers, as a Model that calls them does."""
        if any(layer.inner_layers() for layer in self.descriptions):
            self.join()

    def _given_input(self) -> list[Input]:
        return [] if self.input_shape is None else [Input(self.input_shape)]

    def _replace_layers(self, what: str, layers: Sequence[Layer | Input]) -> None:
        """Replace the layers; those that keep their names and shapes keep their parameters."""
        graph = Graph.chain(*checks.check_layers(layers))
        with self.turns.rebuilding(what):
            before = self.graph
            if self._executable is None:
                self.graph = graph
                self._join_if_within()
                return
            if not graph.layers:
                raise ConfigurationError("the only layer of a built network cannot be removed")
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
