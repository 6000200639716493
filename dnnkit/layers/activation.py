"""Activations as separate layers."""

from dataclasses import field
from typing import ClassVar

from dnnkit.activations import find, key_of
from dnnkit.backends.stages import Activate, Parameter, Stage
from dnnkit.deferred import dataclass
from dnnkit.formula import Formula
from dnnkit.initializers import Shape
from dnnkit.kernels.activations.leaky_relu.reference import SLOPE
from dnnkit.layers.base import LAYERS, Layer
from dnnkit.settings import NOT_NEGATIVE

__all__ = ["ELU", "Activation", "LeakyReLU", "ReLU", "Softmax"]


@LAYERS.named("Activation")
@dataclass(frozen=True)
class Activation(Layer):
    """Activation as a separate layer.

    Arguments:
        activation: a name, such as "relu", or a formula.
    """

    activation: str | Formula

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "activation", find(self.activation))

    @property
    def stands_for(self) -> str | Formula:
        """The activation that this layer means where one is expected: `Dense(8, activation=ReLU())`."""
        return self.activation

    def lower(self, index: int, input_shape: Shape, parameters: tuple[Parameter, ...]) -> Stage:  # noqa: D102
        return Activate(key_of(self.activation))


@LAYERS.named("ReLU")
@dataclass(frozen=True)
class ReLU(Activation):
    """max(x, 0)."""

    activation: str | Formula = field(default="relu", init=False)


@LAYERS.named("Softmax")
@dataclass(frozen=True)
class Softmax(Activation):
    """exp(x) / Σ exp(x), along the last axis."""

    activation: str | Formula = field(default="softmax", init=False)


@LAYERS.named("ELU")
@dataclass(frozen=True)
class ELU(Activation):
    """x where x > 0, otherwise alpha (exp(x) - 1).

    Arguments:
        alpha: scale of the negative part, at least 0; default 1. Other values are compiled from a formula, which needs
            SymPy.
    """

    activation: str | Formula = field(default="elu", init=False)
    alpha: float = 1.0

    expects: ClassVar = {"alpha": NOT_NEGATIVE}

    def __post_init__(self) -> None:
        if self.alpha != 1:
            alpha = float(NOT_NEGATIVE.of("alpha", self.alpha))
            formula = Formula("elu", "where(x > 0, x, a * (exp(min(x, 0)) - 1))", (("a", alpha),))
            object.__setattr__(self, "activation", formula)
        super().__post_init__()


@LAYERS.named("LeakyReLU")
@dataclass(frozen=True)
class LeakyReLU(Activation):
    """x where x > 0, otherwise negative_slope · x.

    Arguments:
        negative_slope: at least 0; default 0.3 as in Keras, while the activation named "leaky_relu" has 0.01 as in
            PyTorch. Values other than 0.01 are compiled from a formula, which needs SymPy.
    """

    activation: str | Formula = field(default="leaky_relu", init=False)
    negative_slope: float = 0.3

    expects: ClassVar = {"negative_slope": NOT_NEGATIVE}

    def __post_init__(self) -> None:
        if self.negative_slope != SLOPE:
            slope = float(NOT_NEGATIVE.of("negative_slope", self.negative_slope))
            object.__setattr__(self, "activation", Formula("leaky_relu", "where(x > 0, x, a * x)", (("a", slope),)))
        super().__post_init__()
