"""Networks to train together, each with a twin that is trained alone."""

from typing import Any

import numpy as np
from scipy import sparse

import dnnkit as dk
from dnnkit.backends import Backend

SAMPLES, FEATURES, CLASSES, BATCH = 53, 7, 3, 8


def data() -> tuple[Any, Any]:
    """Draw samples with a pattern, and zeros among them."""
    rng = np.random.default_rng(5)
    x = rng.normal(size=(SAMPLES, FEATURES)).astype(np.float32) * (rng.random((SAMPLES, FEATURES)) < 0.6)
    return x, (x @ rng.normal(size=(FEATURES, CLASSES))).argmax(axis=1)


def wide() -> tuple[Any, Any]:
    """Return them as a sparse matrix with many empty columns, of which 1.5 % of the numbers are stored."""
    x, y = data()
    return sparse.csr_array(np.pad(x, ((0, 0), (250, 50)))), y


def network(backend: Backend, seed: int, **differs: Any) -> dk.Sequential:
    """Return one network of a sweep, with one thread; `differs` is one of those below."""
    made = {
        "units": 6, "activation": "relu", "dropout": 0.0, "optimizer": dk.Adam(0.01), "dtype": "float32",
        "loss": "sparse_categorical_crossentropy", "metrics": ["accuracy"], "num_threads": 1, "first": (), **differs,
    }  # fmt: skip
    layers: list[Any] = [*made["first"], dk.Dense(made["units"], activation=made["activation"])]
    if made["dropout"]:
        layers.append(dk.Dropout(made["dropout"]))
    if made["loss"] == "sparse_categorical_crossentropy":
        layers.append(dk.Dense(CLASSES, activation="softmax"))
    else:
        layers.append(dk.Dense(1))
    net = dk.Sequential(layers, seed=seed, backend=backend, dtype=made["dtype"], num_threads=made["num_threads"])
    net.compile(made["optimizer"], made["loss"], metrics=made["metrics"])
    return net


def everything(net: Any) -> dict[str, Any]:
    """Return everything that decides the future, and the measurements, as bits."""
    snapshot = net.executable.snapshot()
    arrays = {**snapshot.parameters, **snapshot.slots}
    state = snapshot.state
    return {
        **{name: value.tobytes() for name, value in arrays.items()},
        "state": (state.step, state.epoch, state.position, state.evaluations),
        "history": measured(net.history),
    }


def measured(history: dk.History) -> tuple[Any, ...]:
    """Return a History without its seconds."""
    return tuple(history.epoch), {name: np.array(values).tobytes() for name, values in history.history.items()}
