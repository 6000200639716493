"""Base of all layers: a frozen description of an operation on a batch. Its parameters belong to the network."""

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
from dnnkit.layers.places import bound, explain_refused_assignments
from dnnkit.registry import Registry
from dnnkit.settings import FLAG, UNLESS_DEFAULT, Expected, Settings, or_none, plain, whole

__all__ = ["Layer"]

Reads: TypeAlias = tuple[int, ...]
"""Numbers of values of a program."""


class Into(Protocol):
    """A program under construction, to which layers add their stages."""

    def next_call(self) -> int:
        """Return the number of the call, which selects its random bits."""

    def parameters(
        self, layer: "Layer", path: str, shapes: tuple[Shape, ...], trainable: bool
    ) -> tuple[Parameter, ...]:
        """Return the layer's parameters, for inputs of these shapes."""

    def add(self, stage: Stage, reads: Reads, path: str, layer: "Layer") -> int:
        """Add a stage that reads these values; return the number of its output value."""


def _several_sizes(value: Any) -> Shape:
    """Parse the shape of a sample, given as one size or several; a leading None stands for the batch and is dropped."""
    sizes = tuple(value) if isinstance(value, list | tuple | np.ndarray) else (value,)
    if len(sizes) > 1 and sizes[0] is None:
        sizes = sizes[1:]
    if not sizes:
        raise ValueError
    return tuple(whole(1).take(plain(size)) for size in sizes)


Lowered: TypeAlias = Stage | tuple[Stage, ...] | None
"""The stages of a layer: one, several in order, or none."""

SAMPLE = Expected("the shape of a sample, such as (784,)", _several_sizes)
NAME = Expected(
    "letters, digits, '_', '-', '.' or spaces, at most 100, the first a letter, digit or '_'",
    lambda name: re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_. -]{0,99}", name)[0],  # type: ignore[index] # None is refused
)


