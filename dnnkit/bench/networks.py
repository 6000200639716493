"""The networks that are timed, alike for every activation and backend."""

import warnings
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from dnnkit.backends.base import Backend
from dnnkit.bench.selection import Selection
from dnnkit.layers import Dense, Flatten, Rescaling
from dnnkit.network.sequential import Sequential


class Trainable:
    """A compiled network and its data."""

    def __init__(self, net: Sequential, x: Any, y: Any) -> None:
        self.net, self.x, self.y = net, x, y
        with warnings.catch_warnings():  # activations with zero slope are measured too
            warnings.simplefilter("ignore", UserWarning)
            net.build(x.shape[1:])
            self._executable = net.executable
        self._loaded = self._executable.load(x, y, None)

    def epoch(self, batch_size: int, steps: int) -> Callable[[], Any]:
        """Return a function that trains for `steps` steps in one call of the executable."""
        order = np.arange(len(self.x))
        hyperparameters = self.net.optimizer.hyperparameters(0, steps, self._executable.program.groups)

        def call() -> Any:
            self._executable.begin_epoch(self._loaded, order, batch_size)
            return self._executable.run_steps(0, steps, hyperparameters)

        return call

    @property
    def loss(self) -> float:
        """Mean loss over the steps since the last epoch began."""
        totals = self._executable.totals()
        return totals.loss / totals.weight


@cache
def digits() -> tuple[tuple[Any, Any], tuple[Any, Any]]:
    """Return training and test images with their classes."""
    from dnnkit.datasets import digits as module

    return module.load_data()


def digits_network(selection: Selection, activation: str, backend: Backend, seed: int) -> Sequential:
    """Return the network 64-width-...-10, compiled with Adam."""
    hidden = [Dense(selection.width, activation=selection.layer(activation)) for _ in range(selection.depth)]
    net = Sequential(
        [Rescaling(1 / 16), Flatten(), *hidden, Dense(10, activation="softmax")], backend=backend.name, seed=seed
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        net.compile("adam", "sparse_categorical_crossentropy", ["accuracy"])
    return net


def classifier(selection: Selection, activation: str, backend: Backend, seed: int) -> Trainable:
    """Return the digits network with the training images."""
    (x, y), _ = digits()
    return Trainable(digits_network(selection, activation, backend, seed), x, y)
