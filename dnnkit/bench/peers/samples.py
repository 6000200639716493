"""Images and labels for all peers, written once by the parent and read by each child."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .works import Work

NAMES = ("x", "y", "x_test", "y_test")
PIXELS = 784
LARGEST = 255
ALIGNMENT = 64


class Samples(NamedTuple):
    """Rows and labels for training and test."""

    x: NDArray[Any]
    y: NDArray[Any]
    x_test: NDArray[Any]
    y_test: NDArray[Any]


def write(folder: Path, samples: Samples, count: int) -> None:
    """Write the samples as bytes, at most `count` for training."""
    x, y, x_test, y_test = samples
    arrays = x[:count].reshape(-1, PIXELS), y[:count], x_test.reshape(-1, PIXELS), y_test
    for name, array in zip(NAMES, arrays, strict=True):
        np.save(folder / f"{name}.npy", array)


def read(folder: Path, samples: int, as_bytes: bool, standardized: bool = False) -> Samples:
    """Read at most `samples` for training, as bytes, as float32 from 0 to 1, or standardized."""
    x, y, x_test, y_test = (np.load(folder / f"{name}.npy", mmap_mode="r") for name in NAMES)
    x, convert = x[:samples], np.array if as_bytes else _scaled
    result = Samples(convert(x), y[:samples].astype(np.int64), convert(x_test), y_test.astype(np.int64))
    if standardized:
        mean, deviation = np.float32(x.mean() / LARGEST), np.float32(x.std() / LARGEST)
        for pixels in (result.x, result.x_test):
            np.subtract(pixels, mean, out=pixels)
            np.divide(pixels, deviation, out=pixels)
    return result


def random_digits(samples: int, tests: int) -> Samples:
    """Return a replacement for MNIST: ten patterns of 784 pixels with noise."""
    rng = np.random.default_rng(0)
    patterns = rng.random((10, PIXELS)) < 0.2
    y = rng.integers(0, 10, samples + tests)
    x = np.where(rng.random((len(y), PIXELS)) < 0.3, rng.random((len(y), PIXELS)) < 0.2, patterns[y])
    x, y = (LARGEST * x).astype(np.uint8), y.astype(np.uint8)
    return Samples(x[:samples], y[:samples], x[samples:], y[samples:])


def _scaled(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Scale to 0 to 1, aligned to a cache line, which JAX accepts without a copy."""
    memory = np.empty(images.size * 4 + ALIGNMENT, np.uint8)
    start = -memory.ctypes.data % ALIGNMENT
    result = memory[start : start + images.size * 4].view(np.float32).reshape(images.shape)
    np.divide(images, np.float32(LARGEST), out=result)
    return result


def drawn(work: Work) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return normal numbers without zeros, and noisy targets that depend on them, for any dense network.

    Each child draws them itself: they depend on the workload alone.
    """
    rng, features, outputs = np.random.default_rng(0), work.widths[0], work.widths[-1]
    x = rng.standard_normal((work.samples, features), work.dtype)
    x[x == 0] = 1
    scores = x[:, np.arange(outputs) % features] + rng.standard_normal((work.samples, outputs), work.dtype)
    if work.loss == "sparse_categorical_crossentropy":
        return x, scores.argmax(axis=1)
    return x, scores if work.loss == "mean_squared_error" else (scores > 0).astype(work.dtype)
