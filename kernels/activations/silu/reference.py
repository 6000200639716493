"""SiLU, in plain array code; the oracle in float64. Contract: the package's docstring."""

import numpy as np

from dnnkit.kernels.activations.sigmoid import reference as sigmoid
from dnnkit.kernels.array import Array, Namespace


def forward(x: Array, xp: Namespace = np) -> Array:
    """x σ(x)."""
    return x * sigmoid.forward(x, xp=xp)


def derivative(x: Array, xp: Namespace = np) -> Array:
    """σ(x) (1 + x σ(-x))."""
    return sigmoid.forward(x, xp=xp) * (1 + x * sigmoid.forward(-x, xp=xp))
