"""The walk over a network's stages, shared by all writers."""

from collections.abc import Sequence
from typing import Protocol, TypeVar

from dnnkit.backends.program import Program
from dnnkit.backends.stages import Stage
from dnnkit.errors import ConfigurationError
from dnnkit.initializers import Shape
from dnnkit.network.protocol import Network

Value = TypeVar("Value")
"""A writer's representation of a value: a name in the target language, or the computation."""


class Writer(Protocol[Value]):
    """Interface of the writers."""

    def stage(self, stage: Stage, values: Sequence[Value]) -> Value:
        """Return the value that a stage computes from others."""
        ...

    def output(self, number: int, scores: Value, columns: tuple[int, int] | None, head: str, shape: Shape) -> Value:
        """Return an output: `columns` of the scores (None for all), the activation `head`, reshaped to `shape`."""
        ...


def walk(program: Program, shapes: Sequence[Shape], x: Value, writer: Writer[Value]) -> list[Value]:
    """Write a program starting from its input x; return the outputs, whose samples have these shapes."""
    values = [x]
    for stage, reads in zip(program.stages, program.edges, strict=True):
        values.append(writer.stage(stage, [values[value] for value in reads]))
    if not program.outputs:
        return [writer.output(0, values[-1], None, program.head, shapes[0])]
    return [
        writer.output(number, values[-1], output.columns, output.head, shape)
        for number, (output, shape) in enumerate(zip(program.outputs, shapes, strict=True))
    ]


def describe(net: Network) -> str:
    """Describe the layers, for readers of the output."""
    return " -> ".join(type(layer).__name__ + _detail(layer) for layer in net.descriptions)


def _detail(layer: object) -> str:
    values = [getattr(layer, name, None) for name in ("units", "activation")]
    shown = ", ".join(str(value) for value in values if value is not None)
    return f"({shown})" if shown else ""


def cannot_write(what: str, language: str, why: str) -> ConfigurationError:
    """Return the error for a layer or an activation that a language cannot express."""
    return ConfigurationError(f"{what} cannot be written as {language}: {why}")
