"""A graph with every kind of stage, penalties, a constraint and two outputs."""

from typing import Any

import numpy as np

import dnnkit as dk

CLASSES, NUMBERS = 5, 6
COLUMNS = NUMBERS + 2
"""Number of columns of all inputs, side by side."""


def network(backend: Any, dtype: Any, units: int = 12) -> dk.Model:
    """Return the compiled network: inputs are numbers and classes, outputs a class and two numbers."""
    numbers, classes = dk.Input((NUMBERS,), name="numbers"), dk.Input((2,), name="classes")
    looked_up = dk.Flatten()(dk.Embedding(CLASSES, 3)(classes))
    hot = dk.OneHot([CLASSES, CLASSES])(classes)
    normal = dk.Normalization(mean=[0.1] * NUMBERS, variance=[0.9] * NUMBERS)(numbers)
    waves = dk.Flatten()(dk.PeriodicEmbedding(2, 3, 1.0)(normal))
    noisy = dk.GaussianNoise(0.1)(dk.Scale()(normal))
    wide = dk.Concatenate()([looked_up, hot, waves, noisy])
    hidden = dk.Dense(units, kernel_regularizer=dk.regularizers.L2(1e-3))(wide)
    bent = dk.PReLU()(dk.BatchNormalization()(hidden))
    shared = dk.Dense(units, "tanh", kernel_constraint=dk.constraints.MaxNorm(2.0), name="shared")
    total = shared(bent) + shared(hidden) + dk.Dropout(0.2)(bent)
    last = dk.LayerNormalization()(total * dk.Dense(units, "sigmoid")(numbers))
    kind, size = dk.Dense(3, "softmax", name="kind")(last), dk.Dense(2, name="size")(total)
    net = dk.Model(
        {"numbers": numbers, "classes": classes}, {"kind": kind, "size": size}, backend=backend, dtype=dtype, seed=0
    )
    losses = {"kind": "sparse_categorical_crossentropy", "size": "mean_squared_error"}
    net.compile(dk.Adam(0.01), losses, {"kind": ["accuracy"], "size": ["mae"]}, {"size": 0.5})
    return net


def samples(rows: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return inputs and targets by name."""
    rng = np.random.default_rng(3)
    x = {"numbers": rng.normal(size=(rows, NUMBERS)), "classes": rng.integers(0, CLASSES, (rows, 2))}
    return x, {"kind": rng.integers(0, 3, rows), "size": rng.normal(size=(rows, 2))}


def matrices(rows: int) -> tuple[Any, Any]:
    """Return inputs and targets side by side, as executables take them; small integers, as bytes."""
    rng, (_, targets) = np.random.default_rng(4), samples(rows)
    y = np.concatenate([part.reshape(rows, -1) for part in targets.values()], axis=1)
    return rng.integers(0, CLASSES, (rows, COLUMNS), dtype=np.uint8), y.astype(np.float32)
