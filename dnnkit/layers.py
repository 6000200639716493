"""Layers: what a network is made of. A layer is a frozen description; its parameters live in the network."""

import re
from collections.abc import Sequence
from copy import copy
from dataclasses import MISSING, FrozenInstanceError, dataclass, field, fields
from math import prod
from typing import Any, ClassVar, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from dnnkit.activations import find, key_of
from dnnkit.backends.program import Activate, Custom, Parameter, Stage
from dnnkit.backends.program import Dense as DenseStage
from dnnkit.backends.program import Dropout as DropoutStage
from dnnkit.backends.program import Rescale as RescaleStage
from dnnkit.errors import ConfigurationError, NotReady, ShapeError
from dnnkit.formula import Formula
from dnnkit.initializers import Initializer, Shape, get_initializer
from dnnkit.instead import no_attribute
from dnnkit.kernels.activations.leaky_relu.reference import SLOPE
from dnnkit.kernels.array import Array, Namespace
from dnnkit.registry import Registry
from dnnkit.settings import FINITE, FLAG, NOT_NEGATIVE, SHARE, UNLESS_DEFAULT, Expected, Settings, or_none, plain, whole

__all__ = [
    "ELU",
    "Activation",
    "Dense",
    "Dropout",
    "Flatten",
    "Input",
    "Layer",
    "LeakyReLU",
    "ReLU",
    "Rescaling",
    "Softmax",
]


def _several_sizes(value: Any) -> Shape:
    """A shape of a sample, given as one size or several; a leading None stands for the batch and is dropped."""
    sizes = tuple(value) if isinstance(value, list | tuple | np.ndarray) else (value,)
    if len(sizes) > 1 and sizes[0] is None:
        sizes = sizes[1:]
    if not sizes:
        raise ValueError
    return tuple(whole(1).take(plain(size)) for size in sizes)


SAMPLE = Expected("the shape of a sample, such as (784,)", _several_sizes)
NAME = Expected(
    "letters, digits, '_', '-', '.' or spaces, at most 100, the first a letter, digit or '_'",
    lambda name: re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_. -]{0,99}", name)[0],  # type: ignore[index] # None is refused
)


@dataclass(frozen=True, eq=False, repr=False)
class Layer(Settings):
    """Base of all layers, and of your own.

    Your own layer is a frozen dataclass with `forward` and `backward` (see `dnnkit.backends.program.CustomFunction`),
    and, where they differ from the defaults, `output_shape` and `parameters`. Backends call it with whole batches.

    A layer is a description: it may stand in several networks, at several places. One that a network gives,
    `net.layers[0]` or `net.get_layer("hidden")`, is a copy that knows its network, and so has `weights`, `get_weights`,
    `set_weights`, `count_params`, and its parameters by name: `net.layers[0].kernel`.

    Every layer takes, by name:

    Arguments:
        name: what it and its parameters are called in a network, `hidden/kernel`; None for `dense`, `dense_1`, ...
        input_shape: the shape of a sample that comes to it, so that the network need not see data to know its
            parameters; for the first layer.
        input_dim: the same, where a sample is so many numbers.
        trainable: False freezes its parameters: they stay as they are while the others are trained. Of a network that
            is `net.freeze`, `net.unfreeze`, or an assignment to `net.layers[0].trainable`.
    """

    name: str | None = field(default=None, kw_only=True, repr=False, compare=False, metadata=UNLESS_DEFAULT)
    input_shape: Shape | None = field(default=None, kw_only=True, repr=False, compare=False, metadata=UNLESS_DEFAULT)
    input_dim: int | None = field(default=None, kw_only=True, repr=False, compare=False, metadata=UNLESS_DEFAULT)

    trainable: bool = field(default=True, kw_only=True, repr=False, metadata=UNLESS_DEFAULT)

    expects: ClassVar = {
        "trainable": FLAG,
        "name": or_none(NAME),
        "input_shape": or_none(SAMPLE),
        "input_dim": or_none(whole(1)),
    }

    def __new__(cls, *given: Any, **named: Any) -> Self:  # noqa: D102 - nobody calls it by name
        for kind in cls.__mro__:
            if issubclass(kind, Layer):
                _let_assignments_say_more(kind)
        return super().__new__(cls, *given, **named)

    def __init_subclass__(cls) -> None:
        if "__repr__" not in vars(cls):  # else `dataclass` makes one, with every default
            cls.__repr__ = cls.__repr__  # type: ignore[method-assign]

    def __repr__(self) -> str:
        shown = []
        for each in sorted((each for each in fields(self) if each.init), key=lambda each: bool(each.kw_only)):
            value = getattr(self, each.name, each.default)
            if each.default is MISSING and each.default_factory is MISSING and not each.kw_only:
                shown.append(repr(value))
            elif value is not each.default and repr(value) != repr(each.default):
                shown.append(f"{each.name}={value!r}")
        return f"{type(self).__name__}({', '.join(shown)})"

    def _repr_html_(self) -> str:
        from html import escape  # only notebooks need it

        place = self.__dict__.get("_place")
        weights = place.find("weights") if place is not None and place.network.is_built else []
        rows = "".join(f"<tr><td>{escape(weight.path)}</td><td>{weight.shape}</td></tr>" for weight in weights)
        return f"<div><code>{escape(repr(self))}</code>{f'<table>{rows}</table>' if rows else ''}</div>"

    @property
    def sample_shape(self) -> Shape | None:
        """The shape of a sample that comes to it, by `input_shape` or `input_dim`; None if neither is given."""
        if self.input_dim is None:
            return self.input_shape
        if self.input_shape not in (None, (self.input_dim,)):
            raise ConfigurationError(
                f"{self} says input_shape={self.input_shape} and input_dim={self.input_dim}: give one of them"
            )
        return (self.input_dim,)

    # -- where it stands in a network --------------------------------------------------------------------------------

    def get_weights(self) -> list[NDArray[Any]]:
        """Its parameters in their order, such as kernel and bias, as copies."""
        return bound(self).get_weights()

    def set_weights(self, weights: Sequence[Any]) -> None:
        """Replace its parameters, all or none, by arrays in the order of `get_weights`."""
        bound(self).set_weights(weights)

    def count_params(self) -> int:
        """How many numbers its parameters are."""
        return bound(self).count_params()

    def __getattr__(self, name: str) -> Any:
        place = self.__dict__.get("_place") if not name.startswith("__") else None
        if place is not None and (found := place.find(name)) is not None:
            return found
        raise no_attribute(f"the layer {type(self).__name__}", name, "layer", self.__dir__)

    def __getstate__(self) -> Any:
        state = super().__getstate__()
        if "_place" not in self.__dict__:
            return state
        own, *slots = state if isinstance(state, tuple) else (state,)
        own = {name: value for name, value in own.items() if name != "_place"} | {"name": self._place.description.name}
        return (own, *slots) if slots else own

    # -- what your own layer says ------------------------------------------------------------------------------------

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


