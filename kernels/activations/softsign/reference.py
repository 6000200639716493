"""Softsign, in plain array code; the oracle in float64. Contract: the package's docstring."""

import numpy as np

from dnnkit.kernels.array import Array, Namespace


def forward(x: Array, xp: Namespace = np) -> Array:
    """x / (1 + |x|)."""
    return x / (1 + xp.abs(x))


def derivative(x: Array, xp: Namespace = np) -> Array:
    """1 / (1 + |x|)²."""
    root = 1 / (1 + xp.abs(x))
    return root * root


def derivative_from_output(y: Array, xp: Namespace = np) -> Array:
    """(1 - |y|)²."""
    root = 1 - xp.abs(y)
    return root * root
