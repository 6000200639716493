"""A step that continues where the last one ended, and what a callback may have changed between the two."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import dnnkit as dk
from tests.backends.numba_backend.partitions import dividing


class Between(dk.Callback):
    """Does something after the third batch."""

    def __init__(self, do: Callable[[Any], None]) -> None:
        self._do = do

    def on_batch_end(self, batch: int, logs: Any = None) -> None:
        if batch == 2:
            self._do(self.model)


RATES = {"number": 1e-2, "schedule": dk.schedules.ExponentialDecay(1e-2, 2, 0.5)}


def network(rate: str) -> dk.Sequential:
    net = dk.Sequential(
        [dk.Dense(40, activation="tanh"), dk.Dense(24, activation="relu"), dk.Dense(3, activation="softmax")],
        seed=0,
        backend="numba",
    )
    net.compile(dk.AdamW(RATES[rate]), "sparse_categorical_crossentropy")
    net.build(12)
    return net


def data() -> tuple[np.ndarray, np.ndarray]:
    """Draw eight batches of 16."""
    rng = np.random.default_rng(0)
    return rng.normal(size=(128, 12)).astype(np.float32), rng.integers(0, 3, 128)


def nothing(net: Any) -> None:
    """Between two steps, as in any fit with a callback on batches."""


def read(net: Any) -> None:
    assert np.isfinite(net.parameters["dense/kernel"]).all()


def assign(net: Any) -> None:
    net.parameters["dense_1/kernel"] *= 0.5


def slow_down(net: Any) -> None:
    net.optimizer.learning_rate = 1e-4


def decay_less(net: Any) -> None:
    net.optimizer.weight_decay = 0.0


def other_batch(net: Any) -> None:
    x, y = data()
    net.train_step(x[:16], y[:16])


def look(net: Any) -> None:
    x, y = data()
    net.get_gradients(x[:16], y[:16])
    net.evaluate(x, y)


@pytest.mark.parametrize("partition", ["units/1", "units/2", "rows/2"])
@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("do", [nothing, read, assign, slow_down, decay_less, other_batch, look])
def test_changes_by_a_callback_between_steps_take_effect(partition: str, do: Callable[[Any], None], rate: str) -> None:
    x, y = data()
    with dividing(partition):
        watched, parted = network(rate), network(rate)
        watched.fit(x, y, batch_size=16, callbacks=Between(do), verbose=0)
        parted.fit(x, y, batch_size=16, steps=3, verbose=0)
        do(parted)
        parted.fit(x, y, batch_size=16, steps=5, verbose=0)
    assert watched.executable.epoch.single is not None
    for name in watched.parameters:
        np.testing.assert_array_equal(watched.parameters[name], parted.parameters[name])
