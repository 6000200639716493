"""Layers that are one operation of a kind of `kernels/stages`."""

from math import prod
from typing import Any, ClassVar

from dnnkit.backends.stages import Op, Parameter
from dnnkit.initializers import Shape
from dnnkit.layers.base import Layer


class KindLayer(Layer):
    """A layer whose stage is an `Op`; it says the kind, the settings, and, as every layer does, its parameters."""

    kind: ClassVar[str]

    def settings(self, input_shape: Shape) -> dict[str, Any]:
        """What the operation wants to know, by name."""
        return {}

    def lower(self, index: int, input_shape: Shape, parameters: tuple[Parameter, ...]) -> Op:  # noqa: D102
        settings = tuple(sorted(self.settings(input_shape).items()))
        return Op(self.kind, prod(self.output_shape(input_shape)), parameters, settings, index)
