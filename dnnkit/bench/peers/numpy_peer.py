"""Plain NumPy: the training loop that course notes teach and most people write before they use a library."""

from collections.abc import Callable
from itertools import count
from math import erf, pi, sqrt
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from . import machine
from .works import LAST, MOMENTUM, WEIGHT_DECAY, Network, Work, in_order, initial_weights

PACKAGES = ("numpy",)
VARIANTS = ("",)
GENERAL = ("",)


class Activation(NamedTuple):
    """A function of pre-activations, and its derivative as a function of pre-activations and outputs."""

    value: Callable[[NDArray[Any]], NDArray[Any]]
    slope: Callable[[NDArray[Any], NDArray[Any]], NDArray[Any]]


def _sigmoid(z: NDArray[Any]) -> NDArray[Any]:
    return np.asarray(1 / (1 + np.exp(-z)))


def _normal(z: NDArray[Any]) -> NDArray[Any]:
    """Return the normal distribution function element by element, because NumPy has no erf."""
    return np.asarray(0.5 * (1 + np.vectorize(erf, otypes=[z.dtype])(z / sqrt(2))))


def _softmax(z: NDArray[Any]) -> NDArray[Any]:
    exponentials = np.exp(z - z.max(axis=1, keepdims=True))
    return np.asarray(exponentials / exponentials.sum(axis=1, keepdims=True))


ACTIVATIONS = {
    "relu": Activation(lambda z: np.maximum(z, 0), lambda z, y: y > 0),
    "tanh": Activation(np.tanh, lambda z, y: 1 - y * y),
    "sigmoid": Activation(_sigmoid, lambda z, y: y * (1 - y)),
    "gelu": Activation(lambda z: z * _normal(z), lambda z, y: _normal(z) + z * np.exp(-0.5 * z * z) * (2 * pi) ** -0.5),
    "silu": Activation(lambda z: z * _sigmoid(z), lambda z, y: _sigmoid(z) * (1 + z - y)),
}
LAST_ACTIVATIONS: dict[str, Callable[[NDArray[Any]], NDArray[Any]]] = {
    "softmax": _softmax,
    "sigmoid": _sigmoid,
    "linear": lambda z: z,
}


def _cross_entropy(z: NDArray[Any], classes: NDArray[Any]) -> tuple[float, NDArray[Any]]:
    probabilities, correct = _softmax(z), (np.arange(len(z)), classes)
    loss = -np.log(np.maximum(probabilities[correct], 1e-30)).sum()
    probabilities[correct] -= 1
    return float(loss), probabilities


def _binary_cross_entropy(z: NDArray[Any], t: NDArray[Any]) -> tuple[float, NDArray[Any]]:
    terms = np.maximum(z, 0) - z * t + np.log1p(np.exp(-np.abs(z)))
    return float(terms.sum()) / z.shape[1], (_sigmoid(z) - t) / z.shape[1]


def _squared_error(z: NDArray[Any], t: NDArray[Any]) -> tuple[float, NDArray[Any]]:
    difference = z - t
    return float((difference**2).sum()) / z.shape[1], difference * (2 / z.shape[1])


LOSSES = {
    "sparse_categorical_crossentropy": _cross_entropy,
    "binary_crossentropy": _binary_cross_entropy,
    "mean_squared_error": _squared_error,
}
"""Losses of the last layer's pre-activations: the sum over the rows, and its gradient."""


def about(variant: str) -> dict[str, str]:
    return {"setting": "plain training loop", "threads": f"those of BLAS, up to {machine.processors()}"}


def network(work: Work, x: NDArray[Any], y: NDArray[Any], variant: str) -> Network:
    parameters = [array for layer in initial_weights(work) for array in layer]
    activation, loss, update = ACTIVATIONS[work.activation], LOSSES[work.loss], _updates(work, parameters)

    def forward(rows: NDArray[Any]) -> tuple[list[NDArray[Any]], list[NDArray[Any]]]:
        """Return the input and the pre-activations of each layer."""
        inputs: list[NDArray[Any]] = []
        sums: list[NDArray[Any]] = []
        for place in range(0, len(parameters), 2):
            inputs.append(activation.value(sums[-1]) if place else rows)
            sums.append(inputs[-1] @ parameters[place] + parameters[place + 1])
        return inputs, sums

    def train_step(rows: NDArray[Any], targets: NDArray[Any]) -> float:
        """Update once; return the sum of the rows' losses before the update."""
        inputs, sums = forward(rows)
        total, dz = loss(sums[-1], targets)
        dz /= len(rows)
        gradients = [np.empty(0)] * len(parameters)
        for layer in range(len(inputs) - 1, -1, -1):
            place = 2 * layer
            gradients[place], gradients[place + 1] = inputs[layer].T @ dz, dz.sum(axis=0)
            if layer:
                dz = (dz @ parameters[place].T) * activation.slope(sums[layer - 1], inputs[layer])
        update(gradients)
        return total

    def epoch(order: NDArray[Any]) -> float:
        total = 0.0
        for start in range(0, len(x), work.batch_size):
            rows = order[start : start + work.batch_size]
            total += train_step(x[rows], y[rows])
        return total / len(x)

    last = LAST_ACTIVATIONS[LAST[work.loss]]
    return Network(in_order(epoch, len(x)), lambda rows: last(forward(rows)[1][-1]))


def _updates(work: Work, parameters: list[NDArray[Any]]) -> Callable[[list[NDArray[Any]]], None]:
    """Return a function that takes the gradients and updates the parameters in place."""
    first = [np.zeros_like(parameter) for parameter in parameters]
    second = [np.zeros_like(parameter) for parameter in parameters]
    rate, steps = work.learning_rate, count(1)
    decay = rate * WEIGHT_DECAY if work.optimizer == "adamw" else 0.0

    def sgd(gradients: list[NDArray[Any]]) -> None:
        for parameter, gradient in zip(parameters, gradients, strict=True):
            parameter -= rate * gradient

    def momentum(gradients: list[NDArray[Any]]) -> None:
        for parameter, gradient, velocity in zip(parameters, gradients, first, strict=True):
            velocity *= MOMENTUM
            velocity += gradient
            parameter -= rate * velocity

    def adam(gradients: list[NDArray[Any]]) -> None:
        step = next(steps)
        size, root = rate / (1 - 0.9**step), (1 - 0.999**step) ** 0.5
        for parameter, gradient, m, v in zip(parameters, gradients, first, second, strict=True):
            m += 0.1 * (gradient - m)
            v += 0.001 * (gradient**2 - v)
            if decay:
                parameter *= 1 - decay
            parameter -= size * m / (np.sqrt(v) / root + 1e-8)

    return {"sgd": sgd, "momentum": momentum, "adam": adam, "adamw": adam}[work.optimizer]


def neuron(
    x: NDArray[Any], y: NDArray[Any], weights: NDArray[Any], iterations: int, variant: str
) -> Callable[[], NDArray[Any]]:
    def run() -> NDArray[Any]:
        nonlocal weights
        for _ in range(iterations):
            p = 1 / (1 + np.exp(-(x @ weights)))
            weights += x.T @ ((y - p) * p * (1 - p))
        return weights

    return run


def product(a: NDArray[Any], b: NDArray[Any]) -> Callable[[], Any]:
    out = np.empty_like(a)
    return lambda: np.matmul(a, b, out=out)


def copy(source: NDArray[Any], target: NDArray[Any]) -> Callable[[], Any]:
    return lambda: np.copyto(target, source)