@dataclass(frozen=True, eq=False, repr=False)
class Layer(Settings):
    """Base class of all layers, also of custom ones.

    A custom layer is a frozen dataclass with `forward` and `backward` (see `dnnkit.backends.stages.CustomFunction`)
    and, where they differ from the defaults, `output_shape` and `parameters`. Backends call it with whole batches.

    A layer is a description without weights and may be used in several networks and places. The layers that a network
    returns, `net.layers[0]` or `net.get_layer("hidden")`, are copies that refer to the network and so have `weights`,
    `get_weights`, `set_weights`, `count_params`, and parameters by name: `net.layers[0].kernel`.

    Every layer takes these keyword arguments:

    Arguments:
        name: name of the layer and prefix of its parameters, `hidden/kernel`; default `dense`, `dense_1`, ...
        input_shape: shape of an input sample; in a first layer, it lets the network build itself before it sees data.
        input_dim: instead of `input_shape`, the number of features of a sample.
        trainable: False freezes the parameters: training leaves them unchanged. To change it in a network, use
            `net.freeze`, `net.unfreeze`, or assign `net.layers[0].trainable`.
    """

    name: str | None = field(default=None, kw_only=True, repr=False, compare=False, metadata=UNLESS_DEFAULT)
    input_shape: Shape | None = field(default=None, kw_only=True, repr=False, compare=False, metadata=UNLESS_DEFAULT)
    input_dim: int | None = field(default=None, kw_only=True, repr=False, compare=False, metadata=UNLESS_DEFAULT)

    trainable: bool = field(default=True, kw_only=True, repr=False, metadata=UNLESS_DEFAULT)

    statistics: ClassVar[tuple[str, ...]] = ()
    """Names of parameters that are computed from data rather than trained, such as moving means."""

    expects: ClassVar = {
        "trainable": FLAG,
        "name": or_none(NAME),
        "input_shape": or_none(SAMPLE),
        "input_dim": or_none(whole(1)),
    }

    def __new__(cls, *given: Any, **named: Any) -> Self:  # noqa: D102 - not called by name
        for kind in cls.__mro__:
            if issubclass(kind, Layer):
                explain_refused_assignments(kind)
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
        """Shape of an input sample from `input_shape` or `input_dim`; None if neither is given."""
        if self.input_dim is None:
            return self.input_shape
        if self.input_shape not in (None, (self.input_dim,)):
            raise ConfigurationError(
                f"{self} has input_shape={self.input_shape} and input_dim={self.input_dim}: give one of them"
            )
        return (self.input_dim,)

    # -- in a graph --------------------------------------------------------------------------------------------------

    def __call__(self, given: Any, *others: Any, training: None = None) -> Any:
        """Apply the layer to a symbolic value and return the symbolic output.

        Further calls share the layer's weights.

        Arguments:
            given: a symbolic value, such as `dk.Input` or the output of another layer; a list of them for layers with
                several inputs.
            training: must be omitted: the network knows by itself whether it is training.

        Raises:
            ConfigurationError: the arguments are not symbolic values, or are too many or too few.
            ShapeError: the layer does not accept values of these shapes.
        """
        if others or training is not None:
            raise ConfigurationError(
                f"{self!r} is called with extra arguments: pass several values as a list; whether the network is "
                "training, which dropout depends on, need not be given"
            )
        place = self.__dict__.get("_place")
        if place is None:
            return call(self, given)
        place.network.join()
        return call(place.description, given)

    def arranged(self, given: Any) -> tuple[Any, ...]:
        """Return the inputs of a call as a tuple; here a single value."""
        if isinstance(given, list | tuple):
            if len(given) != 1:
                raise ConfigurationError(
                    f"{self!r} takes one value, but is called on {len(given)}: join them with dk.Concatenate()([...])"
                )
            return tuple(given)
        return (given,)

    def shapes_after(self, shapes: tuple[Shape, ...]) -> tuple[Shape, ...]:
        """Return sample shapes of all outputs of a call from those of its inputs; here of a single one."""
        return (self.output_shape(shapes[0]),)

    def as_given(self, values: tuple[Any, ...]) -> Any:
        """Return the outputs of a call in their public form; here a single value."""
        return values[0]

    def names_of_values(self) -> tuple[str, ...]:
        """Return the names of the outputs of a call; here of a single unnamed one."""
        return ("",)

    def parameters_of(self, shapes: tuple[Shape, ...]) -> dict[str, tuple[Shape, str | Initializer]]:
        """Return `parameters` for inputs of these shapes."""
        return self.parameters(shapes[0])

    def lower_call(self, into: Into, path: str, shapes: tuple[Shape, ...], reads: Reads, trainable: bool) -> Reads:
        """Add the stages of a call to a program; return the numbers of the output values.

        Arguments:
            into: the program under construction.
            path: the layer's name in the network.
            shapes: sample shapes of the inputs.
            reads: numbers of the input values.
            trainable: False if an enclosing network is frozen.
        """
        index, parameters = into.next_call(), into.parameters(self, path, shapes, trainable)
        lowered = self.lower(index, shapes[0], parameters)
        for stage in lowered if isinstance(lowered, tuple) else () if lowered is None else (lowered,):
            reads = (into.add(stage, reads, path, self),)
        return reads

    def without_unused(self, used: set[int]) -> list[str]:
        """Return the names of inner layers that contribute only to unused outputs."""
        return []

    def count_calls(self) -> int:
        """Return the number of layer calls that a call of this layer makes; here 1."""
        return 1

    def inner_layers(self) -> "tuple[tuple[str, Layer], ...]":
        """Return the layers that this one consists of, with their paths in it; here none."""
        return ()

    # -- within a network --------------------------------------------------------------------------------------------

    def get_weights(self) -> list[NDArray[Any]]:
        """Return copies of the layer's parameters in order, such as kernel and bias.

        Raises:
            NotReady: the layer was not obtained from a network.
        """
        return bound(self).get_weights()

    def set_weights(self, weights: Sequence[Any]) -> None:
        """Set the layer's parameters.

        Arguments:
            weights: arrays in the order of `get_weights`; nothing changes if any of them does not fit.

        Raises:
            ConfigurationError, ShapeError, DataError: the arrays do not fit.
            NotReady: the layer was not obtained from a network.
        """
        bound(self).set_weights(weights)

    def count_params(self) -> int:
        """Return the number of elements of the layer's parameters."""
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

    # -- overridden by custom layers ---------------------------------------------------------------------------------

    def output_shape(self, input_shape: Shape) -> Shape:
        """Return the shape of a sample after the layer; here unchanged.

        Arguments:
            input_shape: shape of a sample before it.

        Raises:
            ShapeError: the layer does not accept such samples.
        """
        return input_shape

    def parameters(self, input_shape: Shape) -> dict[str, tuple[Shape, str | Initializer]]:
        """Return {name within the layer: (shape, initializer)} in canonical order; here empty.

        Arguments:
            input_shape: shape of a sample before the layer.
        """
        return {}

    def lower(self, index: int, input_shape: Shape, parameters: tuple[Parameter, ...]) -> Lowered:
        """Return the stage that backends run, or several in order; `index` is the layer's position in the network."""
        return Custom(self, parameters, input_shape, self.output_shape(input_shape))

    def adapted(self, known: Mapping[str, NDArray[Any]], samples: Callable[[], Any]) -> Mapping[str, Any]:
        """Return new values of the layer's statistics before a fit, by name; here none.

        Arguments:
            known: their current values.
            samples: returns the layer's input samples (N, ...).
        """
        return {}

    def forward(self, xp: Namespace, x: Array, *parameters: Array) -> tuple[Array, Any]:
        """Compute the output of a batch; overridden by custom layers.

        Arguments:
            xp: the backend's array namespace.
            x: (B, *input_shape).
            parameters: arrays in the order of `parameters()`.

        Returns:
            y (B, *output_shape), and any object that `backward` needs.
        """
        raise NotImplementedError(f"{type(self).__name__} has no forward")

    def backward(self, xp: Namespace, dy: Array, saved: Any, *parameters: Array) -> tuple[Array, ...]:
        """Compute the gradients of a batch; overridden by custom layers.

        Arguments:
            xp: the backend's array namespace.
            dy: gradient of the loss with respect to y.
            saved: the second result of `forward`.
            parameters: arrays in the order of `parameters()`.

        Returns:
            (dx, gradient of the first parameter, ...).
        """
        raise NotImplementedError(f"{type(self).__name__} has no backward")

    @classmethod
    def base_name(cls) -> str:
        """Return the name of the first layer of this class, such as `dense`; the next are `dense_1`, `dense_2`, ..."""
        return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", cls.__name__).lower()


def with_trainable(layer: Layer, trainable: bool) -> Layer:
    """Return the same layer, trainable or frozen."""
    twin = copy(layer)
    object.__setattr__(twin, "trainable", trainable)
    if "_shared" in layer.__dict__:  # keep the identity of a layer shared between networks
        object.__setattr__(twin, "_shared", layer.__dict__["_shared"])
    return twin


def _is_layer(thing: object) -> bool:
    return isinstance(thing, type) and issubclass(thing, Layer)


LAYERS: Registry[type[Layer]] = Registry("layer", "a subclass of Layer", _is_layer)
"""Layer classes by name, as saves refer to them."""
