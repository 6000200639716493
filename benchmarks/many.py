"""Networks trained together: `python -m benchmarks.many [--networks 64] [--peers PYTHON] [--json FILE]`.

64 networks 64-128-10 (ReLU, Adam, batch 32) are trained on the digits, each with its own weights and order: by
`fit_many`; one of them by `fit` with one thread; and, if `--peers` is an interpreter that has them, by `jax.vmap` in
a jitted scan and by `torch.func`. Times are seconds per network and epoch, the minimum of several rounds in turn:
wall-clock, and processor time of all processors, which is little affected by other load.
"""

import argparse
import json
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import dnnkit as dk
from dnnkit.backends.processors import processors
from dnnkit.bench.machine import describe

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Shape:
    """Size of the workload."""

    networks: int = 64
    hidden: int = 128
    batch: int = 32
    epochs: int = 20


@dataclass(frozen=True)
class Outcome:
    """Microseconds per network and epoch: wall-clock, of all processors, and the part of these spent in Python."""

    clock: float
    processor: float
    serial: float = 0.0


def data() -> tuple[NDArray[np.float32], NDArray[Any]]:
    """Return the digits, scaled to 0 to 1."""
    (x, y), _ = dk.datasets.digits.load_data()
    return (x.reshape(len(x), -1) / 16).astype(np.float32), y.astype(np.int64)


def network(seed: int, shape: Shape, num_threads: int | None = None) -> dk.Sequential:
    """Return one of the networks, built."""
    net = dk.Sequential(
        [dk.Dense(shape.hidden, activation="relu"), dk.Dense(10, activation="softmax")],
        seed=seed, backend="numba", num_threads=num_threads,
    )  # fmt: skip
    net.compile("adam", "sparse_categorical_crossentropy")
    net.build(64)
    return net


def timed(run: Callable[[], object], count: int) -> Outcome:
    """Return the time of one call, divided by the number of networks and epochs."""
    starts = time.perf_counter(), time.process_time(), time.thread_time()
    run()
    ends = time.perf_counter(), time.process_time(), time.thread_time()
    return Outcome(*((end - start) / count * 1e6 for start, end in zip(starts, ends, strict=True)))


def least(found: list[Outcome]) -> Outcome:
    """Return the minimum of each quantity."""
    columns = zip(*((one.clock, one.processor, one.serial) for one in found), strict=True)
    return Outcome(*map(min, columns))


def own(shape: Shape, rounds: int) -> dict[str, Outcome]:
    """Measure `fit` of one network and `fit_many` of all, in turn."""
    x, y = data()
    alone, nets = network(0, shape, 1), [network(seed, shape) for seed in range(shape.networks)]
    options: dict[str, Any] = {"batch_size": shape.batch, "verbose": 0}
    alone.fit(x, y, epochs=2, **options)
    dk.fit_many(nets, x, y, epochs=2, **options)
    many_at, found = shape.networks * shape.epochs, dict[str, list[Outcome]]()
    for _ in range(rounds):
        runs: dict[str, tuple[Callable[[], object], int]] = {
            "fit, one thread": (lambda: alone.fit(x, y, epochs=shape.epochs, **options), shape.epochs),
            "fit_many": (lambda: dk.fit_many(nets, x, y, epochs=shape.epochs, **options), many_at),
            "fit_many, shared order": (
                lambda: dk.fit_many(nets, x, y, epochs=shape.epochs, shuffle="shared", **options), many_at,
            ),
        }  # fmt: skip
        for name, (run, count) in runs.items():
            found.setdefault(name, []).append(timed(run, count))
    return {name: least(each) for name, each in found.items()}


def of_peers(python: str, shape: Shape, rounds: int) -> dict[str, Outcome]:
    """Return the times of JAX and PyTorch; missing ones are skipped with a message."""
    x, y = data()
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "data.npz"
        np.savez(path, x=x, y=y)
        for library in ("jax", "torch"):
            numbers = (shape.networks, shape.hidden, shape.batch, max(1, shape.epochs // 4), rounds)
            command = [python, str(HERE / "many_peers.py"), library, str(path), *map(str, numbers)]
            done = subprocess.run(command, capture_output=True, text=True, check=False, env=_without_paths())
            lines = [json.loads(line) for line in done.stdout.splitlines()]
            if done.returncode or not lines:
                print(f"{library}: {done.stderr.strip().splitlines()[-1:]}")
                continue
            found[f"{library} (vmap)"] = least([Outcome(1e6 * one["clock"], 1e6 * one["processor"]) for one in lines])
    return found


def _without_paths() -> dict[str, str]:
    """Return the environment for another interpreter."""
    from dnnkit.bench.peers.interpreters import environment

    return environment("")


def floor(shape: Shape) -> dict[str, float]:
    """Return lower bounds in microseconds per network and epoch: arithmetic, and reading all parameters from memory."""
    x, _ = data()
    steps = -(-len(x) // shape.batch)
    numbers = 64 * shape.hidden + shape.hidden * 10
    size = 1024
    a, b = np.ones((2, size, size), np.float32)
    from dnnkit.backends.blas_threads import blas_threads

    with blas_threads().bounded(1):
        a @ b
        multiplied = min(timed(lambda: a @ b, 1).processor for _ in range(5))
    flops = 2 * size**3 / multiplied  # per microsecond
    big = np.ones(1 << 24, np.float32)
    copied = min(timed(big.copy, 1).processor for _ in range(5))
    bytes_each = 2 * 4 * (1 << 24) / copied
    products = 2 * shape.batch * (2 * 64 * shape.hidden + 3 * shape.hidden * 10)  # the first layer needs no dx
    return {
        "arithmetic of one network": steps * products / flops,
        "parameters and slots of all from memory in each step": steps * 6 * 4 * numbers / bytes_each,
    }


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", type=int, default=64)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--peers", help="an interpreter with JAX and PyTorch")
    parser.add_argument("--json", type=Path, help="write the results to this file")
    asked = parser.parse_args()
    shape = Shape(networks=asked.networks, epochs=asked.epochs)
    found = own(shape, asked.rounds)
    if asked.peers:
        found |= of_peers(asked.peers, shape, asked.rounds)
    cores, alone, many = processors(), found["fit, one thread"], found["fit_many"]
    print("\n".join(f"{name}: {value}" for name, value in describe().items()))
    print(f"\n{shape}; microseconds per network and epoch\n")
    print(f"{'':28} {'clock':>8} {'processors':>10}")
    for name, one in found.items():
        print(f"{name:28} {one.clock:8.0f} {one.processor:10.0f}")
    idle = many.serial + (many.processor - many.serial) / cores
    print(f"\nof the {cores} cores' one-thread rate: {alone.clock / many.clock / cores:.2f} by the clock, ", end="")
    print(f"{alone.processor / idle / cores:.2f} by processor time, of which Python's {many.serial:.0f} are serial")
    for name, one in found.items():
        if "vmap" in name:
            print(
                f"{name} takes {one.clock / many.clock:.1f} times as long, {one.processor / many.processor:.1f} of CPU"
            )
    bounds = floor(shape)
    print("\n".join(f"floor, {name}: {value:.0f}" for name, value in bounds.items()))
    if asked.json:
        outcomes = {name: asdict(one) for name, one in found.items()}
        asked.json.write_text(
            json.dumps({"machine": describe(), "shape": asdict(shape), "found": outcomes, "floor": bounds})
        )


if __name__ == "__main__":
    main()
