"""The basic layers: dense, reshaping, rescaling and dropout."""

from dataclasses import field
from math import prod, sqrt
from typing import Any, ClassVar

from dnnkit.activations import find, key_of
from dnnkit.backends.stages import Dense as DenseStage
from dnnkit.backends.stages import Dropout as DropoutStage
from dnnkit.backends.stages import Parameter, Stage
from dnnkit.backends.stages import Rescale as RescaleStage
from dnnkit.constraints import Constraint, get_constraint
from dnnkit.deferred import dataclass
from dnnkit.errors import ShapeError
from dnnkit.formula import Formula
from dnnkit.graph.symbols import Symbol
from dnnkit.initializers import Initializer, RandomNormal, Shape, get_initializer
from dnnkit.layers.base import LAYERS, NAME, SAMPLE, Layer, Lowered
from dnnkit.regularizers import Regularizer, get_regularizer
from dnnkit.schedules import Schedule, checked, scheduled
from dnnkit.settings import FINITE, FLAG, SHARE, UNLESS_DEFAULT, Expected, Settings, or_none, plain, whole

__all__ = ["Dense", "Dropout", "Flatten", "Input", "Rescaling", "Reshape"]


@dataclass(frozen=True, eq=False)
class Input(Settings, Symbol):
    """Input of a network: a symbolic value to call layers on, for `dk.Model(inputs, outputs)`.

    As the first element of a `Sequential`, it declares the shape of a sample, so that the network can build itself
    before it sees data. It is not a layer and not in `net.layers`.

    Arguments:
        shape: shape of a sample without the batch axis, such as (784,). The attribute has a leading None for the batch,
            as in Keras.
        name: key of this input when data is given as a dictionary; default "input", "input_1", ...
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
    """x · scale + offset, in the network's dtype. As the first layer, it is fused with reading the data.

    Arguments:
        scale: factor, such as 1 / 255 for images.
        offset: number added after scaling; default 0.
    """

    scale: float
    offset: float = 0.0

    expects: ClassVar = {"scale": FINITE, "offset": FINITE}

    def lower(self, index: int, input_shape: Shape, parameters: tuple[Parameter, ...]) -> Stage:  # noqa: D102
        return RescaleStage(float(self.scale), float(self.offset))


@LAYERS.named("Flatten")
@dataclass(frozen=True)
class Flatten(Layer):
    """Flatten all axes of a sample into one, in row-major order."""

    def output_shape(self, input_shape: Shape) -> Shape:  # noqa: D102
        return (prod(input_shape),)

    def lower(self, index: int, input_shape: Shape, parameters: tuple[Parameter, ...]) -> None:  # noqa: D102
        return None  # stages see samples as flat rows already


def _target_shape(value: Any) -> Shape:
    sizes = tuple(value) if isinstance(value, list | tuple) else (value,)
    sizes = tuple(-1 if plain(size) == -1 else whole(1).take(plain(size)) for size in sizes)
    if not sizes or sizes.count(-1) > 1:
        raise ValueError
    return sizes


@LAYERS.named("Reshape")
@dataclass(frozen=True)
class Reshape(Layer):
    """Change the shape of a sample, keeping its elements in row-major order.

    Arguments:
        target_shape: new shape of a sample; one size may be -1, to be inferred.
    """

    target_shape: Shape

    expects: ClassVar = {"target_shape": Expected("sizes such as (7, 7), at most one of them -1", _target_shape)}

    def output_shape(self, input_shape: Shape) -> Shape:  # noqa: D102
        count, known = prod(input_shape), prod(size for size in self.target_shape if size != -1)
        if count % known if -1 in self.target_shape else count != known:
            raise ShapeError(f"{self} got samples of shape {input_shape}, which have {count} elements")
        return tuple(count // known if size == -1 else size for size in self.target_shape)

    def lower(self, index: int, input_shape: Shape, parameters: tuple[Parameter, ...]) -> None:  # noqa: D102
        return None  # as for Flatten


def _parametrization(value: Any) -> str | None:
    if value not in (None, "ntk"):
        raise ValueError
    return value  # type: ignore[no-any-return]


@LAYERS.named("Dense")
@dataclass(frozen=True)
class Dense(Layer):
    """Fully connected layer: activation(x · kernel + bias), with x (B, I), kernel (I, units), bias (units,).

    The name of an activation that was defined by a formula is replaced by the formula, which becomes part of the layer.

    Arguments:
        units: number of output features.
        activation: a name, a formula or an activation layer; default none.
        use_bias: whether to add a bias; default True.
        kernel_initializer, bias_initializer: default "glorot_uniform" and "zeros"; see `dk.initializers`.
        kernel_regularizer, bias_regularizer: penalty added to the loss; see `dk.regularizers`.
        kernel_constraint, bias_constraint: applied after each update; see `dk.constraints`.
        parametrization: "ntk" computes activation(x · kernel / √I + bias), with kernels initialised from N(0, 1) by
            default, which makes suitable learning rates independent of the width (Jacot et al., NeurIPS 2018).
        name, input_shape, input_dim, trainable: as for every `Layer`.

    Raises:
        ConfigurationError, UnknownName: an argument is not accepted.
        ShapeError: samples have more than one axis.
    """

    units: int
    activation: str | Formula | None = None
    use_bias: bool = True
    kernel_initializer: str | Initializer = "glorot_uniform"
    bias_initializer: str | Initializer = "zeros"
    kernel_regularizer: str | Regularizer | None = field(default=None, kw_only=True, metadata=UNLESS_DEFAULT)
    bias_regularizer: str | Regularizer | None = field(default=None, kw_only=True, metadata=UNLESS_DEFAULT)
    kernel_constraint: str | Constraint | None = field(default=None, kw_only=True, metadata=UNLESS_DEFAULT)
    bias_constraint: str | Constraint | None = field(default=None, kw_only=True, metadata=UNLESS_DEFAULT)
    parametrization: str | None = field(default=None, kw_only=True, metadata=UNLESS_DEFAULT)

    expects: ClassVar = {
        "units": whole(1),
        "use_bias": FLAG,
        "parametrization": Expected('None, or "ntk"', _parametrization),
    }

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.activation is not None:
            object.__setattr__(self, "activation", find(self.activation))
        get_initializer(self.kernel_initializer)
        get_initializer(self.bias_initializer)
        get_regularizer(self.kernel_regularizer)
        get_regularizer(self.bias_regularizer)
        get_constraint(self.kernel_constraint)
        get_constraint(self.bias_constraint)

    def output_shape(self, input_shape: Shape) -> Shape:  # noqa: D102
        if len(input_shape) != 1:
            raise ShapeError(
                f"Dense({self.units}) takes samples with one axis, but these have shape {input_shape}: "
                "put Flatten() before this layer"
            )
        return (self.units,)

    def parameters(self, input_shape: Shape) -> dict[str, tuple[Shape, str | Initializer]]:  # noqa: D102
        made: str | Initializer = self.kernel_initializer
        if self.parametrization == "ntk" and made == "glorot_uniform":
            made = RandomNormal(1.0)
        kernel = {"kernel": ((input_shape[0], self.units), made)}
        return kernel | ({"bias": ((self.units,), self.bias_initializer)} if self.use_bias else {})

    def lower(self, index: int, input_shape: Shape, parameters: tuple[Parameter, ...]) -> Lowered:  # noqa: D102
        kernel, bias = (*parameters, None)[:2]
        assert kernel is not None
        stage = DenseStage(kernel, bias, key_of(self.activation or "linear"))
        if self.parametrization is None:
            return stage
        return RescaleStage(1 / sqrt(input_shape[0]), 0.0), stage  # scale the input, which is smaller than the kernel


@LAYERS.named("Dropout")
@dataclass(frozen=True)
class Dropout(Layer):
    """Dropout: in training, zero a random fraction of the elements and scale the others by 1 / (1 - rate).

    Predictions are not affected. Masks depend only on the network's seed and the step.

    Arguments:
        rate: fraction to zero, in [0, 1); or a schedule, `dk.Dropout(dk.schedules.CosineDecay(0.3, 10_000))`, evaluated
            at the number of batches that the network has been trained on.

    Source: Srivastava et al., JMLR 15 (2014).
    """

    rate: float | Schedule

    expects: ClassVar = {"rate": scheduled(SHARE, "dk.schedules.CosineDecay(0.3, 10_000)")}

    def lower(self, index: int, input_shape: Shape, parameters: tuple[Parameter, ...]) -> Stage:  # noqa: D102
        return DropoutStage(Share(self.rate) if isinstance(self.rate, Schedule) else float(self.rate), index)


@dataclass(frozen=True)
class Share:
    """The rate that a schedule gives for a step, checked to be in range."""

    schedule: Schedule

    def __call__(self, step: int) -> float:
        """Return the rate of a batch, given the number of batches before it."""
        return checked(self.schedule, SHARE, step)
