"""Training steps, network by backend: seconds for a stretch of steps of one executable call.

Run `make bench`, or `pytest benchmarks` with the options of pytest-benchmark.
"""

from typing import Any

import numpy as np
import pytest

import dnnkit as dk
from dnnkit.backends import available, get_backend

NETWORKS = {
    "784-128-10 relu adam batch 32": ((784, 128, 10), "relu", "adam", 32),
    "784-512-10 relu adam batch 128": ((784, 512, 10), "relu", "adam", 128),
    "784-50-10 sigmoid sgd batch 100": ((784, 50, 10), "sigmoid", "sgd", 100),
}
STEPS = 100


@pytest.mark.parametrize("backend", [info.name for info in available() if info.available])
@pytest.mark.parametrize("name", NETWORKS)
def test_training_steps(benchmark: Any, name: str, backend: str) -> None:
    widths, activation, optimizer, batch_size = NETWORKS[name]
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (STEPS * batch_size, widths[0]), dtype=np.uint8)
    y = rng.integers(0, widths[-1], len(x))
    hidden = [dk.Dense(width, activation=activation) for width in widths[1:-1]]
    net = dk.Sequential(
        [dk.Rescaling(1 / 255), *hidden, dk.Dense(widths[-1], activation="softmax")], backend=backend, seed=0
    )
    net.compile(optimizer=optimizer, loss="sparse_categorical_crossentropy")
    net.build(widths[0])
    executable, order = net.executable, np.arange(len(x))
    executable.begin_epoch(executable.load(x, y, None), order, batch_size)
    hyperparameters = net.optimizer.hyperparameters(0, STEPS)

    benchmark.group = name
    benchmark.extra_info |= {"version": get_backend(backend).version, "steps": STEPS, "plan": executable.plan.execution}
    benchmark.pedantic(executable.run_steps, (0, STEPS, hyperparameters), rounds=10, warmup_rounds=1)
    assert np.isfinite(executable.totals().loss)
