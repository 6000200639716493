"""Sequential: the network people make, train, ask and save."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dnnkit.backends.base import Backend
from dnnkit.diagnosis.traceable import Traceable
from dnnkit.instead import add_missing
from dnnkit.layers import Input, Layer
from dnnkit.network import checks, lowering, numpy_source
from dnnkit.network.copying import Copyable
from dnnkit.network.describing import Describable
from dnnkit.network.fitting import Fittable
from dnnkit.network.freezing import Freezable
from dnnkit.network.open_step import OpenStep
from dnnkit.network.own_loops import OwnLoops
from dnnkit.saves import saving
from dnnkit.saves.numbers import restore_numbers
from dnnkit.saves.schema import text
from dnnkit.seeds import check_seed, draw_seed
from dnnkit.settings import or_none

NAME_OF_NETWORK = or_none(text(words="text, of at most 200 letters", most=200))


class Sequential(Fittable, OpenStep, OwnLoops, Freezable, Describable, Copyable, Traceable):
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
    """

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
            layers,
            backend,
            draw_seed() if seed is None else check_seed(seed),
            checks.check_dtype(dtype),
            checks.check_optional_count("num_threads", num_threads),
        )
        self._draws_seed = seed is None
        self.name = NAME_OF_NETWORK.of("name", name)

    # -- keeping ----------------------------------------------------------------------------------------------------

    def save(self, path: str | Path) -> None:
        """Write architecture, parameters, optimizer state and history to a folder; `dk.load` reads it."""
        saving.save_network(self, path)

    def to_numpy_source(self, path: str | Path) -> Path:
        """Write the network as a script of at most 40 lines that needs NumPy alone; return its path.

        `path` ends in `.py`; the parameters go to the `.npz` of that name beside it. The script has `predict(x)`, and
        as a command prints the predictions for samples in a `.npy` file.
        """
        return numpy_source.write(self, path)

    def save_weights(self, path: str | Path) -> None:
        """Write the parameters to one safetensors file."""
        saving.save_weights(self, path)

    def load_weights(self, path: str | Path) -> None:
        """Read the parameters from a safetensors file or a save folder; the network must be built."""
        saving.load_weights(self, path)

    # -- copies -----------------------------------------------------------------------------------------------------

    def _become(self, state: Mapping[str, Any], backend: str | Backend | None) -> None:
        """The network that `state_of` described, on that backend."""
        same = {name: state[name] for name in ("layers", "seed", "dtype", "num_threads")}
        Sequential.__init__(self, **same, backend=backend, name=state.get("name"))
        self.input_shape = state["input_shape"]
        self.loss, self.metrics, self._optimizer = state["loss"], state["metrics"], state["optimizer"]
        self.gradient_accumulation_steps = state.get("gradient_accumulation_steps", 1)
        vars(self).update(state["own"])
        if state["numbers"]:
            self._make(state["input_shape"])
            restore_numbers(self, state["numbers"], "this pickle")

    @property
    def _chosen_backend(self) -> str | Backend | None:
        return self._backend or self._backend_asked

    def _own_attributes(self) -> dict[str, Any]:
        """Attributes that `__init__` does not make."""
        made = vars(Sequential(seed=0))
        return {name: value for name, value in vars(self).items() if name not in made}


add_missing(Sequential, "network")
