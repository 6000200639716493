"""Model: a network as a graph, written by calling layers on symbolic values."""

from typing import Any

from dnnkit.backends.base import Backend
from dnnkit.errors import ConfigurationError
from dnnkit.graph.graph import graph_of
from dnnkit.network import lowering
from dnnkit.network.whole import WholeNetwork


class Model(WholeNetwork):
    """Whatever leads from inputs to outputs, as Keras's functional way of writing has it.

        left, right = dk.Input((8,), name="left"), dk.Input((3,), name="right")
        h = dk.Concatenate()([dk.Dense(16, "relu")(left), right])
        net = dk.Model([left, right], dk.Dense(1)(h))

    `inputs` and `outputs` are symbolic values, lists or dictionaries of them: what `fit`, `predict` and their like take
    and give has the same form; data for inputs, and targets for outputs, may also be dictionaries by their names. A
    layer that is called several times has the same weights in each call; a network is called as a layer is. Models of
    the same layers have the same weights: what one learns, the others have. All else is as of `Sequential`, the
    simplest graph: `backend`, `seed`, `dtype`, `num_threads`, `name`, threads, copies, which share nothing, saves.

    Arguments:
        inputs: `dk.Input`, or any symbolic value that outputs come of; what is before it is then no part of it. Those
            without a name are called "input", "input_1", ...
        outputs: called by their layers' names, or by the keys of a dictionary.

    Raises:
        ConfigurationError: an output depends on an `Input` that is none of the inputs, or two have one name.
        ShapeError: layers get values of shapes that they do not take.
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
                "Model takes inputs and outputs: x = dk.Input((8,)); dk.Model(x, dk.Dense(1)(x)). A class with a "
                "`call` of its own is not understood: write what it does by calling layers on symbolic values"
            )
        graph, symbols = graph_of(inputs, outputs)
        super().__init__(graph, backend=backend, seed=seed, dtype=dtype, num_threads=num_threads, name=name)
        self._symbols = graph.calls, symbols
        self.join()
