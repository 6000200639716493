"""Cost of frozen layers in a training step: only their forward pass.

    python -m benchmarks.frozen [--rounds 9] [--backend numba] [--partition units/1] [--json FILE]

The networks are 784-128-10 and 784-512-512-10 with ReLU and softmax, float32, Adam, on 6,000 random rows without
zeros. Each is trained as a whole, with its lowest layers frozen, and with its last layer frozen; for comparison with
lower bounds, its forward pass alone (an evaluation with the same batch size), and its last layer alone, trained on
the features that the frozen ones produce. All take turns in one process. The fastest round counts, because other load
only slows rounds down; times are µs of processor time per step, summed over workers.
"""

import argparse
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from time import process_time
from typing import Any

import numpy as np

from benchmarks.trajectories.environment import environment

ROWS, EPOCHS = 6000, 2
WORKS = (((784, 128, 10), 32), ((784, 512, 512, 10), 128))
"""Widths, and rows per batch."""


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.frozen", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--backend", default="numba")
    parser.add_argument("--partition", default="", help="such as units/1 or rows/2; default: chosen by the cost model")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results to this file")
    options = parser.parse_args(arguments)
    if options.partition:
        os.environ["DNNKIT_PARTITION"] = options.partition
    results = {
        f"{'-'.join(map(str, widths))}, batches of {batch}": measured(widths, batch, options.backend, options.rounds)
        for widths, batch in WORKS
    }
    print(table(results))
    if options.json is not None:
        found = {"environment": environment(), **vars(options), "json": None, "results": results}
        options.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    return 0


def measured(widths: tuple[int, ...], batch: int, backend: str, rounds: int) -> dict[str, float]:
    """Return the time of each kind of step, in µs."""
    times: dict[str, list[float]] = {}
    kinds = steps(widths, batch, backend)
    for number in range(rounds + 1):
        for name, (count, do) in kinds.items():
            start = process_time()
            do()
            if number:  # the first compiles
                times.setdefault(name, []).append((process_time() - start) / count * 1e6)
    return {name: min(values) for name, values in times.items()}


def steps(widths: tuple[int, ...], batch: int, backend: str) -> dict[str, tuple[int, Callable[[], Any]]]:
    """Return, by kind, the number of steps and the function that runs them."""
    import dnnkit as dk

    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(ROWS, widths[0])).astype(np.float32), rng.integers(0, widths[-1], ROWS)
    hidden = [dk.Dense(units, activation="relu") for units in widths[1:-1]]
    last = dk.Dense(widths[-1], activation="softmax")

    def network(layers: list[dk.Layer], *frozen: int) -> dk.Sequential:
        net = dk.Sequential(layers, seed=0, backend=backend)
        net.compile("adam", "sparse_categorical_crossentropy")
        for place in frozen:
            net.freeze(place)
        return net

    def training(net: dk.Sequential, x: Any) -> tuple[int, Callable[[], Any]]:
        return EPOCHS * -(-ROWS // batch), lambda: net.fit(x, y, batch_size=batch, epochs=EPOCHS, verbose=0)

    below = range(len(hidden))
    whole, upper = network([*hidden, last]), network([*hidden, last], *below)
    features = dk.Sequential(hidden, seed=0, backend=backend).predict(x)
    return {
        "all trained": training(whole, x),
        "all but the last frozen": training(upper, x),
        "the last frozen": training(network([*hidden, last], len(hidden)), x),
        "forward alone": (-(-ROWS // batch), lambda: upper.evaluate(x, y, batch_size=batch)),
        "the last alone": training(network([last]), features),
    }


def table(results: dict[str, dict[str, float]]) -> str:
    """Format the results."""
    columns = list(next(iter(results.values())))
    lines = [" | ".join(["µs per step", *columns]), " | ".join(["---"] * (1 + len(columns)))]
    lines += [" | ".join([name, *(f"{each[column]:,.1f}" for column in columns)]) for name, each in results.items()]
    return "\n".join(f"| {line} |" for line in lines)


if __name__ == "__main__":
    sys.exit(main())
