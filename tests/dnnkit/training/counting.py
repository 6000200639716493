"""Networks and data with few steps per epoch, for tests that count them."""

import numpy as np

import dnnkit as dk
from dnnkit.backends import Backend

SAMPLES, BATCH = 10, 4  # a pass is batches of 4, 4 and 2
WAYS = (True, False, "with_replacement")
METRICS = ["accuracy", dk.metrics.F1Score(average="macro")]
"""Metrics with one sum, and with several."""


def data(samples: int = SAMPLES) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(3)
    return rng.normal(size=(samples, 5)), rng.integers(0, 3, samples)


def network(backend: Backend | str | None = None, loss: str = "sparse_categorical_crossentropy") -> dk.Sequential:
    """With everything that depends on the number of updates: dropout, a schedule, Adam's bias correction."""
    layers = [dk.Dense(6, activation="tanh"), dk.Dropout(0.2), dk.Dense(3, activation="softmax")]
    net = dk.Sequential(layers, seed=7, dtype="float64", backend=backend)
    net.compile(dk.Adam(dk.schedules.ExponentialDecay(0.1, 3, 0.7)), loss, METRICS)
    net.build(5)
    return net


def still(backend: Backend | str | None = None, loss: str = "mean_squared_error") -> dk.Sequential:
    """It never learns and outputs 0, so that the loss of a row is a plain function of its target."""
    net = dk.Sequential([dk.Dense(1, kernel_initializer="zeros")], seed=7, dtype="float64", backend=backend)
    net.compile(dk.SGD(0.0), loss)
    return net


def bits(net: dk.Sequential) -> bytes:
    return b"".join(value.tobytes() for value in net.parameters.values())


def state(net: dk.Sequential) -> tuple[int, int, int]:
    now = net.executable.state
    return now.step, now.epoch, now.position


def numbered() -> tuple[np.ndarray, np.ndarray]:
    x = np.arange(float(SAMPLES))[:, None]
    return x, x


class Listener(dk.Callback):
    """Records epochs and batches."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, int]] = []

    def on_epoch_begin(self, epoch, logs):
        self.heard.append(("epoch", epoch))

    def on_batch_begin(self, batch, logs):
        self.heard.append(("batch", batch))
