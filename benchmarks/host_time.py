"""Host time of a training step on a GPU: microseconds per step, with launches replaced by no-ops.

    python -m benchmarks.host_time [--steps 1875] [--rounds 5]

This is dnnkit's Python overhead without CUDA's. No GPU is needed: without one, the tests' stand-in for CuPy provides
the arrays, and a step is computed once on the CPU to be recorded. "launch by launch" is a step that is not recorded;
it includes views and shapes of arrays, which are slower in the stand-in than in CuPy.
"""

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from time import perf_counter
from typing import Any
from unittest.mock import patch

import numpy as np

import dnnkit as dk
from benchmarks.gpu_check import graphs
from dnnkit.backends.cupy_backend.backend import CupyBackend
from dnnkit.backends.cupy_backend.executable import CupyExecutable
from dnnkit.kernels._cuda import launch, products

NETWORKS: dict[str, tuple[int, ...]] = {
    "784-128-10": (784, 128, 10),
    "784-512-512-10": (784, 512, 512, 10),
    "20-64-64-64-10": (20, 64, 64, 64, 10),
    "a graph": (),
}
"""Widths; the graph has every kind of stage."""

BATCH, ROWS = 32, 64


class Nothing:
    """A function, graph, event and library that do nothing."""

    def __call__(self, *arguments: Any, **options: Any) -> None:
        """Launch nothing."""

    launch = synchronize = record = __call__

    def __getattr__(self, name: str) -> Any:
        return self if not name.startswith("__") else super().__getattribute__(name)


NOTHING = Nothing()


@contextmanager
def cupy_or_its_stand_in() -> Iterator[str]:
    """Provide CuPy or its stand-in, and yield its name."""
    if CupyBackend.unavailable_reason() is None:
        yield "CuPy"
        return
    from tests.cuda_on_cpu import cupy_stand_in

    with cupy_stand_in.in_place_of_cupy():
        yield "the stand-in for CuPy"


def classifier(widths: tuple[int, ...]) -> dk.Sequential:
    """Return a classifier with ReLU, softmax, Adam and accuracy."""
    hidden = [dk.Dense(width, activation="relu") for width in widths[1:-1]]
    net = dk.Sequential([*hidden, dk.Dense(widths[-1], activation="softmax")], seed=0, backend="cupy")
    net.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    net.build(widths[0])
    return net


def ready(widths: tuple[int, ...]) -> tuple[Any, Any, Any]:
    """Return (network, x, y)."""
    if not widths:
        net = graphs.network("cupy", "float32")
        net.build(graphs.COLUMNS)
        return (net, *graphs.matrices(ROWS))
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(ROWS, widths[0])).astype(np.float32), rng.integers(0, widths[-1], ROWS)
    return classifier(widths), x, y


def measure(widths: tuple[int, ...], steps: int, rounds: int) -> dict[str, float]:
    """Return the microseconds per step of each mode."""
    net, x, y = ready(widths)
    data, found = net.executable.load(x, y, None), {}
    for name, captures in (("recorded", False), ("graphs", True)):
        with patch.object(CupyExecutable, "makes_graphs", captures):
            found[name] = 1e6 * seconds_per_step(net, data, steps, rounds)
    with patch.object(CupyExecutable, "records", False), launching_nothing():
        found["launch by launch"] = 1e6 * seconds_per_step(net, data, min(steps, 200), rounds)
    return found


def seconds_per_step(net: Any, data: Any, steps: int, rounds: int) -> float:
    """Return the seconds per step without the first two steps of an epoch, in the fastest of several rounds."""
    executable: Any = net.executable
    executable._release(buffers=True)  # recorded in another mode
    best = float("inf")
    for _ in range(rounds):
        executable.begin_epoch(data, np.arange(steps * BATCH) % ROWS, BATCH)
        executable.run_steps(0, 2, net.optimizer.hyperparameters(0, 2))
        for step in executable.epoch.timeline.steps_recorded.values():
            step._calls = [(NOTHING, arguments) for _, arguments in step._calls]
            if step.why_no_graph == "":
                step._graph, step._events = NOTHING, [NOTHING, NOTHING]
        numbers = net.optimizer.hyperparameters(2, steps - 2)
        begin = perf_counter()
        executable.run_steps(2, steps, numbers)
        best = min(best, (perf_counter() - begin) / (steps - 2))
    return best


@contextmanager
def launching_nothing() -> Iterator[None]:
    """Look up kernels and cuBLAS and prepare their arguments, but launch nothing."""
    compiled = launch._kernel
    silent = cache(lambda *given: replace(compiled(*given), function=NOTHING))
    with patch.object(launch, "_kernel", silent), patch.object(products, "library", lambda cupy: NOTHING):
        products.forget()
        yield
    products.forget()


def main(arguments: list[str] | None = None) -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.host_time", description=__doc__.partition("\n")[0])
    parser.add_argument("--steps", type=int, default=1875, help="steps per epoch, of 32 rows each")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args(arguments)
    with cupy_or_its_stand_in() as library:
        print(f"µs of host time per step of 32 rows, launches replaced by no-ops; arrays of {library}")
        for name, widths in NETWORKS.items():
            found = measure(widths, options.steps, options.rounds)
            print(f"{name:16}", *(f"{way} {microseconds:.1f}" for way, microseconds in found.items()), sep="  ")


if __name__ == "__main__":
    main()
