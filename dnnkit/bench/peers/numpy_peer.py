"""Plain NumPy: the loop that course notes teach, and what most people write before they use a library."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import machine
from .works import Network, Work, initial_weights, repeated

PACKAGES = ("numpy",)
VARIANTS = ("",)


def about(variant: str) -> dict[str, str]:
    return {"setting": "the notes' loop", "threads": f"those of BLAS, up to {machine.processors()}"}


def network(work: Work, x: NDArray[Any], y: NDArray[Any], variant: str) -> Network:
    parameters = [array for layer in initial_weights(work) for array in layer]
    first = [np.zeros_like(parameter) for parameter in parameters]
    second = [np.zeros_like(parameter) for parameter in parameters]
    rng, step = np.random.default_rng(0), 0

    def forward(rows: NDArray[Any]) -> tuple[list[NDArray[Any]], NDArray[Any]]:
        """The input of each layer, and the probabilities."""
        inputs = [rows]
        for place in range(0, len(parameters) - 2, 2):
            z = inputs[-1] @ parameters[place] + parameters[place + 1]
            inputs.append(np.maximum(z, 0) if work.activation == "relu" else 1 / (1 + np.exp(-z)))
        scores = inputs[-1] @ parameters[-2] + parameters[-1]
        exponentials = np.exp(scores - scores.max(axis=1, keepdims=True))
        return inputs, exponentials / exponentials.sum(axis=1, keepdims=True)

    def train_step(rows: NDArray[Any], labels: NDArray[Any]) -> float:
        """One update; returns the sum of the losses before it."""
        inputs, dz = forward(rows)
        correct = np.arange(len(rows)), labels
        loss = -np.log(np.maximum(dz[correct], 1e-30)).sum()
        dz[correct] -= 1
        dz /= len(rows)
        gradients = [np.empty(0)] * len(parameters)
        for place in range(len(parameters) - 2, -1, -2):
            inputs_here = inputs[place // 2]
            gradients[place], gradients[place + 1] = inputs_here.T @ dz, dz.sum(axis=0)
            if place:
                dy = dz @ parameters[place].T
                dz = dy * (inputs_here > 0) if work.activation == "relu" else dy * inputs_here * (1 - inputs_here)
        update(gradients)
        return float(loss)

    def update(gradients: list[NDArray[Any]]) -> None:
        nonlocal step
        step += 1
        rate = work.learning_rate
        if work.optimizer == "sgd":
            for parameter, gradient in zip(parameters, gradients, strict=True):
                parameter -= rate * gradient
            return
        rate, root = rate / (1 - 0.9**step), (1 - 0.999**step) ** 0.5
        for parameter, gradient, m, v in zip(parameters, gradients, first, second, strict=True):
            m += 0.1 * (gradient - m)
            v += 0.001 * (gradient**2 - v)
            parameter -= rate * m / (np.sqrt(v) / root + 1e-8)

    def epoch() -> float:
        order, total = rng.permutation(len(x)), 0.0
        for start in range(0, len(x), work.batch_size):
            rows = order[start : start + work.batch_size]
            total += train_step(x[rows], y[rows])
        return total / len(x)

    return Network(repeated(epoch), lambda rows: forward(rows)[1])


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
