"""One trajectory: train and query a network, and hash every result."""

import copy
import hashlib
import os
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

import dnnkit as dk
from benchmarks.trajectories.networks import Network
from benchmarks.trajectories.samples import Rows
from dnnkit.errors import TrainingWarning

DTYPES = ("float32", "float64")
PARTITION_VARIABLES = ("DNNKIT_DIVISION", "DNNKIT_PARTITION")
"""Variables for the partition, before and after a renaming; both are set."""

SEED = 20261128
FEW = 5
"""Number of rows of a small prediction, for which some backends have a separate path."""

BATCH = 24
"""Batch size of the continued training."""


@dataclass(frozen=True)
class Setting:
    """Where a network is trained: backend, threads, and partition (None for the backend's choice)."""

    backend: str
    threads: int
    partition: str | None = None

    def __str__(self) -> str:
        return f"{self.backend} {self.threads}" + (f" {self.partition}" if self.partition else "")


SETTINGS = (
    Setting("numpy", 1),
    Setting("numpy", 2),
    Setting("numba", 1),
    Setting("numba", 2, "units/2"),
    Setting("numba", 2, "rows/2"),
)


def train(network: Network, dtype: Any, setting: Setting) -> dict[str, dict[str, np.ndarray]]:
    """Return everything readable of the network, by part and name: before, during and after training."""
    place = {"backend": setting.backend, "num_threads": setting.threads}
    net = dk.Sequential(network.layers, seed=SEED, dtype=dtype, **place)
    rows, held_out = network.samples.draw(SEED)
    if not network.weighted:
        rows, held_out = rows._replace(weights=None), held_out._replace(weights=None)
    with _partition(setting.partition), warnings.catch_warnings():
        warnings.simplefilter("ignore", TrainingWarning)  # plausibility is irrelevant here
        net.compile(copy.deepcopy(network.optimizer), network.loss, network.metrics)
        net.build(network.samples.shape)
        return {"initial": dict(net.parameters), **_trained(net, network, rows, held_out), **_continued(net, rows)}


def _trained(net: dk.Sequential, network: Network, rows: Rows, held_out: Rows) -> dict[str, dict[str, np.ndarray]]:
    """Train, and query everything."""
    history = net.fit(
        rows.x,
        rows.y,
        sample_weight=rows.weights,
        validation_data=held_out if network.validated else None,
        callbacks=[make() for make in network.callbacks],
        verbose=0,
        **network.fit,
    )
    snapshot = net.executable.snapshot()
    some = _some(rows)
    loss, gradients = net.get_gradients(some.x, some.y, with_input=True, sample_weight=some.weights)
    seen = net.evaluate(rows.x, rows.y, sample_weight=rows.weights)
    unseen = net.evaluate(held_out.x, held_out.y, batch_size=9)
    return {
        "parameters": dict(snapshot.parameters),
        "state": {**snapshot.slots, **_numbers({"step": snapshot.state.step, "epoch": snapshot.state.epoch})},
        "history": _numbers({**history.history, "epoch": history.epoch}),
        "predictions": {
            "all": net.predict(rows.x),
            "held out, 7 rows at a time": net.predict(held_out.x, batch_size=7),
            "few": net.predict(np.ascontiguousarray(rows.x[:FEW], net.dtype)),
        },
        "evaluation": {**_numbers(seen, "seen"), **_numbers(unseen, "unseen")},
        "gradients": {**gradients, **_numbers({"loss": loss})},
    }


def _continued(net: dk.Sequential, rows: Rows) -> dict[str, dict[str, np.ndarray]]:
    """Continue: a manual step, then another epoch."""
    some = _some(rows)
    loss = net.train_step(some.x, some.y, some.weights)
    history = net.fit(rows.x, rows.y, batch_size=BATCH, sample_weight=rows.weights, verbose=0)
    numbers = _numbers({**history.history, "loss of the step": loss})
    return {"continued": {**net.executable.snapshot().parameters, **numbers}}


def _some(rows: Rows) -> Rows:
    """The first half of the rows, and one more: for one large batch."""
    return Rows(*(None if each is None else each[: len(rows.x) // 2 + 1] for each in rows))


def digest(arrays: Mapping[str, np.ndarray]) -> str:
    """The SHA-256 of arrays: of each name, dtype, shape and bytes, in the order of the names."""
    total = hashlib.sha256()
    for name, array in sorted(arrays.items()):
        array = np.asarray(array)
        total.update(f"{name}\n{array.dtype.str}\n{array.shape}\n".encode())
        total.update(np.ascontiguousarray(array).tobytes())
    return total.hexdigest()


def flat(parts: Mapping[str, Mapping[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """The arrays of all parts, by `part: name`."""
    return {f"{part}: {name}": array for part, arrays in parts.items() for name, array in arrays.items()}


def _numbers(values: Mapping[str, Any], which: str = "") -> dict[str, np.ndarray]:
    return {f"{which} {name}": np.array(value, np.float64) for name, value in values.items()}


@contextmanager
def _partition(partition: str | None) -> Iterator[None]:
    """The environment says how to divide the work, or nothing."""
    before = {name: os.environ.pop(name, None) for name in PARTITION_VARIABLES}
    if partition:
        os.environ |= dict.fromkeys(PARTITION_VARIABLES, partition)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
