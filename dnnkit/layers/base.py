"""What every layer is: a frozen description of what is done to a batch; its parameters live in the network."""

import re
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import MISSING, field, fields
from typing import Any, ClassVar, Protocol, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray

from dnnkit.backends.stages import Custom, Parameter, Stage
from dnnkit.deferred import dataclass
from dnnkit.errors import ConfigurationError
from dnnkit.graph.symbols import call
from dnnkit.initializers import Initializer, Shape
from dnnkit.instead import no_attribute
from dnnkit.kernels.array import Array, Namespace
from dnnkit.layers.places import bound, let_assignments_say_more
from dnnkit.registry import Registry
from dnnkit.settings import FLAG, UNLESS_DEFAULT, Expected, Settings, or_none, plain, whole

__all__ = ["Layer"]

Reads: TypeAlias = tuple[int, ...]
"""Values of a program, by their numbers."""


class Into(Protocol):
    """A program as far as it is there, to which a layer adds the stages of a call."""

    def next_call(self) -> int:
        """The number of the call, which selects its random bits."""

    def parameters(
        self, layer: "Layer", path: str, shapes: tuple[Shape, ...], trainable: bool
    ) -> tuple[Parameter, ...]:
        """The layer's parameters, called on values of these shapes."""

    def add(self, stage: Stage, reads: Reads, path: str, layer: "Layer") -> int:
        """Add a stage that reads these values; the number of the value that it gives."""


def _several_sizes(value: Any) -> Shape:
    """A shape of a sample, given as one size or several; a leading None stands for the batch and is dropped."""
    sizes = tuple(value) if isinstance(value, list | tuple | np.ndarray) else (value,)
    if len(sizes) > 1 and sizes[0] is None:
        sizes = sizes[1:]
    if not sizes:
        raise ValueError
    return tuple(whole(1).take(plain(size)) for size in sizes)


Lowered: TypeAlias = Stage | tuple[Stage, ...] | None
"""What is run of a layer: a stage, several one after the other, or nothing."""

SAMPLE = Expected("the shape of a sample, such as (784,)", _several_sizes)
NAME = Expected(
    "letters, digits, '_', '-', '.' or spaces, at most 100, the first a letter, digit or '_'",
    lambda name: re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_. -]{0,99}", name)[0],  # type: ignore[index] # None is refused
)


