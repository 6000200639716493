"""Softmax cross-entropy on the GPU. Contract: the package's docstring."""

from dnnkit.kernels._cuda.cuda import Source
from dnnkit.kernels._cuda.losses import LossKernel
from dnnkit.kernels.array import Array

KERNEL = LossKernel("softmax_cross_entropy", takes_labels=True)


def sources() -> list[Source]:
    """Every variant that ships."""
    return KERNEL.sources()


def loss_and_gradient(
    logits: Array,
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
    KERNEL.loss_and_gradient(logits, targets, weights, scale, out, loss, scratch)
