"""Symbolic values: placeholders that layers are called on while a network is written.

    x = dk.Input((8,))
    h = dk.Dense(4, activation="relu")(x)

A value knows its shape and its origin: the layer call that outputs it. `dk.Model` builds the graph from that.
"""

from collections.abc import Callable, Iterator, Mapping
from itertools import count
from typing import Any, ClassVar, Literal, NoReturn, Protocol, TypeAlias

import numpy as np

from dnnkit.deferred import dataclass
from dnnkit.errors import ConfigurationError, DataError
from dnnkit.settings import shown

Form: TypeAlias = Literal["one", "several", "named"]
"""How values are passed: a single one, several in a list, or in a dictionary by name."""

_NUMBERS = count()


class Called(Protocol):
    """Something that can be called on symbolic values: a layer."""

    @property
    def name(self) -> str | None:
        """Name given by the user."""

    @classmethod
    def base_name(cls) -> str:
        """Base of its name in a network, if the user gave none."""

    def arranged(self, given: Any) -> tuple[Any, ...]:
        """Return the inputs of a call as a tuple."""

    def shapes_after(self, shapes: tuple[tuple[int, ...], ...]) -> tuple[tuple[int, ...], ...]:
        """Return the sample shapes of all outputs of a call."""

    def as_given(self, values: tuple[Any, ...]) -> Any:
        """Return the outputs of a call in their public form."""

    def names_of_values(self) -> tuple[str, ...]:
        """Return the names of the outputs of a call."""


@dataclass(frozen=True, eq=False)
class Node:
    """A layer call. Calls are numbered in order of creation, so a call's inputs have smaller numbers."""

    layer: Any
    """A `Layer`, which this module does not import."""
    reads: "tuple[Symbol, ...]"
    gives: int
    number: int


class Symbol:
    """A value of a network under construction: the output of a layer called on other values, or an `Input`.

    Attributes:
        shape: None for the batch, followed by the shape of a sample.
        node: the call that outputs it; None for an `Input`.
        part: index among the outputs of the call.
    """

    shape: tuple[int | None, ...]
    node: Node | None = None
    part: int = 0
    MERGED_BY: ClassVar[dict[str, Callable[[], Called]]] = {}
    """Layers that implement + - *; they register themselves."""
    __array_ufunc__ = None
    __array_priority__ = 1000.0

    @property
    def sample_shape(self) -> tuple[int, ...]:
        """Shape of a sample."""
        return tuple(size for size in self.shape if size is not None)

    @property
    def ndim(self) -> int:
        """Number of axes, including the batch axis."""
        return len(self.shape)

    def __add__(self, other: Any) -> Any:
        return self._merged("+", other)

    def __sub__(self, other: Any) -> Any:
        return self._merged("-", other)

    def __mul__(self, other: Any) -> Any:
        return self._merged("*", other)

    def _merged(self, sign: str, other: Any) -> Any:
        if not isinstance(other, Symbol):
            raise ConfigurationError(
                f"a symbolic value {sign} {shown(other)}: expected another symbolic value, because only layers compute "
                "with them; to scale or shift by numbers use dk.Rescaling(scale, offset)"
            )
        return call(self.MERGED_BY[sign](), [self, other])

    def _with_number(self, other: Any) -> Any:
        return self._merged("and", other if not isinstance(other, Symbol) else "another so")

    __radd__ = __rsub__ = __rmul__ = __truediv__ = __rtruediv__ = __pow__ = __matmul__ = _with_number

    def _refuse(self, what: str) -> NoReturn:
        raise DataError(
            f"a symbolic value has no numbers, so {what}: make a network with dk.Model(inputs, outputs), and call its "
            "predict"
        )

    def __array__(self, *_: Any, **__: Any) -> NoReturn:
        self._refuse("it cannot be converted to an array")

    def __float__(self) -> NoReturn:
        self._refuse("it cannot be converted to a number")

    def __bool__(self) -> NoReturn:
        self._refuse("it has no truth value")

    def __iter__(self) -> Iterator[Any]:
        self._refuse("it cannot be iterated")

    def __getitem__(self, place: Any) -> NoReturn:
        raise ConfigurationError(
            f"a symbolic value of shape {self.shape} is indexed by [{shown(place)}]: only layers can compute with it"
        )

    def __reduce__(self) -> NoReturn:
        raise ConfigurationError("a symbolic value cannot be copied or pickled: copy or pickle the network")


class Given(Symbol):
    """An output of a layer call."""

    def __init__(self, sample_shape: tuple[int, ...], node: Node, part: int) -> None:
        self.shape, self.node, self.part = (None, *sample_shape), node, part

    def __repr__(self) -> str:
        assert self.node is not None
        return f"<value of {self.node.layer!r}, shape {self.shape}>"


def call(layer: Called, given: Any) -> Any:
    """Call a layer on symbolic values; return its output, or several in the form of the called network."""
    reads = tuple(layer.arranged(given))
    wrong = next((each for each in reads if not isinstance(each, Symbol)), None)
    if wrong is not None or not reads:
        raise ConfigurationError(
            f"{layer!r} is called on {shown(given)}: expected a symbolic value, such as dk.Input((8,)), or a list of "
            "them. Arrays go through a network: dk.Sequential([layer]).predict(x)"
        )
    shapes = layer.shapes_after(tuple(each.sample_shape for each in reads))
    node = Node(layer, reads, len(shapes), next(_NUMBERS))
    return layer.as_given(tuple(Given(shape, node, part) for part, shape in enumerate(shapes)))


def form_of(given: Any) -> tuple[Form, tuple[str, ...], tuple[Any, ...]]:
    """Return the form in which values are passed, their dictionary keys if any, and the values in order."""
    if isinstance(given, Mapping):
        return "named", tuple(map(str, given)), tuple(given.values())
    if isinstance(given, list | tuple):
        return "several", (), tuple(given)
    return "one", (), (given,)


def as_form(form: Form, names: tuple[str, ...], things: tuple[Any, ...]) -> Any:
    """Return the values in that form."""
    if form == "named":
        return dict(zip(names, things, strict=True))
    return list(things) if form == "several" else things[0]


def is_symbolic(given: Any) -> bool:
    """Whether the argument is or contains a symbolic value."""
    if isinstance(given, Symbol):
        return True
    if type(given) is np.ndarray or not isinstance(given, list | tuple | Mapping):
        return False
    things = given.values() if isinstance(given, Mapping) else given[:64]
    return any(isinstance(each, Symbol) for each in things)
