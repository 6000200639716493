"""Thinc's layers and optimizer; products by BLIS on one thread, the default, or by NumPy's BLAS."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from thinc.api import SGD, Adam, NumpyOps, Optimizer, Relu, Sigmoid, Softmax, chain, set_current_ops

from . import machine
from .works import Network, Work, initial_weights, repeated

PACKAGES = ("thinc", "blis")
VARIANTS = ("", "blas")


def about(variant: str) -> dict[str, str]:
    if variant == "blas":
        return {
            "setting": "NumpyOps(use_blis=False)",
            "threads": f"those of NumPy's BLAS, up to {machine.processors()}",
        }
    return {"setting": "NumpyOps with BLIS", "threads": "1"}


def network(work: Work, x: NDArray[Any], y: NDArray[Any], variant: str) -> Network:
    set_current_ops(NumpyOps(use_blis=variant != "blas"))
    hidden = {"relu": Relu, "sigmoid": Sigmoid}[work.activation]
    layers = [hidden(outputs, inputs) for inputs, outputs in zip(work.widths, work.widths[1:-1], strict=False)]
    model: Any = chain(*layers, Softmax(work.widths[-1], work.widths[-2]))
    model.initialize()
    for layer, (kernel, bias) in zip(model.layers, initial_weights(work), strict=True):
        layer.set_param("W", kernel.T.copy())
        layer.set_param("b", bias)
    rng, optimizer = np.random.default_rng(0), _optimizer(work)

    def train_step(rows: NDArray[Any], labels: NDArray[Any]) -> float:
        """Update once; return the sum of the losses before the update, which Thinc does not compute."""
        probabilities, backpropagate = model.begin_update(rows)
        correct = np.arange(len(rows)), labels
        loss = -np.log(np.maximum(probabilities[correct], 1e-30)).sum()
        probabilities[correct] -= 1  # as its CategoricalCrossentropy, without per-batch checks
        probabilities /= len(rows)
        backpropagate(probabilities)
        model.finish_update(optimizer)
        return float(loss)

    def epoch() -> float:
        order, total = rng.permutation(len(x)), 0.0
        for start in range(0, len(x), work.batch_size):
            rows = order[start : start + work.batch_size]
            total += train_step(x[rows], y[rows])
        return total / len(x)

    return Network(repeated(epoch), model.predict)


def _optimizer(work: Work) -> Optimizer:
    """Return the optimizer without its default gradient clipping at norm 1 and weight averaging."""
    plain = {"L2": 0.0, "grad_clip": 0.0, "use_averages": False}
    if work.optimizer == "sgd":
        return SGD(work.learning_rate, **plain)
    return Adam(work.learning_rate, beta1=0.9, beta2=0.999, eps=1e-8, **plain)
