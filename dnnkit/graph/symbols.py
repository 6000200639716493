"""Symbolic values: what stands for numbers while a network is written, and layers are called on it.

    x = dk.Input((8,))
    h = dk.Dense(4, activation="relu")(x)

A value knows its shape and how it comes to be: which layer gave it, from which values. `dk.Model` reads that.
"""

from collections.abc import Callable, Iterator, Mapping
from itertools import count
from typing import Any, ClassVar, Literal, NoReturn, Protocol, TypeAlias

import numpy as np

from dnnkit.deferred import dataclass
from dnnkit.errors import ConfigurationError, DataError
from dnnkit.settings import shown

Form: TypeAlias = Literal["one", "several", "named"]
"""How values are handed over: one by itself, several in a list, or in a dictionary by their names."""

_NUMBERS = count()


class Called(Protocol):
    """What can be called on symbolic values: a layer."""

    @property
    def name(self) -> str | None:
        """Its own name."""

    @classmethod
    def base_name(cls) -> str:
        """What it is called in a network, without a name of its own."""

    def arranged(self, given: Any) -> tuple[Any, ...]:
        """What a call is given, one after the other."""

    def shapes_after(self, shapes: tuple[tuple[int, ...], ...]) -> tuple[tuple[int, ...], ...]:
        """The shapes of samples of all that a call gives."""

    def as_given(self, values: tuple[Any, ...]) -> Any:
        """What a call gives, in its form."""

    def names_of_values(self) -> tuple[str, ...]:
        """What the values that a call gives are called."""


@dataclass(frozen=True, eq=False)
class Node:
    """A call of a layer; calls are numbered as they were made, so that what a call reads has smaller numbers."""

    layer: Any
    """A `Layer`, which this file does not know."""
    reads: "tuple[Symbol, ...]"
    gives: int
    number: int


class Symbol:
    """A value of a network that is being written: what a layer gives where it is called on others, or an `Input`.

    Attributes:
        shape: None for the batch, then that of a sample.
        node: the call that gives it; None for an `Input`.
        part: which of the values it is that the call gives.
    """

    shape: tuple[int | None, ...]
    node: Node | None = None
    part: int = 0
    MERGED_BY: ClassVar[dict[str, Callable[[], Called]]] = {}
    """The layers of + - *, which add themselves."""
    __array_ufunc__ = None
    __array_priority__ = 1000.0

    @property
    def sample_shape(self) -> tuple[int, ...]:
        """The shape of a sample."""
        return tuple(size for size in self.shape if size is not None)

    @property
    def ndim(self) -> int:
        """The number of axes, with that of the batch."""
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
                f"a symbolic value {sign} {shown(other)}: expected another symbolic value, for layers alone compute "
                "with them; dk.Rescaling(scale, offset) has numbers"
            )
        return call(self.MERGED_BY[sign](), [self, other])

    def _with_number(self, other: Any) -> Any:
        return self._merged("and", other if not isinstance(other, Symbol) else "another so")

    __radd__ = __rsub__ = __rmul__ = __truediv__ = __rtruediv__ = __pow__ = __matmul__ = _with_number

    def _refuse(self, what: str) -> NoReturn:
        raise DataError(
            f"a symbolic value has no numbers, so {what}: dk.Model(inputs, outputs) makes a network, whose predict "
            "gives them"
        )

    def __array__(self, *_: Any, **__: Any) -> NoReturn:
        self._refuse("it cannot be made an array")

    def __float__(self) -> NoReturn:
        self._refuse("it is no number")

    def __bool__(self) -> NoReturn:
        self._refuse("it is neither true nor false")

    def __iter__(self) -> Iterator[Any]:
        self._refuse("it cannot be taken apart")

    def __getitem__(self, place: Any) -> NoReturn:
        raise ConfigurationError(
            f"a symbolic value of shape {self.shape} is taken apart by [{shown(place)}]: layers alone compute with it"
        )

    def __reduce__(self) -> NoReturn:
        raise ConfigurationError(
            "a symbolic value cannot be copied nor pickled, for it is what is being written: copy the network"
        )


class Given(Symbol):
    """What a call of a layer gives."""

    def __init__(self, sample_shape: tuple[int, ...], node: Node, part: int) -> None:
        self.shape, self.node, self.part = (None, *sample_shape), node, part

    def __repr__(self) -> str:
        assert self.node is not None
        return f"<value of {self.node.layer!r}, shape {self.shape}>"


def call(layer: Called, given: Any) -> Any:
    """What a layer gives of symbolic values: a value, or, of a network that is called, several in its form."""
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
    """How things are handed over, the names that they have in a dictionary, and the things in their order."""
    if isinstance(given, Mapping):
        return "named", tuple(map(str, given)), tuple(given.values())
    if isinstance(given, list | tuple):
        return "several", (), tuple(given)
    return "one", (), (given,)


def as_form(form: Form, names: tuple[str, ...], things: tuple[Any, ...]) -> Any:
    """The things as they were handed over."""
    if form == "named":
        return dict(zip(names, things, strict=True))
    return list(things) if form == "several" else things[0]


def is_symbolic(given: Any) -> bool:
    """Whether there is a symbolic value in what is given to a network or a layer."""
    if isinstance(given, Symbol):
        return True
    if type(given) is np.ndarray or not isinstance(given, list | tuple | Mapping):
        return False
    things = given.values() if isinstance(given, Mapping) else given[:64]
    return any(isinstance(each, Symbol) for each in things)
