"""Symbolic values of a network, which represent how they are computed.

Calling a stage's reference on them with the namespace of `namespace.py` records its computation. Everything with a
reference, including parts registered at run time, can therefore be written in every language.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import count
from math import prod
from types import EllipsisType
from typing import Any, ClassVar, TypeAlias

import numpy as np

from dnnkit.deferred import dataclass

_NUMBERS = count()


class NotRowByRow(TypeError):
    """An operation depends on the size of the batch or on concrete numbers."""


@dataclass(frozen=True)
class Rows:
    """A dimension that is a multiple of the number of rows of the batch."""

    times: int = 1

    def __mul__(self, other: Any) -> "Rows":
        if not isinstance(other, int):
            return NotImplemented
        return Rows(self.times * other)

    __rmul__ = __mul__

    def __index__(self) -> int:
        raise NotRowByRow("the number of rows of a batch, which is unknown while a network is written")

    def __str__(self) -> str:
        return "N" if self.times == 1 else f"{self.times} N"


Dimension: TypeAlias = int | Rows


def size_of(shape: Sequence[Dimension]) -> int:
    """Return the number of elements per row of the batch."""
    return prod(each.times if isinstance(each, Rows) else each for each in shape)


class Value:
    """A symbolic value: the operator that computes it, its inputs and settings, its shape and dtype.

    Attributes:
        operator: "input", "constant", an elementwise function of `namespace.FUNCTIONS`, or "reshape", "permute",
            "slice", "broadcast", "concat", "take", "reduce", "matmul", "dense", "activation", "classes".
        reads: the values that it is computed from.
        settings: further settings of the operator, by name.
        number: serial number; later values have greater ones.
    """

    xp: ClassVar[Any]
    """The namespace of its functions, which sets this attribute."""

    __array_ufunc__ = None  # NumPy defers operators to this class

    def __init__(
        self,
        operator: str,
        reads: Sequence["Value"],
        shape: Sequence[Dimension],
        dtype: Any,
        settings: Mapping[str, Any] | None = None,
    ) -> None:
        self.operator, self.reads, self.shape = operator, tuple(reads), tuple(shape)
        self.dtype: np.dtype[Any] = np.dtype(dtype)
        self.settings: Mapping[str, Any] = settings or {}
        self.number = next(_NUMBERS)

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def has_rows(self) -> bool:
        """Whether its first axis is that of the batch's rows."""
        return bool(self.shape) and isinstance(self.shape[0], Rows)

    @property
    def T(self) -> "Value":  # noqa: N802 # as in arrays
        """The value with its axes reversed."""
        return self._call("permute_dims", tuple(range(self.ndim))[::-1])

    def _call(self, name: str, *arguments: Any, **more: Any) -> "Value":
        made: Value = getattr(self.xp, name)(self, *arguments, **more)
        return made

    def __getattr__(self, name: str) -> Any:
        if name not in METHODS:
            raise AttributeError(f"a value of a network that is being written has no {name!r}: use a function of xp")
        return lambda *arguments, **more: self._call(name, *arguments, **more)

    # -- operators ---------------------------------------------------------------------------------------------------

    def _with(self, function: str, other: Any, *, swapped: bool = False) -> Any:
        if not isinstance(other, Value | np.ndarray | np.generic | int | float):
            return NotImplemented
        return getattr(self.xp, function)(*((other, self) if swapped else (self, other)))

    def __add__(self, other: Any) -> Any:
        return self._with("add", other)

    def __radd__(self, other: Any) -> Any:
        return self._with("add", other, swapped=True)

    def __sub__(self, other: Any) -> Any:
        return self._with("subtract", other)

    def __rsub__(self, other: Any) -> Any:
        return self._with("subtract", other, swapped=True)

    def __mul__(self, other: Any) -> Any:
        return self._with("multiply", other)

    def __rmul__(self, other: Any) -> Any:
        return self._with("multiply", other, swapped=True)

    def __truediv__(self, other: Any) -> Any:
        return self._with("divide", other)

    def __rtruediv__(self, other: Any) -> Any:
        return self._with("divide", other, swapped=True)

    def __pow__(self, other: Any) -> Any:
        return self._with("pow", other)

    def __rpow__(self, other: Any) -> Any:
        return self._with("pow", other, swapped=True)

    def __matmul__(self, other: Any) -> Any:
        return self._with("matmul", other)

    def __rmatmul__(self, other: Any) -> Any:
        return self._with("matmul", other, swapped=True)

    def __and__(self, other: Any) -> Any:
        return self._with("logical_and", other)

    def __rand__(self, other: Any) -> Any:
        return self._with("logical_and", other, swapped=True)

    def __or__(self, other: Any) -> Any:
        return self._with("logical_or", other)

    def __ror__(self, other: Any) -> Any:
        return self._with("logical_or", other, swapped=True)

    def __lt__(self, other: Any) -> Any:
        return self._with("less", other)

    def __le__(self, other: Any) -> Any:
        return self._with("less_equal", other)

    def __gt__(self, other: Any) -> Any:
        return self._with("greater", other)

    def __ge__(self, other: Any) -> Any:
        return self._with("greater_equal", other)

    def __eq__(self, other: Any) -> Any:
        return self._with("equal", other)  # elementwise, as in arrays

    def __ne__(self, other: Any) -> Any:
        return self._with("not_equal", other)

    __hash__ = object.__hash__

    def __neg__(self) -> "Value":
        return self._call("negative")

    def __abs__(self) -> "Value":
        return self._call("abs")

    def __invert__(self) -> "Value":
        return self._call("logical_not")

    # -- array protocol without numbers ------------------------------------------------------------------------------

    def __getitem__(self, place: Any) -> Any:
        return self.xp.picked(self, place)

    def __len__(self) -> int:
        return self.shape[0].__index__()

    def __iter__(self) -> Iterator["Value"]:
        raise NotRowByRow("a loop over a value, which is symbolic while a network is written")

    def __bool__(self) -> bool:
        raise NotRowByRow("a condition on numbers that are unknown while a network is written: use xp.where")

    def __float__(self) -> float:
        raise NotRowByRow("numbers that are unknown while a network is written")

    def __array__(self, *_: Any, **__: Any) -> Any:
        raise NotRowByRow("a function of a library other than xp")


