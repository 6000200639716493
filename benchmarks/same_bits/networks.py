"""Sixty random networks, trained in one process, and hashes of the results."""

import hashlib
import json
import random
import sys
from typing import Any

import numpy as np

import dnnkit as dk
from dnnkit.backends.numba_backend import cost_model
from dnnkit.backends.processors import processors

COUNT, STEPS = 60, 8
OPTIMIZERS = (
    lambda: dk.SGD(0.05, momentum=0.9),
    lambda: dk.Adam(0.002),
    lambda: dk.AdamW(0.002, weight_decay=0.01, global_clipnorm=1.0),
    lambda: dk.RMSprop(0.001),
)


def main() -> None:
    """Print as JSON the partition and the hash of each network, trained with the given number of threads."""
    threads = int(sys.argv[1])
    cost_model.usable = lambda asked: asked or processors()  # simulate that many processors
    print(json.dumps([trained(number, threads) for number in range(COUNT)]))


def trained(number: int, threads: int) -> tuple[str, str]:
    """Return the partition that a network was trained with, and a hash of all results."""
    chance = random.Random(number)
    features, batch_size = chance.choice([1, 4, 20, 64, 300, 784]), chance.choice([1, 16, 32, 100, 128, 512])
    hidden = [int(2 ** chance.uniform(2, 9)) for _ in range(chance.randint(1, 4))]
    layers: list[Any] = []
    for units in hidden:
        layers.append(dk.Dense(units, chance.choice(["relu", "tanh", "gelu"])))
        if chance.random() < 0.2:
            layers.append(dk.Dropout(0.2))
    classes, dtype = chance.choice([2, 10]), chance.choice(["float32", "float64"])
    layers.append(dk.Dense(classes, "softmax"))
    net = dk.Sequential(layers, seed=number, backend="numba", dtype=dtype, num_threads=threads)
    net.compile(chance.choice(OPTIMIZERS)(), "sparse_categorical_crossentropy")
    rng = np.random.default_rng(number)
    rows = STEPS * batch_size - batch_size // 3  # the last batch is shorter
    x, y = rng.normal(size=(rows, features)).astype(dtype), rng.integers(0, classes, rows)
    history = net.fit(x, y, batch_size=batch_size, verbose=0)
    snapshot = net.executable.snapshot()
    digest = hashlib.sha256(np.array(history.history["loss"]).tobytes())
    for name, value in sorted({**snapshot.parameters, **snapshot.slots}.items()):
        digest.update(name.encode())
        digest.update(np.ascontiguousarray(value).tobytes())
    return history.plan.details["partition"], digest.hexdigest()


if __name__ == "__main__":
    main()
