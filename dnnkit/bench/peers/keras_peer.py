"""Keras on KERAS_BACKEND, or the first installed of JAX, TensorFlow and PyTorch; many steps per execution."""

# The library has no types here.
# mypy: warn-return-any=False

import importlib.util
import os
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import machine
from .works import Network, Work, initial_weights, repeated

BACKENDS = ("jax", "tensorflow", "torch")
_installed = [name for name in BACKENDS if importlib.util.find_spec(name) is not None]
os.environ.setdefault("KERAS_BACKEND", _installed[0] if _installed else BACKENDS[0])

import keras  # noqa: E402 - reads the variable

PACKAGES = ("keras", *BACKENDS)
VARIANTS = ("",)
STEPS_PER_EXECUTION = 64


def about(variant: str) -> dict[str, str]:
    setting = f"fit on {keras.backend.backend()}, {STEPS_PER_EXECUTION} steps per execution"
    return {"setting": setting, "threads": f"its backend's, up to {machine.processors()}"}


def network(work: Work, x: NDArray[Any], y: NDArray[Any], variant: str) -> Network:
    keras.utils.set_random_seed(0)
    hidden = [keras.layers.Dense(width, activation=work.activation) for width in work.widths[1:-1]]
    output = keras.layers.Dense(work.widths[-1], activation="softmax")
    model = keras.Sequential([keras.layers.Input((work.widths[0],)), *hidden, output])
    rate = work.learning_rate
    optimizer = keras.optimizers.Adam(rate, epsilon=1e-8) if work.optimizer == "adam" else keras.optimizers.SGD(rate)
    model.compile(
        optimizer, "sparse_categorical_crossentropy", steps_per_execution=min(STEPS_PER_EXECUTION, work.steps)
    )
    model.set_weights([array for layer in initial_weights(work) for array in layer])

    def epoch() -> float:
        return float(model.fit(x, y, batch_size=work.batch_size, epochs=1, verbose=0).history["loss"][0])

    def predict(rows: NDArray[Any]) -> NDArray[Any]:
        if len(rows) <= 32:  # a single call without predict's overhead
            return np.asarray(model.predict_on_batch(rows))
        return model.predict(rows, batch_size=1024, verbose=0)

    return Network(repeated(epoch), predict)
