"""Networks that together use every activation, loss, optimizer and stage: for trajectories and conformance."""

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

import dnnkit as dk
from dnnkit.errors import TrainingWarning

STEP = "zero gradient"
"""The warning that compiling such a network gives."""

may_be_flat = pytest.mark.filterwarnings(f"ignore:{STEP}:dnnkit.errors.TrainingWarning")
"""For tests that compile or load networks of all activations themselves."""


@dataclass(frozen=True)
class Case:
    """A network to train: its layers without the last, the last, loss, optimizer."""

    hidden: tuple[dk.Layer, ...]
    last: dk.Layer
    loss: str
    optimizer: Any

    def network(self, backend: Any, dtype: Any = "float64", seed: int = 3) -> dk.Sequential:
        net = dk.Sequential(
            [dk.Rescaling(1 / 16, -0.5), dk.Flatten(), *self.hidden, self.last],
            backend=backend,
            seed=seed,
            dtype=dtype,
        )
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", STEP, TrainingWarning)
            net.compile(optimizer=self.optimizer, loss=self.loss, metrics=["accuracy"])
        return net

    def targets(self, labels: np.ndarray) -> np.ndarray:
        """Return class indices, one-hot rows or one output, as the loss requires."""
        if self.loss == "sparse_categorical_crossentropy":
            return labels
        if isinstance(self.last, dk.Dense) and self.last.units == 1:
            return (labels % 2)[:, None]
        return np.eye(10)[labels]


def dense(*activations: str, units: int = 12) -> tuple[dk.Layer, ...]:
    return tuple(dk.Dense(units, activation=activation) for activation in activations)


CASES = {
    "relu sigmoid tanh, softmax, sparse, adam": Case(
        dense("relu", "sigmoid", "tanh"),
        dk.Dense(10, activation="softmax"),
        "sparse_categorical_crossentropy",
        dk.Adam(0.01),
    ),
    "leaky_relu elu, dropout, softmax, categorical, rmsprop": Case(
        (*dense("leaky_relu"), dk.Dropout(0.3), *dense("elu")),
        dk.Dense(10, activation="softmax"),
        "categorical_crossentropy",
        dk.RMSprop(0.005),
    ),
    "selu gelu silu, one sigmoid, binary, adamw with clipping": Case(
        dense("selu", "gelu", "silu"),
        dk.Dense(1, activation="sigmoid"),
        "binary_crossentropy",
        dk.AdamW(0.01, weight_decay=0.02, global_clipnorm=0.1),
    ),
    "softplus softsign, linear, mean squared error, momentum with decay": Case(
        dense("softplus", "softsign"),
        dk.Dense(10),
        "mean_squared_error",
        dk.SGD(0.05, momentum=0.9, weight_decay=1e-3),
    ),
    "mish hard_sigmoid linear, no bias, sum of squares, nesterov with a schedule": Case(
        (*dense("mish", "hard_sigmoid"), dk.Dense(7, activation="linear", use_bias=False)),
        dk.Dense(10, activation="tanh"),
        "sum_squared_error",
        dk.SGD(dk.schedules.ExponentialDecay(1e-3, 50, 0.9), momentum=0.8, nesterov=True),
    ),
    "step softmax inside, activation layers, sgd": Case(
        (dk.Dense(12), dk.Activation("softmax"), *dense("relu"), dk.Rescaling(2.0, 0.1), *dense("step")),
        dk.Dense(10, activation="softmax"),
        "sparse_categorical_crossentropy",
        dk.SGD(0.1),
    ),
    "frozen below and between, softmax, sparse, adamw with clipping": Case(
        (
            dk.Dense(12, activation="tanh", trainable=False),
            *dense("relu"),
            dk.Dropout(0.2),
            dk.Dense(12, activation="gelu", trainable=False),
        ),
        dk.Dense(10, activation="softmax"),
        "sparse_categorical_crossentropy",
        dk.AdamW(0.01, weight_decay=0.02, global_clipnorm=0.1),
    ),
}


def data(samples: int = 90) -> tuple[np.ndarray, np.ndarray]:
    """Draw uint8 images (N, 4, 4) with values 0–16 and labels that depend on them."""
    rng = np.random.default_rng(5)
    x = rng.integers(0, 17, (samples, 4, 4), dtype=np.uint8)
    return x, x.reshape(samples, -1)[:, :10].argmax(axis=1)
