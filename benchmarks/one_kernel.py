"""Softmax cross-entropy in each version: `python -m benchmarks.one_kernel`; the figures of docs/one-kernel.md.

Nanoseconds per logit, the minimum of some rounds in turn, which excludes other load.
"""

from collections.abc import Callable
from functools import partial
from time import perf_counter
from typing import Any

import numpy as np

from dnnkit.backends import get_backend
from dnnkit.backends.measures import Loss
from dnnkit.kernels.losses.softmax_cross_entropy.reference import loss_and_gradient

SHAPES = ((32, 10), (65_536, 10), (4_096, 1_000))
ROUNDS, LEAST = 15, 0.02
"""Number of rounds, and minimum seconds of each."""

LOSS = Loss("softmax_cross_entropy", "labels", "mean")


def textbook(logits: Any, labels: Any, out: Any) -> float:
    """Softmax, one-hot rows, logarithm, gradient: one NumPy pass per step."""
    exponentials = np.exp(logits)
    p = exponentials / exponentials.sum(axis=1, keepdims=True)
    t = np.eye(logits.shape[1], dtype=logits.dtype)[labels]
    loss = -np.sum(t * np.log(p))
    dp = -t / p
    out[...] = p * (dp - np.sum(dp * p, axis=1, keepdims=True))
    return float(loss)


def reference(logits: Any, labels: Any, out: Any) -> float:
    """The formula of the contract, on the whole batch."""
    total, out[...] = loss_and_gradient(logits, labels, None, 1.0)
    return float(total)


def backend(name: str) -> Callable[[Any, Any, Any], float]:
    """Return the function that a backend calls."""
    chosen: Any = get_backend(name)
    return lambda logits, labels, out: float(chosen.loss(LOSS, logits, labels, None, 1.0, out=out)[0])


def floor(logits: Any, labels: Any, out: Any) -> float:
    """Only read and write what is necessary."""
    np.copyto(out, logits)
    return float(labels[-1])


VERSIONS = {
    "textbook": textbook,
    "reference.py": reference,
    "NumPy backend, by blocks of rows": backend("numpy"),
    "Numba backend, cpu.py": backend("numba"),
    "a copy": floor,
}


def seconds(call: Callable[[], Any]) -> float:
    """Return the seconds per call, over as many calls as take `LEAST` seconds."""
    count, took = 1, 0.0
    while True:
        begin = perf_counter()
        for _ in range(count):
            call()
        took = perf_counter() - begin
        if took >= LEAST:
            return took / count
        count *= 4


def main() -> None:
    """Print a Markdown table."""
    rng = np.random.default_rng(0)
    print("| version |", " | ".join(f"{rows:,} × {columns:,}" for rows, columns in SHAPES), "|")
    print("| --- |" + " --- |" * len(SHAPES))
    found: dict[str, list[str]] = {name: [] for name in VERSIONS}
    for shape in SHAPES:
        logits = rng.normal(size=shape).astype(np.float32)
        labels, out = rng.integers(0, shape[1], shape[0]), np.empty(shape, np.float32)
        least = dict.fromkeys(VERSIONS, float("inf"))
        for _ in range(ROUNDS):
            for name, version in VERSIONS.items():
                least[name] = min(least[name], seconds(partial(version, logits, labels, out)))
        for name, value in least.items():
            found[name].append(f"{1e9 * value / logits.size:.2f}")
    for name, row in found.items():
        print(f"| {name} |", " | ".join(row), "|")


if __name__ == "__main__":
    main()
