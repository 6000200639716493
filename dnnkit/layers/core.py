"""The layers that most networks are made of: dense ones, what shapes and scales samples, dropout."""

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


def _target_shape(value: Any) -> Shape:
    sizes = tuple(value) if isinstance(value, list | tuple) else (value,)
    sizes = tuple(-1 if plain(size) == -1 else whole(1).take(plain(size)) for size in sizes)
    if not sizes or sizes.count(-1) > 1:
        raise ValueError
    return sizes


@LAYERS.named("Reshape")
@dataclass(frozen=True)
class Reshape(Layer):
    """The numbers of a sample in another shape, in row-major order.

    Arguments:
        target_shape: of a sample after it; one size may be -1, for what is left.
    """

    target_shape: Shape

    expects: ClassVar = {"target_shape": Expected("sizes such as (7, 7), of which one may be -1", _target_shape)}

    def output_shape(self, input_shape: Shape) -> Shape:  # noqa: D102
        count, known = prod(input_shape), prod(size for size in self.target_shape if size != -1)
        if count % known if -1 in self.target_shape else count != known:
            raise ShapeError(f"{self} got samples of the shape {input_shape}, which are {count} numbers")
        return tuple(count // known if size == -1 else size for size in self.target_shape)

    def lower(self, index: int, input_shape: Shape, parameters: tuple[Parameter, ...]) -> None:  # noqa: D102
        return None  # as of Flatten


def _parametrization(value: Any) -> str | None:
    if value not in (None, "ntk"):
        raise ValueError
    return value  # type: ignore[no-any-return]


@LAYERS.named("Dense")
@dataclass(frozen=True)
class Dense(Layer):
    """activation(x · kernel + bias): x (B, I), kernel (I, units), bias (units,).

    The name of an activation that is defined by a formula is replaced by that formula: it is part of the layer.

    Arguments:
        units: features that it gives.
        activation: a name, a formula or an activation layer; None for none.
        use_bias: whether there is a bias.
        kernel_initializer, bias_initializer: the first values.
        kernel_regularizer, bias_regularizer: a penalty that is part of the loss; see `dk.regularizers`.
        kernel_constraint, bias_constraint: what holds after each update; see `dk.constraints`.
        parametrization: "ntk" for activation(x · kernel / √I + bias): kernels then begin as N(0, 1), whatever their
            size, if nothing else is said, and learn at a rate that does not depend on it (Jacot et al., NeurIPS 2018).
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
                "put Flatten() before it"
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
        return RescaleStage(1 / sqrt(input_shape[0]), 0.0), stage  # of the inputs, which are fewer than the kernel


@LAYERS.named("Dropout")
@dataclass(frozen=True)
class Dropout(Layer):
    """While training, zero a random share `rate` of the elements and scale up the others; else nothing.

    Arguments:
        rate: at least 0 and below 1; or a schedule of such, `dk.Dropout(dk.schedules.CosineDecay(0.3, 10_000))`, which
            counts the batches that the network has trained on.
    """

    rate: float | Schedule

    expects: ClassVar = {"rate": scheduled(SHARE, "dk.schedules.CosineDecay(0.3, 10_000)")}

    def lower(self, index: int, input_shape: Shape, parameters: tuple[Parameter, ...]) -> Stage:  # noqa: D102
        return DropoutStage(Share(self.rate) if isinstance(self.rate, Schedule) else float(self.rate), index)


@dataclass(frozen=True)
class Share:
    """What a schedule gives for a step, if a dropout can zero that share."""

    schedule: Schedule

    def __call__(self, step: int) -> float:
        """The share of the batch after so many others."""
        return checked(self.schedule, SHARE, step)
