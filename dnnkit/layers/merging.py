"""Layers that combine several values, by concatenation or element by element."""

from math import prod
from typing import Any, ClassVar

from dnnkit.backends.stages import Op, Rescale
from dnnkit.deferred import dataclass
from dnnkit.errors import ConfigurationError, ShapeError
from dnnkit.graph.symbols import Symbol
from dnnkit.initializers import Initializer, Shape
from dnnkit.layers.base import LAYERS, Into, Layer, Reads
from dnnkit.settings import whole

__all__ = ["Add", "Average", "Concatenate", "Multiply", "Subtract"]

FUNCTIONS = ("add", "average", "concatenate", "multiply", "subtract")
"""Functions that are also in `dk.layers`."""


@dataclass(frozen=True)
class Merge(Layer):
    """Base of layers that are called on a list of values and return one, computed by a stage of their `kind`."""

    kind: ClassVar[str]
    least: ClassVar[int] = 2
    most: ClassVar[int | None] = None

    def arranged(self, given: Any) -> tuple[Any, ...]:
        count = len(given) if isinstance(given, list | tuple) else 1
        if not isinstance(given, list | tuple) or count < self.least or (self.most is not None and count > self.most):
            expected = f"{self.least}" if self.most == self.least else f"{self.least} or more"
            raise ConfigurationError(
                f"{self!r} takes a list of {expected} values, but is called on {count}: write "
                f"{type(self).__name__}()([a, b])"
            )
        return tuple(given)

    def shapes_after(self, shapes: tuple[Shape, ...]) -> tuple[Shape, ...]:
        if len(shapes) < self.least:
            self.output_shape(shapes[0])
        if len(set(shapes)) > 1:
            raise ShapeError(
                f"{self!r} is called on values whose samples have the shapes {_listed(shapes)}: expected equal shapes. "
                "Dense(units) brings them to one shape, Concatenate() concatenates them"
            )
        return (shapes[0],)

    def parameters_of(self, shapes: tuple[Shape, ...]) -> dict[str, tuple[Shape, str | Initializer]]:
        return {}

    def output_shape(self, input_shape: Shape) -> Shape:
        raise ConfigurationError(
            f"{self!r} takes several values, but in a Sequential there is one: write the network with dk.Input and "
            "dk.Model(inputs, outputs)"
        )

    def lower_call(self, into: Into, path: str, shapes: tuple[Shape, ...], reads: Reads, trainable: bool) -> Reads:
        into.next_call()
        return (into.add(Op(self.kind, prod(self.shapes_after(shapes)[0])), reads, path, self),)


@LAYERS.named("Add")
class Add(Merge):
    """Elementwise sum of two or more values of the same shape."""

    kind: ClassVar = "add"


@LAYERS.named("Subtract")
class Subtract(Merge):
    """Elementwise difference of two values of the same shape: the first minus the second."""

    kind: ClassVar = "add"
    most: ClassVar = 2

    def lower_call(  # noqa: D102
        self, into: Into, path: str, shapes: tuple[Shape, ...], reads: Reads, trainable: bool
    ) -> Reads:
        first, second = reads
        return super().lower_call(
            into, path, shapes, (first, into.add(Rescale(-1.0, 0.0), (second,), path, self)), trainable
        )


@LAYERS.named("Multiply")
class Multiply(Merge):
    """Elementwise product of two or more values of the same shape."""

    kind: ClassVar = "multiply"


@LAYERS.named("Average")
class Average(Merge):
    """Elementwise mean of two or more values of the same shape."""

    kind: ClassVar = "add"

    def lower_call(  # noqa: D102
        self, into: Into, path: str, shapes: tuple[Shape, ...], reads: Reads, trainable: bool
    ) -> Reads:
        total = super().lower_call(into, path, shapes, reads, trainable)
        return (into.add(Rescale(1 / len(reads), 0.0), total, path, self),)


@LAYERS.named("Concatenate")
@dataclass(frozen=True)
class Concatenate(Merge):
    """Concatenation along the last axis.

    Arguments:
        axis: -1, the last axis of a sample.

    Raises:
        ShapeError: samples have more than one axis.
    """

    kind: ClassVar = "concatenate"
    least: ClassVar = 1

    axis: int = -1

    expects: ClassVar = {"axis": whole(-1)}

    def shapes_after(self, shapes: tuple[Shape, ...]) -> tuple[Shape, ...]:  # noqa: D102
        first = shapes[0]
        if any(len(shape) != 1 for shape in shapes):
            raise ShapeError(
                f"{self!r} is called on values whose samples have the shapes {_listed(shapes)}: expected one axis "
                "each; put Flatten() before it"
            )
        if self.axis not in (-1, len(first)):
            raise ConfigurationError(f"Concatenate(axis={self.axis}): expected -1, the last axis (0 is the batch axis)")
        return ((sum(shape[0] for shape in shapes),),)


Symbol.MERGED_BY.update({"+": Add, "-": Subtract, "*": Multiply})


def _listed(shapes: tuple[Shape, ...]) -> str:
    return " and ".join(map(str, shapes))


def concatenate(inputs: Any, axis: int = -1, **named: Any) -> Any:
    """Return `Concatenate(axis)(inputs)`."""
    return Concatenate(axis, **named)(inputs)


def add(inputs: Any, **named: Any) -> Any:
    """Return `Add()(inputs)`."""
    return Add(**named)(inputs)


def subtract(inputs: Any, **named: Any) -> Any:
    """Return `Subtract()(inputs)`."""
    return Subtract(**named)(inputs)


def multiply(inputs: Any, **named: Any) -> Any:
    """Return `Multiply()(inputs)`."""
    return Multiply(**named)(inputs)


def average(inputs: Any, **named: Any) -> Any:
    """Return `Average()(inputs)`."""
    return Average(**named)(inputs)
