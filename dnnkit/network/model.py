"""`Model`: a network as a graph, written by calling layers on symbolic values."""

from typing import Any

from dnnkit.backends.base import Backend
from dnnkit.errors import ConfigurationError
from dnnkit.graph.graph import graph_of
from dnnkit.network import lowering
from dnnkit.network.whole import WholeNetwork


class Model(WholeNetwork):
    """Network as a graph from inputs to outputs, in the style of Keras's functional API.

        left, right = dk.Input((8,), name="left"), dk.Input((3,), name="right")
        h = dk.Concatenate()([dk.Dense(16, "relu")(left), right])
        net = dk.Model([left, right], dk.Dense(1)(h))

    `inputs` and `outputs` are symbolic values, or lists or dictionaries of them; `fit`, `predict` and the other methods
    take and return data in the same form. Data for inputs and targets for outputs may also be dictionaries by name.

    A layer called several times shares its weights between the calls, and a network can be called like a layer. Models
    built from the same layers share their weights: training one changes the others. Everything else works as in
    `Sequential`: building, threads, copies (which share nothing) and saves.

    Arguments:
        inputs: `dk.Input`s, or intermediate symbolic values, in which case the model starts there. Unnamed inputs are
            called "input", "input_1", ...
        outputs: symbolic values. An output is named after its layer, or by its dictionary key.
        backend, seed, dtype, num_threads, name: as for `Sequential`.

    Raises:
        ConfigurationError: an output depends on an `Input` that is not among the inputs, or two have the same name.
        ShapeError: a layer does not accept the shape of its input.
    """

    def __init__(
        self,
        inputs: Any = None,
        outputs: Any = None,
        *,
        backend: str | Backend | None = None,
        seed: int | None = None,
        dtype: lowering.Dtype = "float32",
        num_threads: int | None = None,
        name: str | None = None,
    ) -> None:
        if inputs is None or outputs is None:
            raise ConfigurationError(
                "Model takes inputs and outputs: x = dk.Input((8,)); dk.Model(x, dk.Dense(1)(x)). Subclasses with a "
                "`call` method are not supported: write the computation by calling layers on symbolic values"
            )
        graph, symbols = graph_of(inputs, outputs)
        super().__init__(graph, backend=backend, seed=seed, dtype=dtype, num_threads=num_threads, name=name)
        self._symbols = graph.calls, symbols
        self.join()
