"""Stages of a program: what maps a batch (B, I) to a batch (B, O), and its parameters."""

from collections.abc import Callable, Sequence
from math import prod
from typing import Any, Protocol, TypeAlias

from dnnkit.deferred import dataclass
from dnnkit.errors import ConfigurationError
from dnnkit.kernels.array import Array, Namespace


@dataclass(frozen=True)
class Parameter:
    """An array of a layer: its canonical name, such as `dense_1/kernel`, and its shape.

    If not `trainable`, it is frozen: no gradient, no slots, no updates. A `statistic`, such as a moving mean, is never
    trainable; its own stage updates it in each training step.
    """

    name: str
    shape: tuple[int, ...]
    trainable: bool = True
    statistic: bool = False

    def __post_init__(self) -> None:
        if self.statistic and self.trainable:
            raise ConfigurationError(f"{self.name} is a statistic, which its stage updates: it cannot be trainable")

    @property
    def size(self) -> int:
        """Number of elements."""
        return prod(self.shape)


@dataclass(frozen=True)
class Rescale:
    """x · scale + offset. As the first stage it is part of gathering the batch."""

    scale: float
    offset: float


@dataclass(frozen=True)
class Dense:
    """activation(x · kernel + bias); kernel (I, O), bias (O,) or None."""

    kernel: Parameter
    bias: Parameter | None
    activation: str


@dataclass(frozen=True)
class Activate:
    """activation(x)."""

    activation: str


@dataclass(frozen=True)
class Dropout:
    """Zero a random fraction of the elements while training; `layer` selects the random stream.

    The fraction is `rate`, or what that returns for the number of batches so far, `TrainingState.step`.
    """

    rate: float | Callable[[int], float]
    layer: int

    @property
    def is_scheduled(self) -> bool:
        """Whether the rate changes from step to step."""
        return callable(self.rate)

    def rate_at(self, step: int) -> float:
        """Return the rate after `step` batches."""
        return self.rate(step) if callable(self.rate) else self.rate


class CustomFunction(Protocol):
    """Interface of a user-defined layer, on the backend's array namespace `xp`."""

    def forward(self, xp: Namespace, x: Array, *parameters: Array) -> tuple[Array, Any]:
        """Return y (B, *output_shape) for x (B, *input_shape), and whatever `backward` needs."""
        ...

    def backward(self, xp: Namespace, dy: Array, saved: Any, *parameters: Array) -> tuple[Array, ...]:
        """Return (dx, gradient of the first parameter, of the second, ...) for dy."""
        ...


@dataclass(frozen=True)
class Custom:
    """A user-defined layer: every backend calls its functions, in Python."""

    function: CustomFunction
    parameters: tuple[Parameter, ...]
    input_shape: tuple[int, ...]
    output_shape: tuple[int, ...]


@dataclass(frozen=True)
class Op:
    """An operation of a kind in `kernels/stages`, on one or several values (B, I_k), giving (B, features).

    `settings` are (name, hashable value), sorted by name; `layer` selects the random stream. Only an `Op` reads several
    values.
    """

    kind: str
    features: int
    parameters: tuple[Parameter, ...] = ()
    settings: tuple[tuple[str, Any], ...] = ()
    layer: int = 0

    def __post_init__(self) -> None:
        if list(self.settings) != sorted(self.settings, key=lambda setting: setting[0]):
            raise ConfigurationError(f"the settings of {self.kind} are {self.settings}: sort them by name")


Stage: TypeAlias = Rescale | Dense | Activate | Dropout | Custom | Op


def stage_parameters(stage: Stage) -> tuple[Parameter, ...]:
    """Return the stage's parameters in canonical order: kernel, then bias."""
    match stage:
        case Dense(kernel=kernel, bias=None):
            return (kernel,)
        case Dense(kernel=kernel, bias=bias) if bias is not None:
            return (kernel, bias)
        case Custom(parameters=parameters) | Op(parameters=parameters):
            return parameters
        case _:
            return ()


def stage_features(stage: Stage, inputs: int) -> int:
    """Return the features of its output, from those of its (first) input."""
    match stage:
        case Dense(kernel=kernel):
            return kernel.shape[1]
        case Custom(output_shape=shape):
            return prod(shape)
        case Op(features=features):
            return features
        case _:
            return inputs


def is_trained(stage: Stage) -> bool:
    """Whether the stage has trained parameters; apart from statistics, it trains all of them or none."""
    return any(parameter.trainable for parameter in stage_parameters(stage))


def first_trained(stages: Sequence[Stage]) -> int:
    """Return the first trained stage, below which no gradient is needed; the number of stages if none is."""
    return next((place for place, stage in enumerate(stages) if is_trained(stage)), len(stages))
