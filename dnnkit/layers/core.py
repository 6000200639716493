"""The layers that most networks are made of: dense ones, what shapes and scales samples, dropout."""

from dataclasses import dataclass
from math import prod
from typing import ClassVar

from dnnkit.activations import find, key_of
from dnnkit.backends.program import Dense as DenseStage
from dnnkit.backends.program import Dropout as DropoutStage
from dnnkit.backends.program import Parameter, Stage
from dnnkit.backends.program import Rescale as RescaleStage
from dnnkit.errors import ShapeError
from dnnkit.formula import Formula
from dnnkit.graph.symbols import Symbol
from dnnkit.initializers import Initializer, Shape, get_initializer
from dnnkit.layers.base import LAYERS, NAME, SAMPLE, Layer
from dnnkit.settings import FINITE, FLAG, SHARE, Settings, or_none, whole

__all__ = ["Dense", "Dropout", "Flatten", "Input", "Rescaling"]


@dataclass(frozen=True, eq=False)
class Input(Settings, Symbol):
    """What a network is given: a symbolic value, on which layers are called, for `dk.Model(inputs, outputs)`.

    As the first of the layers of a `Sequential` it says the shape of a sample, so that the network knows its parameters
    before it sees data. It is no layer, and not among `net.layers`.

    Arguments:
        shape: of a sample, without the batch, such as (784,). Read, it has None for the batch before it, as in Keras.
        name: by which data are given to a model of several inputs, in a dictionary; None for "input", "input_1", ...
    """

    shape: tuple[int | None, ...]
    name: str | None = None

    expects: ClassVar = {"shape": SAMPLE, "name": or_none(NAME)}

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "shape", (None, *self.shape))


@LAYERS.named("Rescaling")
@dataclass(frozen=True)
class Rescaling(Layer):
    """x · scale + offset, in the network's dtype. As the first layer it costs nothing beyond reading the data."""

    scale: float
    offset: float = 0.0

    expects: ClassVar = {"scale": FINITE, "offset": FINITE}

    def lower(self, index: int, input_shape: Shape, parameters: tuple[Parameter, ...]) -> Stage:  # noqa: D102
        return RescaleStage(float(self.scale), float(self.offset))


@LAYERS.named("Flatten")
@dataclass(frozen=True)
class Flatten(Layer):
    """One axis from all axes of a sample, in row-major order."""

    def output_shape(self, input_shape: Shape) -> Shape:  # noqa: D102
        return (prod(input_shape),)

    def lower(self, index: int, input_shape: Shape, parameters: tuple[Parameter, ...]) -> None:  # noqa: D102
        return None  # samples are flat rows already when stages see them


@LAYERS.named("Dense")
@dataclass(frozen=True)
class Dense(Layer):
    """activation(x · kernel + bias): x (B, I), kernel (I, units), bias (units,).

    The name of an activation that is defined by a formula is replaced by that formula: it is part of the layer.
    """

    units: int
    activation: str | Formula | None = None
    use_bias: bool = True
    kernel_initializer: str | Initializer = "glorot_uniform"
    bias_initializer: str | Initializer = "zeros"

    expects: ClassVar = {"units": whole(1), "use_bias": FLAG}

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.activation is not None:
            object.__setattr__(self, "activation", find(self.activation))
        get_initializer(self.kernel_initializer)
        get_initializer(self.bias_initializer)

    def output_shape(self, input_shape: Shape) -> Shape:  # noqa: D102
        if len(input_shape) != 1:
            raise ShapeError(
                f"Dense({self.units}) takes samples with one axis, but these have shape {input_shape}: "
                "put Flatten() before it"
            )
        return (self.units,)

    def parameters(self, input_shape: Shape) -> dict[str, tuple[Shape, str | Initializer]]:  # noqa: D102
        kernel = {"kernel": ((input_shape[0], self.units), self.kernel_initializer)}
        return kernel | ({"bias": ((self.units,), self.bias_initializer)} if self.use_bias else {})

    def lower(self, index: int, input_shape: Shape, parameters: tuple[Parameter, ...]) -> Stage:  # noqa: D102
        kernel, bias = (*parameters, None)[:2]
        assert kernel is not None
        return DenseStage(kernel, bias, key_of(self.activation or "linear"))


@LAYERS.named("Dropout")
@dataclass(frozen=True)
class Dropout(Layer):
    """While training, zero a random share `rate` of the elements and scale up the others; else nothing."""

    rate: float

    expects: ClassVar = {"rate": SHARE}

    def lower(self, index: int, input_shape: Shape, parameters: tuple[Parameter, ...]) -> Stage:  # noqa: D102
        return DropoutStage(float(self.rate), index)
