"""Small data sets on disk, and networks that train on them."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import dnnkit as dk
from dnnkit.streams import Stream

ROWS, FEATURES, CLASSES, BATCH = 523, 12, 4, 16
BUFFER = 70 * (4 * FEATURES + 8) / 2**20
"""MiB for 64 rows of numbers and labels: 8 chunks, the last of which also has an incomplete batch."""


def data(dtype: str = "float32") -> tuple[NDArray[Any], NDArray[Any]]:
    """Draw samples, all different, and labels."""
    rng = np.random.default_rng(3)
    x = rng.integers(0, 3, (ROWS, FEATURES)) if dtype == "uint8" else rng.normal(size=(ROWS, FEATURES))
    return x.astype(dtype), rng.integers(0, CLASSES, ROWS)


def write(folder: Path, dtype: str = "float32", shards: int = 3) -> tuple[str, str]:
    """Return patterns of the shards that were written, of samples and of labels."""
    for name, array in zip("xy", data(dtype), strict=True):
        for number, part in enumerate(np.array_split(array, shards)):
            np.save(folder / f"{name}-{number}.npy", part)
    return str(folder / "x-*.npy"), str(folder / "y-*.npy")


def opened(folder: Path, dtype: str = "float32", **options: Any) -> Stream:
    """Return the same data as a stream that is read chunk by chunk."""
    return dk.streams.open(*write(folder, dtype), **{"buffer": BUFFER, "block_rows": 7, **options})


def network(backend: Any = None, dtype: Any = "float32") -> dk.Sequential:
    """With dropout, so that every step matters."""
    layers = [dk.Dense(16, activation="relu"), dk.Dropout(0.2), dk.Dense(CLASSES, activation="softmax")]
    net = dk.Sequential(layers, seed=5, backend=backend, dtype=dtype)
    net.compile(dk.Adam(1e-2), "sparse_categorical_crossentropy", metrics=["accuracy"])
    return net


def bits(net: dk.Sequential) -> dict[str, bytes]:
    """Return everything that training changes."""
    snapshot = net.executable.snapshot()
    return {name: value.tobytes() for name, value in {**snapshot.parameters, **snapshot.slots}.items()}
