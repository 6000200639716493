"""Saves of earlier versions, which every later version reads.

    python -m tests.dnnkit.saves FOLDER     # how format-1 was made, for a folder that does not exist yet

Next to `format-1/` is `format-1.json`: the predictions of the version that wrote it, and its results after another
epoch of training. A save is never made again. A new format gets a new folder.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

import dnnkit as dk
from benchmarks.trajectories.environment import environment
from benchmarks.trajectories.training import PARTITION_VARIABLES, digest

BACKENDS = ("numba", "numpy")
PARTITION = "units/2"
SHAPE = (2, 5)


def training_data(samples: int = 90) -> tuple[np.ndarray, np.ndarray]:
    """Draw uint8 samples (N, 2, 5) with values 0 to 16, and the class 0 to 2 of each: the same on every machine."""
    numbers = np.arange(samples * 10)
    x = (numbers * numbers // 7 % 17).astype(np.uint8).reshape(samples, 10)
    labels = x[:, :6].reshape(samples, 3, 2).astype(int).sum(axis=2).argmax(axis=1)
    return x.reshape(samples, *SHAPE), labels


def questions(samples: int = 24) -> np.ndarray:
    """Return the samples for predictions: float32 from 0 to 16."""
    return np.linspace(0, 16, samples * 10, dtype=np.float32).reshape(samples, *SHAPE)


def go_on(net: dk.Sequential) -> dk.History:
    """Train the epoch after those of the save."""
    x, labels = training_data()
    return net.fit(x, labels, batch_size=20, validation_data=(x[::2], labels[::2]), verbose=0)


def make(folder: Path) -> None:
    """Train a network, save it, and write its results next to it."""
    os.environ |= dict.fromkeys(PARTITION_VARIABLES, PARTITION)
    bend = dk.activation("bend", "x / (1 + exp(-beta * x)) + 0.1 * sin(x)", beta=1.5)
    layers = [
        *(dk.Rescaling(1 / 8, -1.0), dk.Flatten(), dk.Dense(13, bend), dk.Dropout(0.25)),
        *(dk.Dense(9, "tanh", use_bias=False), dk.Dense(3, "softmax")),
    ]
    net = dk.Sequential(layers, backend="numba", seed=7, num_threads=2)
    schedule = dk.schedules.CosineDecay(0.02, 40, alpha=0.1, warmup_steps=4)
    net.compile(dk.Adam(schedule, global_clipnorm=1.0), "sparse_categorical_crossentropy", metrics=["accuracy"])
    for _ in range(3):
        go_on(net)
    net.save(folder)
    for name in PARTITION_VARIABLES:
        del os.environ[name]
    # The shortest decimal fractions that give these float32 numbers.
    predictions = [[float(str(value)) for value in row] for row in net.predict(questions())]
    expected = {
        "dnnkit": dk.__version__,
        "history": net.history.history,
        "predictions": predictions,
        "continued": continued(dk.load(folder, backend="numba")),
        "environment": environment(),
        "sha256": {backend: sums(dk.load(folder, backend=backend)) for backend in BACKENDS},
    }
    folder.with_suffix(".json").write_text(json.dumps(expected, indent=1) + "\n")


def continued(net: dk.Sequential) -> Mapping[str, float]:
    """Return loss and metrics of the next epoch."""
    return {name: value for name, (value,) in go_on(net).history.items()}


def sums(net: dk.Sequential) -> dict[str, str]:
    """Return hashes: of the predictions, and, an epoch later, of parameters, optimizer state and history."""
    asked: dict[str, Any] = {"predictions": net.predict(questions())}
    history = {name: np.array(values) for name, values in go_on(net).history.items()}
    snapshot = net.executable.snapshot()
    return {"predictions": digest(asked), "continued": digest({**snapshot.parameters, **snapshot.slots, **history})}
