"""Categorical cross-entropy on probabilities on the GPU. Contract: the package's docstring."""

from dnnkit.kernels import rows_gpu
from dnnkit.kernels.array import Array
from dnnkit.kernels.cuda import Source


def sources() -> list[Source]:
    """Every variant that ships."""
    return rows_gpu.loss_sources("categorical_crossentropy")


def loss_and_gradient(
    predictions: Array,
    targets: Array,
    weights: Array | None,
    scale: float,
    out: Array,
    loss: Array,
    scratch: Array | None = None,
) -> None:
    """Weighted sum of the rows' losses to loss, float64 of one element; `scale` times its gradient to out (B, K).

    `scratch` is float64 of `cuda.PARTIALS` elements, allocated here if it is not given.
    """
    rows_gpu.loss_and_gradient("categorical_crossentropy", predictions, targets, weights, scale, out, loss, scratch)
