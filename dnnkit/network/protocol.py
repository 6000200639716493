"""What the rest of dnnkit needs of a network: callbacks, the training loop, saves, checks and summaries.

They import this and not `Sequential`, which imports them.
"""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, ClassVar, Protocol

from numpy.typing import NDArray

from dnnkit.backends.base import Backend
from dnnkit.backends.executable import Executable
from dnnkit.backends.state import Hyperparameters
from dnnkit.graph.graph import Graph
from dnnkit.layers import Layer
from dnnkit.metrics import Given
from dnnkit.network.checks import Dtype
from dnnkit.network.evaluation import Evaluation
from dnnkit.network.goals import Goal
from dnnkit.network.parameters import Parameters
from dnnkit.network.turns import Turns
from dnnkit.optimizers import Optimizer
from dnnkit.training.history import History


class Network(Protocol):
    """A network that is built, and compiled where it trains; `Sequential` is one and says what each part means."""

    graph: Graph
    goals: tuple[Goal, ...]
    name: str | None
    dtype: Dtype
    seed: int
    num_threads: int | None
    is_graph: ClassVar[bool]
    gradient_accumulation_steps: int
    stop_training: bool
    turns: Turns

    @property
    def descriptions(self) -> tuple[Layer, ...]:
        """The layers as they were given; `layers` are copies of them that know their weights."""

    @property
    def input_shape(self) -> tuple[int, ...] | None:
        """The shape of a sample, or of all inputs side by side; None where data will tell it."""

    @property
    def loss(self) -> Any:
        """What is minimised."""

    @property
    def metrics(self) -> tuple[Given, ...]:
        """What is reported beside the loss."""

    @property
    def layers(self) -> tuple[Layer, ...]:
        """The layers, as copies that know their weights."""

    @property
    def executable(self) -> Executable:
        """What the backend built."""

    @property
    def backend(self) -> Backend:
        """What it was built on."""

    @property
    def is_built(self) -> bool:
        """Whether the parameters exist."""

    @property
    def is_compiled(self) -> bool:
        """Whether it has a loss and an optimizer."""

    @property
    def optimizer(self) -> Optimizer:
        """The optimizer."""

    def hyperparameters(self, count: int = ...) -> Hyperparameters:
        """The optimizer's numbers for the next batches."""

    @property
    def history(self) -> History:
        """Every epoch trained so far."""

    @history.setter
    def history(self, history: History) -> None: ...

    @property
    def parameters(self) -> Parameters:
        """The parameters by canonical name."""

    @property
    def predicting_parameters(self) -> Parameters:
        """Those that predictions are made with."""

    @property
    def predicts_with_averages(self) -> bool:
        """Whether these are running means of the parameters."""

    def replaced(self, executable: Executable) -> AbstractContextManager[None]:
        """Within, another executable has the place of its own."""

    def set_parameters(self, values: Mapping[str, Any]) -> None:
        """Assign several parameters."""

    def get_layer(self, name: str | None = ...) -> Layer:
        """The layer of that name, as a copy that knows its weights."""

    def values_of_layer(self, name: str, *, given: bool) -> Any:
        """What a layer is given, or gives, as symbolic values."""

    def as_layer(self) -> Layer:
        """The network as a layer of another."""

    def freeze(self, *layers: str | int) -> None:
        """Keep layers as they are."""

    def unfreeze(self, *layers: str | int) -> None:
        """Train layers again."""

    def train_step(self, x: Any, y: Any, sample_weight: Any = None) -> float:
        """One update; returns the loss before it."""

    def get_gradients(
        self, x: Any, y: Any, with_input: bool = False, *, sample_weight: Any = None
    ) -> tuple[float, dict[str, NDArray[Any]]]:
        """Loss and gradients by name."""

    def apply_gradients(self, gradients: Mapping[str, Any]) -> None:
        """The optimizer's step with gradients from outside."""

    def evaluate(self, x: Any, y: Any, batch_size: int | None = ...) -> Evaluation:
        """Loss and metrics, in order and by name."""

    def predict(self, x: Any, batch_size: int | None = ...) -> Any:
        """Outputs (N, ...)."""

    def save(self, path: str | Path) -> None:
        """Write a save folder."""

    def save_weights(self, path: str | Path) -> None:
        """Write the parameters to one file."""
