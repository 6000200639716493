"""Layers that consist of one operation of a kind in `kernels/stages`."""

from math import prod
from typing import Any, ClassVar

from dnnkit.backends.stages import Op, Parameter
from dnnkit.initializers import Shape
from dnnkit.layers.base import Layer


class KindLayer(Layer):
    """A layer whose stage is an `Op`; it defines the kind, the settings and its parameters."""

    kind: ClassVar[str]

    def settings(self, input_shape: Shape) -> dict[str, Any]:
        """Return the settings of the operation by name."""
        return {}

    def lower(self, index: int, input_shape: Shape, parameters: tuple[Parameter, ...]) -> Op:  # noqa: D102
        settings = tuple(sorted(self.settings(input_shape).items()))
        return Op(self.kind, prod(self.output_shape(input_shape)), parameters, settings, index)
