"""784-128-10 on images like MNIST's, or on MNIST itself if it is available."""

import os
from pathlib import Path
from typing import Any

import numpy as np

import dnnkit as dk
from dnnkit.backends.base import Backend


def train(backend: Backend, samples: int, epochs: int) -> dict[str, Any]:
    """Seconds of each epoch, losses, and the accuracy on images that were not trained on."""
    (x, y), (x_test, y_test), source = _images(samples)
    hidden = dk.Dense(128, activation="relu")
    net = dk.Sequential(
        [dk.Rescaling(1 / 255), dk.Flatten(), hidden, dk.Dense(10, activation="softmax")], backend=backend, seed=0
    )
    net.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    history = net.fit(x, y, batch_size=32, epochs=epochs, verbose=0)
    return {
        "network": "784-128-10, relu, adam, batch 32, float32",
        "images": source,
        "samples": len(x),
        "execution": history.plan.execution,
        "seconds_per_epoch": history.seconds,
        "loss": history["loss"],
        "accuracy": history["accuracy"],
        "test_accuracy": net.evaluate(x_test, y_test)["accuracy"],
    }


def _images(samples: int) -> tuple[Any, Any, str]:
    folder = os.environ.get("DNNKIT_DATA_DIR")
    if folder and (Path(folder) / "mnist").is_dir():
        (x, y), test = dk.datasets.mnist.load_data()
        return (x[:samples], y[:samples]), test, "MNIST"
    rng = np.random.default_rng(3)
    prototypes = rng.integers(0, 256, (10, 28, 28))
    labels = rng.integers(0, 10, samples + max(100, samples // 6))
    noise = rng.integers(-200, 201, (len(labels), 28, 28), dtype=np.int16)
    x = np.clip(prototypes[labels] + noise, 0, 255).astype(np.uint8)
    return (x[:samples], labels[:samples]), (x[samples:], labels[samples:]), "made up: ten patterns and noise"