METHODS = {"sum", "mean", "max", "min", "prod", "var", "std", "reshape", "astype", "clip", "squeeze", "take"}
"""Functions that NumPy arrays also have as methods."""


def constant(given: Any, dtype: Any = None) -> Value:
    """Return a value with known numbers."""
    array = np.asarray(given, dtype)
    return Value("constant", (), array.shape, array.dtype, {"array": array})


def broadcast_shape(shapes: Sequence[tuple[Dimension, ...]]) -> tuple[Dimension, ...]:
    """Return the shape of an elementwise operation on values of these shapes."""
    found: list[Dimension] = []
    for place in range(1, max(map(len, shapes), default=0) + 1):
        sizes = {shape[-place] for shape in shapes if len(shape) >= place} - {1}
        if len(sizes) > 1:
            shown = " and ".join(f"({', '.join(map(str, shape))})" for shape in shapes)
            raise NotRowByRow(f"shapes {shown}, which cannot be broadcast")
        found.append(sizes.pop() if sizes else 1)
    return tuple(found[::-1])


def ordered(results: Sequence[Value], reads: Any) -> list[Value]:
    """Return the results and all they depend on in topological order; `reads(value)` returns dependencies."""
    found, left = dict[int, Value](), list(results)
    while left:
        value = left.pop()
        if id(value) not in found:
            found[id(value)] = value
            left += reads(value)
    return sorted(found.values(), key=lambda value: value.number)


Place: TypeAlias = int | slice | EllipsisType | None