@dataclass(frozen=True, eq=False, repr=False)
class Layer(Settings):
    """Base of all layers, and of your own.

    Your own layer is a frozen dataclass with `forward` and `backward` (see `dnnkit.backends.stages.CustomFunction`),
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

    statistics: ClassVar[tuple[str, ...]] = ()
    """Which of its parameters are not trained but found in the data, such as moving means."""

    expects: ClassVar = {
        "trainable": FLAG,
        "name": or_none(NAME),
        "input_shape": or_none(SAMPLE),
        "input_dim": or_none(whole(1)),
    }

    def __new__(cls, *given: Any, **named: Any) -> Self:  # noqa: D102 - nobody calls it by name
        for kind in cls.__mro__:
            if issubclass(kind, Layer):
                let_assignments_say_more(kind)
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

    # -- in a graph --------------------------------------------------------------------------------------------------

    def __call__(self, given: Any, *others: Any, training: None = None) -> Any:
        """Call the layer on a symbolic value, `dk.Input` or what another layer gave: the value that it gives.

        Called again, it is the same layer with the same weights.

        Arguments:
            given: a symbolic value; a list of them for layers that take several.
            training: leave it out: what differs while a network is trained, it knows itself.

        Raises:
            ConfigurationError: they are no symbolic values, or there are too many or too few.
            ShapeError: the layer takes no values of such shapes.
        """
        if others or training is not None:
            raise ConfigurationError(
                f"{self!r} is called with more than the values that it takes: several are a list, and what differs "
                "while a network is trained, such as dropout, it knows itself"
            )
        place = self.__dict__.get("_place")
        if place is None:
            return call(self, given)
        place.network.join()
        return call(place.description, given)

    def arranged(self, given: Any) -> tuple[Any, ...]:
        """What a call is given, one after the other; here one value."""
        if isinstance(given, list | tuple):
            if len(given) != 1:
                raise ConfigurationError(
                    f"{self!r} takes one value, but is called on {len(given)}: dk.Concatenate()([...]) makes them one"
                )
            return tuple(given)
        return (given,)

    def shapes_after(self, shapes: tuple[Shape, ...]) -> tuple[Shape, ...]:
        """The shapes of samples of all that a call gives, from those of what it is given; here of one."""
        return (self.output_shape(shapes[0]),)

    def as_given(self, values: tuple[Any, ...]) -> Any:
        """What a call gives, in the form in which it gives them; here one value."""
        return values[0]

    def names_of_values(self) -> tuple[str, ...]:
        """What the values that a call gives are called; here one without a name."""
        return ("",)

    def parameters_of(self, shapes: tuple[Shape, ...]) -> dict[str, tuple[Shape, str | Initializer]]:
        """`parameters`, from the shapes of all that a call is given."""
        return self.parameters(shapes[0])

    def lower_call(self, into: Into, path: str, shapes: tuple[Shape, ...], reads: Reads, trainable: bool) -> Reads:
        """Add the stages of a call to a program; the numbers of the values that it gives.

        Arguments:
            into: the program as far as it is there.
            path: the layer's name in the network.
            shapes: of samples of what it is given.
            reads: the numbers of these values.
            trainable: whether it is trained; else the network that it stands in is frozen.
        """
        index, parameters = into.next_call(), into.parameters(self, path, shapes, trainable)
        lowered = self.lower(index, shapes[0], parameters)
        for stage in lowered if isinstance(lowered, tuple) else () if lowered is None else (lowered,):
            reads = (into.add(stage, reads, path, self),)
        return reads

    def without_unused(self, used: set[int]) -> list[str]:
        """The names of inner layers that serve only values that a call gives, but nobody reads."""
        return []

    def count_calls(self) -> int:
        """How many layers a call of it calls; here itself."""
        return 1

    def inner_layers(self) -> "tuple[tuple[str, Layer], ...]":
        """The layers that it is made of, by their paths in it; here it is one itself."""
        return ()

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
        if not {"_place", "_shared"} & self.__dict__.keys():
            return state
        own, *slots = state if isinstance(state, tuple) else (state,)
        name = {"name": self._place.description.name} if "_place" in self.__dict__ else {}
        own = {each: value for each, value in own.items() if each not in ("_place", "_shared")} | name
        return (own, *slots) if slots else own

    # -- what your own layer says ------------------------------------------------------------------------------------

    def output_shape(self, input_shape: Shape) -> Shape:
        """Shape of one sample after the layer; here unchanged."""
        return input_shape

    def parameters(self, input_shape: Shape) -> dict[str, tuple[Shape, str | Initializer]]:
        """Name within the layer -> shape and initializer, in canonical order; here none."""
        return {}

    def lower(self, index: int, input_shape: Shape, parameters: tuple[Parameter, ...]) -> Lowered:
        """The stage that backends run, or several one after the other; `index` is the layer's place in the network."""
        return Custom(self, parameters, input_shape, self.output_shape(input_shape))

    def adapted(self, known: Mapping[str, NDArray[Any]], samples: Callable[[], Any]) -> Mapping[str, Any]:
        """What becomes of its statistics before a fit, by name; here nothing.

        Arguments:
            known: their values now.
            samples: gives the samples that come to it, (N, ...).
        """
        return {}

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


def with_trainable(layer: Layer, trainable: bool) -> Layer:
    """The same layer, trained or frozen."""
    twin = copy(layer)
    object.__setattr__(twin, "trainable", trainable)
    if "_shared" in layer.__dict__:  # it is the same layer wherever it stands
        object.__setattr__(twin, "_shared", layer.__dict__["_shared"])
    return twin


def _is_layer(thing: object) -> bool:
    return isinstance(thing, type) and issubclass(thing, Layer)


LAYERS: Registry[type[Layer]] = Registry("layer", "a subclass of Layer", _is_layer)
"""By the class names that saves hold."""
