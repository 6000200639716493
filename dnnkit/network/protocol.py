"""The interface of a network that callbacks, the training loop, saves, checks and summaries rely on.

They import this module rather than `Sequential`, which imports them.
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
    """A network that is built, and compiled if it trains; see `Sequential` for the meaning of each member."""

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
        """The layers as they were given; `layers` returns copies that give access to their weights."""

    @property
    def input_shape(self) -> tuple[int, ...] | None:
        """Shape of a sample, or of all inputs concatenated; None if not yet known."""

    @property
    def loss(self) -> Any:
        """The loss, or losses by output name."""

    @property
    def metrics(self) -> tuple[Given, ...]:
        """The metrics."""

    @property
    def layers(self) -> tuple[Layer, ...]:
        """The layers, as copies that give access to their weights."""

    @property
    def executable(self) -> Executable:
        """The executable that the backend built."""

    @property
    def backend(self) -> Backend:
        """The backend of the network."""

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
        """Optimizer hyperparameters of the next batches."""

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
        """The parameters that predictions use."""

    @property
    def predicts_with_averages(self) -> bool:
        """Whether predictions use moving averages of the parameters."""

    def replaced(self, executable: Executable) -> AbstractContextManager[None]:
        """Temporarily replace the executable by another."""

    def set_parameters(self, values: Mapping[str, Any]) -> None:
        """Assign several parameters."""

    def get_layer(self, name: str | None = ...) -> Layer:
        """Return the layer of that name, as a copy that gives access to its weights."""

    def values_of_layer(self, name: str, *, given: bool) -> Any:
        """Return inputs or outputs of a layer as symbolic values."""

    def as_layer(self) -> Layer:
        """Return the network as a layer of another network."""

    def freeze(self, *layers: str | int) -> None:
        """Exclude layers from training."""

    def unfreeze(self, *layers: str | int) -> None:
        """Include layers in training again."""

    def train_step(self, x: Any, y: Any, sample_weight: Any = None) -> float:
        """Perform one update; return the loss before it."""

    def get_gradients(
        self, x: Any, y: Any, with_input: bool = False, *, sample_weight: Any = None
    ) -> tuple[float, dict[str, NDArray[Any]]]:
        """Return loss and gradients by name."""

    def apply_gradients(self, gradients: Mapping[str, Any]) -> None:
        """Perform an optimizer step with given gradients."""

    def evaluate(self, x: Any, y: Any, batch_size: int | None = ...) -> Evaluation:
        """Return loss and metrics, in order and by name."""

    def predict(self, x: Any, batch_size: int | None = ...) -> Any:
        """Return outputs (N, ...)."""

    def save(self, path: str | Path) -> None:
        """Write a save folder."""

    def save_weights(self, path: str | Path) -> None:
        """Write the parameters to one file."""
