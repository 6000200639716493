"""The walk over a network's stages that every writer takes."""

from collections.abc import Sequence
from typing import Protocol, TypeVar

from dnnkit.backends.program import Program
from dnnkit.backends.stages import Stage
from dnnkit.errors import ConfigurationError
from dnnkit.initializers import Shape
from dnnkit.network.protocol import Network

Value = TypeVar("Value")
"""What a writer knows of a value: its name in the language that is written, or what it is computed from."""


class Writer(Protocol[Value]):
    """What writes a network in some language."""

    def stage(self, stage: Stage, values: Sequence[Value]) -> Value:
        """The value that a stage makes of others."""
        ...

    def output(self, number: int, scores: Value, columns: tuple[int, int] | None, head: str, shape: Shape) -> Value:
        """An output: of all scores those columns, None for all, the activation `head` of them, each in its shape."""
        ...


def walk(program: Program, shapes: Sequence[Shape], x: Value, writer: Writer[Value]) -> list[Value]:
    """Have a program written from its input x on; the outputs, of samples of these shapes."""
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
    """The layers in words, for whoever reads what was written."""
    return " -> ".join(type(layer).__name__ + _detail(layer) for layer in net.descriptions)


def _detail(layer: object) -> str:
    values = [getattr(layer, name, None) for name in ("units", "activation")]
    shown = ", ".join(str(value) for value in values if value is not None)
    return f"({shown})" if shown else ""


def cannot_write(what: str, language: str, why: str) -> ConfigurationError:
    """The error of a layer or an activation that a language has no words for."""
    return ConfigurationError(f"{what} cannot be written as {language}: {why}")
