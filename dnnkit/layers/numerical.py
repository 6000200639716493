"""Layers that expand each numerical feature."""

from math import sqrt
from typing import Any, ClassVar

from dnnkit.deferred import dataclass
from dnnkit.errors import ShapeError
from dnnkit.initializers import Initializer, RandomNormal, RandomUniform, Shape
from dnnkit.layers.base import LAYERS
from dnnkit.layers.of_kind import KindLayer
from dnnkit.settings import POSITIVE, whole

__all__ = ["PeriodicEmbedding"]


@LAYERS.named("PeriodicEmbedding")
@dataclass(frozen=True)
class PeriodicEmbedding(KindLayer):
    """Sines and cosines at trainable frequencies for each feature, followed by a small dense layer with ReLU.

    Samples of shape (features,) become (features, units), or (features, 2 · frequencies) if units is 0; put `Flatten()`
    before a following `Dense`.

    Arguments:
        units: size of each feature's dense layer, default 8; 0 for none.
        frequencies: number of frequencies per feature, default 16.
        stddev: standard deviation of the normally distributed initial frequencies, default 0.1: the parameter worth
            tuning, from 0.01 to 100 for features of about unit variance.

    Source: Y. Gorishniy, I. Rubachev, A. Babenko, NeurIPS 2022: "PLR", or "P" if units is 0.
    """

    units: int = 8
    frequencies: int = 16
    stddev: float = 0.1

    kind: ClassVar = "periodic_embedding"
    expects: ClassVar = {"units": whole(0), "frequencies": whole(1), "stddev": POSITIVE}

    def output_shape(self, input_shape: Shape) -> Shape:  # noqa: D102
        if len(input_shape) != 1:
            raise ShapeError(f"{self} got samples of shape {input_shape}: put Flatten() before this layer")
        return (input_shape[0], self.units or 2 * self.frequencies)

    def parameters(self, input_shape: Shape) -> dict[str, tuple[Shape, str | Initializer]]:  # noqa: D102
        features, waves = input_shape[0], 2 * self.frequencies
        parts: dict[str, tuple[Shape, str | Initializer]] = {
            "frequencies": ((features, self.frequencies), RandomNormal(float(self.stddev)))
        }
        if self.units:
            bound = 1 / sqrt(waves)
            parts["kernel"] = (features, waves, self.units), RandomUniform(-bound, bound)
            parts["bias"] = (features, self.units), RandomUniform(-bound, bound)
        return parts

    def settings(self, input_shape: Shape) -> dict[str, Any]:  # noqa: D102
        return {"frequencies": self.frequencies, "units": self.units}
