"""Layers: what a network is made of. A layer is a frozen description; its parameters live in the network."""

import re
from copy import copy
from dataclasses import FrozenInstanceError, dataclass, field
from math import prod
from typing import Any, ClassVar, Self

from dnnkit.activations import find, key_of
from dnnkit.backends.program import Activate, Custom, Parameter, Stage
from dnnkit.backends.program import Dense as DenseStage
from dnnkit.backends.program import Dropout as DropoutStage
from dnnkit.backends.program import Rescale as RescaleStage
from dnnkit.errors import ConfigurationError, ShapeError
from dnnkit.formula import Formula
from dnnkit.initializers import Initializer, Shape, get_initializer
from dnnkit.kernels.array import Array, Namespace
from dnnkit.registry import Registry
from dnnkit.settings import FINITE, FLAG, SHARE, UNLESS_DEFAULT, Settings, whole


@dataclass(frozen=True, eq=False, repr=False)
class Layer(Settings):
    """Base of all layers, and of your own.

    Your own layer is a frozen dataclass with `forward` and `backward` (see `dnnkit.backends.program.CustomFunction`),
    and, where they differ from the defaults, `output_shape` and `parameters`. Backends call it with whole batches.

    Every layer takes `trainable=False`: its parameters are frozen, and stay as they are while the others are trained.
    `Sequential.freeze` and `unfreeze` change that of a network.
    """

    trainable: bool = field(default=True, kw_only=True, repr=False, metadata=UNLESS_DEFAULT)

    expects: ClassVar = {"trainable": FLAG}

    def __new__(cls, *fields: Any, **named: Any) -> Self:  # noqa: D102 - nobody calls it by name
        for kind in cls.__mro__:
            if issubclass(kind, Layer):
                _let_assignments_say_more(kind)
        return super().__new__(cls)

    def output_shape(self, input_shape: Shape) -> Shape:
        """Shape of one sample after the layer; here unchanged."""
        return input_shape

    def parameters(self, input_shape: Shape) -> dict[str, tuple[Shape, str | Initializer]]:
        """Name within the layer -> shape and initializer, in canonical order; here none."""
        return {}

    def lower(self, index: int, input_shape: Shape, parameters: tuple[Parameter, ...]) -> Stage | None:
        """The stage that backends run, None for nothing; `index` is the layer's place in the network."""
        return Custom(self, parameters, input_shape, self.output_shape(input_shape))

    def forward(self, xp: Namespace, x: Array, *parameters: Array) -> tuple[Array, Any]:
        """From x (B, ...): y (B, ...), and what `backward` wants to see again."""
        raise NotImplementedError(f"{type(self).__name__} has no forward")

    def backward(self, xp: Namespace, dy: Array, saved: Any, *parameters: Array) -> tuple[Array, ...]:
        """From dy: (dx, gradient of the first parameter, ...)."""
        raise NotImplementedError(f"{type(self).__name__} has no backward")

    @classmethod
    def base_name(cls) -> str:
        """`dense` for Dense: the first layer's name; the next are `dense_1`, `dense_2`, ..."""
        return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", cls.__name__).lower()


def _let_assignments_say_more(kind: type[Layer]) -> None:
    """What `dataclass` has made refuses them all alike; it makes that after the class, so this looks at instances."""
    made = vars(kind).get("__setattr__")
    if made is None or hasattr(made, "says_more"):
        return

    def refuse(self: Layer, name: str, value: Any) -> None:
        try:
            made(self, name, value)
        except FrozenInstanceError:
            if name != "trainable":
                raise
            raise ConfigurationError(
                f"trainable of a layer {type(self).__name__} cannot be assigned, for networks share descriptions of "
                f"layers: write {type(self).__name__}(..., trainable={bool(value)}), or of a network that has it "
                f"net.{'unfreeze' if value else 'freeze'}({self.base_name()!r})"
            ) from None

    refuse.says_more = True  # type: ignore[attr-defined]
    kind.__setattr__ = refuse  # type: ignore[assignment,method-assign]


def with_trainable(layer: Layer, trainable: bool) -> Layer:
    """The same layer, trained or frozen."""
    twin = copy(layer)
    object.__setattr__(twin, "trainable", trainable)
    return twin


def _is_layer(thing: object) -> bool:
    return isinstance(thing, type) and issubclass(thing, Layer)


LAYERS: Registry[type[Layer]] = Registry("layer", "a subclass of Layer", _is_layer)
"""By the class names that saves hold."""


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


@LAYERS.named("Activation")
@dataclass(frozen=True)
class Activation(Layer):
    """An activation as a layer of its own."""

    activation: str | Formula

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "activation", find(self.activation))

    def lower(self, index: int, input_shape: Shape, parameters: tuple[Parameter, ...]) -> Stage:  # noqa: D102
        return Activate(key_of(self.activation))


@LAYERS.named("Dropout")
@dataclass(frozen=True)
class Dropout(Layer):
    """While training, zero a random share `rate` of the elements and scale up the others; else nothing."""

    rate: float

    expects: ClassVar = {"rate": SHARE}

    def lower(self, index: int, input_shape: Shape, parameters: tuple[Parameter, ...]) -> Stage:  # noqa: D102
        return DropoutStage(float(self.rate), index)