class Place(Protocol):
    """Where a layer stands in a network."""

    @property
    def description(self) -> Layer:
        """The layer as it was given."""

    @property
    def network(self) -> Any:
        """Whose layer it is."""

    def find(self, name: str) -> Any:
        """A thing that only a layer of a network has; None if there is none of that name."""

    def get_weights(self) -> list[NDArray[Any]]:
        """As a layer's."""

    def set_weights(self, weights: Sequence[Any]) -> None:
        """As a layer's."""

    def count_params(self) -> int:
        """As a layer's."""

    def set_trainable(self, trainable: Any) -> None:
        """Freeze it, or train it again."""


def at_place(layer: Layer, name: str, place: Place) -> Layer:
    """A copy of the layer that knows where it stands, and under which name."""
    twin = copy(layer)
    object.__setattr__(twin, "name", name)
    object.__setattr__(twin, "_place", place)
    return twin


def description(layer: Layer) -> Layer:
    """The layer itself, of one that a network gave."""
    place = layer.__dict__.get("_place")
    return layer if place is None else place.description


def bound(layer: Layer) -> Place:
    """Where it stands; `NotReady` for a layer of no network."""
    place = layer.__dict__.get("_place")
    if place is None:
        raise NotReady(
            f"{layer} is a description that may stand in several networks, whose weights are: ask a network for it, by "
            "net.layers[0] or net.get_layer(name)"
        )
    return place  # type: ignore[no-any-return]


@dataclass(frozen=True)
class Input(Settings):
    """The shape of a sample, before the first layer: the network then knows its parameters before it sees data.

    It is no layer, and not among `net.layers`.

    Arguments:
        shape: of a sample, without the batch, such as (784,).
        name: for programs that give one; nothing is called by it.
    """

    shape: Shape
    name: str | None = None

    expects: ClassVar = {"shape": SAMPLE, "name": or_none(NAME)}


def _let_assignments_say_more(kind: type[Layer]) -> None:
    """What `dataclass` has made refuses them all alike; it makes that after the class, so this looks at instances."""
    made = vars(kind).get("__setattr__")
    if made is None or hasattr(made, "says_more"):
        return

    def refuse(self: Layer, name: str, value: Any) -> None:
        place = self.__dict__.get("_place")
        if place is not None and name == "trainable":
            place.set_trainable(value)
            object.__setattr__(self, name, bool(value))
            return
        if place is not None:
            raise ConfigurationError(
                f"{name} of a layer that a network gave cannot be assigned, for it is a copy: assign weights by "
                "set_weights, and make another network for other layers"
            )
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

    @property
    def stands_for(self) -> str | Formula:
        """The activation, where a layer is given for one: `Dense(8, activation=ReLU())`."""
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
    """x where x > 0, else alpha (exp(x) - 1). Other alphas than 1 are a formula, which needs SymPy."""

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
    """x where x > 0, else negative_slope x. Other slopes than 0.01 are a formula, which needs SymPy.

    The activation called "leaky_relu" has 0.01, as PyTorch's; this layer has Keras' 0.3.
    """

    activation: str | Formula = field(default="leaky_relu", init=False)
    negative_slope: float = 0.3

    expects: ClassVar = {"negative_slope": NOT_NEGATIVE}

    def __post_init__(self) -> None:
        if self.negative_slope != SLOPE:
            slope = float(NOT_NEGATIVE.of("negative_slope", self.negative_slope))
            object.__setattr__(self, "activation", Formula("leaky_relu", "where(x > 0, x, a * x)", (("a", slope),)))
        super().__post_init__()


@LAYERS.named("Dropout")
@dataclass(frozen=True)
class Dropout(Layer):
    """While training, zero a random share `rate` of the elements and scale up the others; else nothing."""

    rate: float

    expects: ClassVar = {"rate": SHARE}

    def lower(self, index: int, input_shape: Shape, parameters: tuple[Parameter, ...]) -> Stage:  # noqa: D102
        return DropoutStage(float(self.rate), index)
