"""What tests compare with: finite differences, and errors in units of the last place."""

from collections.abc import Callable
from typing import Any

import numpy as np

ACTIVATIONS = (
    "linear",
    "sigmoid",
    "tanh",
    "relu",
    "leaky_relu",
    "elu",
    "selu",
    "gelu",
    "silu",
    "softplus",
    "softsign",
    "mish",
    "hard_sigmoid",
    "step",
    "softmax",
)
"""Every activation that the design promises, listed separately from the code that finds them."""

LOSSES = (
    "mean_squared_error",
    "sum_squared_error",
    "binary_crossentropy",
    "categorical_crossentropy",
    "sparse_categorical_crossentropy",
)


def central_difference(f: Callable[[Any], float], x: np.ndarray, h: float = 1e-5) -> np.ndarray:
    """Return the gradient of a scalar function f at x by five-point differences: error of order h⁴."""
    gradient = np.empty_like(x)
    for index in np.ndindex(x.shape):
        values = []
        for step in (-2, -1, 1, 2):
            moved = x.copy()
            moved[index] += step * h
            values.append(float(f(moved)))
        gradient[index] = (values[0] - 8 * values[1] + 8 * values[2] - values[3]) / (12 * h)
    return gradient


def relative_error(actual: Any, expected: Any) -> float:
    """Return the largest |difference| divided by the largest |expected|."""
    actual, expected = np.asarray(actual, np.float64), np.asarray(expected, np.float64)
    scale = max(float(np.abs(expected).max(initial=0)), 1e-300)
    return float(np.abs(actual - expected).max(initial=0)) / scale
