"""Overhead of `fit` over the executable's epoch, and of a callback over that: three ways of running the same epoch.

The rows of a group are interleaved manually (`rounds=1` for each would be noisy): every round times all three, and
the medians are compared in `extra_info`. Start-up is measured in a separate process.
"""

import statistics
import subprocess
import sys
from time import perf_counter
from typing import Any

import numpy as np
import pytest

import dnnkit as dk
from dnnkit.backends import available

pytestmark = pytest.mark.slow

SAMPLES, BATCH, EPOCHS = 60_000, 32, 5
BACKENDS = [info.name for info in available() if info.available]

START = """
from time import perf_counter
start = perf_counter()
import numpy as np, dnnkit as dk
x, y = np.zeros((32, 784), np.float32), np.arange(32) % 10
net = dk.Sequential([dk.Dense(128, activation="relu"), dk.Dense(10, activation="softmax")], seed=0)
net.compile("adam", "sparse_categorical_crossentropy")
net.train_step(x, y)
print(perf_counter() - start)
"""


class Listener(dk.Callback):
    """A callback for every epoch."""

    def on_epoch_end(self, epoch: int, logs: Any) -> None:
        self.heard = logs["loss"]


@pytest.mark.parametrize("used", [1.0, 0.2], ids=["no zeros", "four fifths zeros"])
@pytest.mark.parametrize("backend", BACKENDS)
def test_fit_beside_the_bare_executable(benchmark: Any, backend: str, used: float) -> None:
    rng = np.random.default_rng(0)
    x, y = rng.random((SAMPLES, 784), np.float32), rng.integers(0, 10, SAMPLES)
    x[rng.random(x.shape, np.float32) >= used] = 0
    net = dk.Sequential([dk.Dense(128, activation="relu"), dk.Dense(10, activation="softmax")], backend=backend, seed=0)
    net.compile("adam", "sparse_categorical_crossentropy", ["accuracy"])
    net.fit(x[:3200], y[:3200], batch_size=BATCH, verbose=0)
    executable, steps = net.executable, SAMPLES // BATCH
    loaded = executable.load(x, y, None)

    def bare() -> None:
        executable.begin_epoch(loaded, rng.permutation(SAMPLES), BATCH)
        executable.run_steps(0, steps, net.optimizer.hyperparameters(executable.state.step, steps))
        executable.totals()

    def fit(**options: Any) -> None:
        net.fit(x, y, batch_size=BATCH, epochs=EPOCHS, verbose=0, **options)

    ways = {"bare": bare, "fit": fit, "fit with a callback": lambda: fit(callbacks=[Listener()])}
    seconds: dict[str, list[float]] = {name: [] for name in ways}

    def one_round() -> None:
        for name, way in ways.items():
            start = perf_counter()
            way()
            seconds[name].append((perf_counter() - start) / (1 if way is bare else EPOCHS))

    benchmark.group = f"fit, 784-128-10, batch 32, {used:.0%} of the pixels not zero"
    benchmark.pedantic(one_round, rounds=7, warmup_rounds=1)
    medians = {name: statistics.median(values[1:]) for name, values in seconds.items()}
    benchmark.extra_info |= {"seconds per epoch": medians} | {
        f"{name} over bare": medians[name] / medians["bare"] - 1 for name in ways
    }
    assert np.isfinite(executable.totals().loss)


@pytest.mark.parametrize("backend", BACKENDS)
def test_start_up(benchmark: Any, backend: str) -> None:
    def start() -> float:
        code = START.replace("Sequential([", f"Sequential(backend={backend!r}, layers=[")
        result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        return float(result.stdout)

    start()  # compiles where nothing is compiled yet
    benchmark.group = "start-up: import, build, first step"
    benchmark.pedantic(start, rounds=5)
    benchmark.extra_info["seconds within the process"] = [start() for _ in range(5)]
