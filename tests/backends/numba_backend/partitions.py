"""Networks partitioned among workers as a test requests, compared by their numbers."""

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np
import pytest

import dnnkit as dk
from dnnkit.backends.numba_backend import cost_model
from dnnkit.backends.processors import processors
from tests.processes import started

DIVISIONS = ["units/1", "units/2", "units/3", "units/4", "rows/2", "rows/3", "rows/4"]
DIVIDED = ["units/2", "units/3", "rows/2", "rows/3"]
LOCAL = ["units/1", "units/2", "rows/2"]
OPTIMIZERS = {
    "sgd": lambda clip: dk.SGD(0.01, weight_decay=0.01, global_clipnorm=clip),
    "momentum": lambda clip: dk.SGD(0.01, momentum=0.9, global_clipnorm=clip),
    "nesterov": lambda clip: dk.SGD(0.01, momentum=0.9, nesterov=True, global_clipnorm=clip),
    "rmsprop": lambda clip: dk.RMSprop(0.001, epsilon=1e-4, global_clipnorm=clip),
    "adam": lambda clip: dk.Adam(0.01, epsilon=1e-4, global_clipnorm=clip),
    "adamw": lambda clip: dk.AdamW(0.01, epsilon=1e-4, weight_decay=0.1, global_clipnorm=clip),
}


@contextmanager
def dividing(partition: str, *, joined: bool | None = True) -> Iterator[None]:
    """Partition the work this way; standby threads join always (True), never (False), or as usual (None)."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DNNKIT_PARTITION", partition)
        if joined is not None:
            patch.setattr(cost_model, "PERHAPS_SHARED", -1.0 if joined else float("inf"))
            patch.setattr(cost_model, "SHARED_STEP", -1.0)
            patch.setattr(cost_model, "WORTH_THREADS", -1.0 if joined else float("inf"))
            # also more threads than processors
            patch.setattr(cost_model, "usable", lambda asked: asked or processors())
        yield


@contextmanager
def busy(count: int) -> Iterator[None]:
    """Run this many other processes that never wait."""
    with ExitStack() as stack:
        for _ in range(count):
            stack.enter_context(started([sys.executable, "-c", "while True: pass"], patience=3600))
        yield


def threads_of_ours() -> list[str]:
    """Return the names of those that run: Python also lists one whose start an exception ended, for ever."""
    return [each.name for each in threading.enumerate() if each.name.startswith("dnnkit") and each.is_alive()]


def threads_ended() -> bool:
    """Return whether our threads have ended, after waiting for those that are ending."""
    for _ in range(500):
        if not threads_of_ours():
            return True
        time.sleep(0.01)
    print("still running:", threads_of_ours())
    return False


def numbers(net: dk.Sequential) -> dict[str, np.ndarray]:
    """Return parameters and optimizer state."""
    snapshot = net.executable.snapshot()
    return {**snapshot.parameters, **snapshot.slots}


def check_close(net: dk.Sequential, other: dk.Sequential) -> None:
    """Compare within the rounding of sums in another order, accumulated over a few steps."""
    mine, theirs = numbers(net), numbers(other)
    assert mine.keys() == theirs.keys()
    for name in mine:
        np.testing.assert_allclose(mine[name], theirs[name], rtol=1e-9, atol=1e-10, err_msg=name)
    assert net.executable.state.step == other.executable.state.step


def check_same(net: dk.Sequential, other: dk.Sequential) -> None:
    """Compare bit for bit."""
    mine, theirs = numbers(net), numbers(other)
    assert mine.keys() == theirs.keys()
    for name in mine:
        assert mine[name].tobytes() == theirs[name].tobytes(), name
    assert net.executable.state == other.executable.state


def classifier(backend: str = "numba", dtype: Any = "float64", **more: Any) -> dk.Sequential:
    """Two pairs, uneven widths, dropout in a part, clipping, two slots: everything that a step can have."""
    net = dk.Sequential(
        [
            dk.Dense(23, activation="tanh"),
            dk.Dropout(0.2),
            dk.Dense(17, activation="relu"),
            dk.Dense(37, activation="gelu", use_bias=False),
            dk.Dense(5, activation="softmax"),
        ],
        seed=7,
        backend=backend,
        dtype=dtype,
        **more,
    )
    net.compile(
        optimizer=dk.Adam(0.01, global_clipnorm=0.7), loss="sparse_categorical_crossentropy", metrics=["accuracy"]
    )
    return net


def classes(samples: int = 250, features: int = 11) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draw samples, labels, and weights that are not round numbers."""
    rng = np.random.default_rng(1)
    return rng.normal(size=(samples, features)), rng.integers(0, 5, samples), rng.uniform(0.1, 2, samples)
