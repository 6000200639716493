"""The child: one peer, one workload, one line of JSON. All peers use the same clock.

python dnnkit/bench/peers run-one PEER                       # what the peer is, and which workloads it can do
python dnnkit/bench/peers run-one PEER WORK_AS_JSON FOLDER   # the folder has the samples

This module and everything it imports need NumPy but not dnnkit; only the peer's own module needs its library.
"""

import importlib.metadata
import json
import os
from collections.abc import Callable
from pathlib import Path
from time import perf_counter, process_time
from types import ModuleType
from typing import Any

import numpy as np

from . import machine, samples
from .registry import FUNCTIONS, Peer, find_peers
from .works import NEURON_WEIGHTS, NEURON_X, NEURON_Y, Work

MANY = 100
"""Number of repetitions from which only their quartiles are kept; the median is unaffected."""


class Clock:
    """Timing of a repeated call: the first one separately, then wall-clock times, and CPU time of all of them."""

    def __init__(self, call: Callable[[], Any], counted: int, first: int = 1) -> None:
        start = perf_counter()
        for _ in range(first):
            self.result = call()
        self.first = perf_counter() - start
        self.seconds: list[float] = []
        busy = process_time()
        for _ in range(counted):
            start = perf_counter()
            self.result = call()
            self.seconds.append(perf_counter() - start)
        self.busy = process_time() - busy

    def to_json(self) -> dict[str, Any]:
        """Return the seconds of the counted repetitions, and the mean number of busy processors."""
        total = sum(self.seconds)
        kept = self.seconds if len(self.seconds) < MANY else np.quantile(self.seconds, (0.25, 0.5, 0.75)).tolist()
        return {"first": self.first, "seconds": kept, "counted": len(self.seconds), "cores": self.busy / total}


def train(module: ModuleType, peer: Peer, work: Work, folder: Path) -> dict[str, Any]:
    """Return the seconds per epoch, as the mean of several epochs trained in one call, as in typical use."""
    data = samples.read(folder, work.samples, takes_bytes(module, peer), work.standardized)
    network = module.network(work, data.x, data.y, peer.variant)
    first = Clock(lambda: network.train(1), 1, first=0).seconds[0]
    clock = Clock(lambda: network.train(work.counted), 1, first=0)
    memory = machine.peak_memory()
    accuracy = float((network.predict(data.x_test).argmax(axis=1) == data.y_test).mean())
    return clock.to_json() | {
        "first": first,
        "seconds": [clock.seconds[0] / work.counted],
        "counted": work.counted,
        "loss": float(clock.result),
        "accuracy": accuracy,
        "memory": memory,
        "plan": network.plan,
    }


def predict(module: ModuleType, peer: Peer, work: Work, folder: Path) -> dict[str, Any]:
    """Return the seconds per call, with different rows each time if few; the check is the mean top probability."""
    data = samples.read(folder, work.samples, takes_bytes(module, peer))
    network = module.network(work, data.x, data.y, peer.variant)
    size = min(work.size, len(data.x))
    starts = range(0, len(data.x) - size + 1, size)
    parts = [data.x[start : start + size] for start in starts[: min(1_000, len(starts))]]
    turn = 0

    def call() -> Any:
        nonlocal turn
        turn += 1
        return network.predict(parts[turn % len(parts)])

    clock = Clock(call, work.counted, first=1 if work.counted < MANY else MANY)
    check = float(np.mean([network.predict(part).max(axis=1).mean() for part in parts[:20]]))
    return clock.to_json() | {"check": check, "memory": machine.peak_memory(), "plan": network.plan}


def neuron(module: ModuleType, peer: Peer, work: Work, folder: Path) -> dict[str, Any]:
    """Return the seconds for all iterations; each repetition continues with the previous weights."""
    run = module.neuron(NEURON_X, NEURON_Y, NEURON_WEIGHTS.copy(), work.size, peer.variant)
    clock = Clock(run, work.counted)
    weights = np.asarray(clock.result, np.float64).reshape(NEURON_WEIGHTS.shape)
    errors = NEURON_Y - 1 / (1 + np.exp(-(NEURON_X @ weights)))
    return clock.to_json() | {"loss": float((errors**2).sum() / 2), "memory": machine.peak_memory()}


def gemm(module: ModuleType, peer: Peer, work: Work, folder: Path) -> dict[str, Any]:
    """Return the seconds per matrix product."""
    rng = np.random.default_rng(0)
    a, b = (rng.random((work.size, work.size), np.dtype(work.dtype).type) for _ in range(2))
    clock = Clock(module.product(a, b), work.counted, first=2)
    if not np.allclose(np.asarray(clock.result)[0], a[0] @ b, rtol=1e-3):
        raise ArithmeticError(f"the product by {peer.name} is wrong")
    return clock.to_json()


def copy(module: ModuleType, peer: Peer, work: Work, folder: Path) -> dict[str, Any]:
    """Return the seconds per copy."""
    source, target = np.ones(work.size, np.float32), np.zeros(work.size, np.float32)
    return Clock(module.copy(source, target), work.counted, first=2).to_json()


KINDS = {"train": train, "predict": predict, "neuron": neuron, "gemm": gemm, "copy": copy}


def probe(peer: Peer) -> dict[str, Any]:
    """Return versions, setting, and kinds of workloads that the peer can do; or the missing package."""
    try:
        module = peer.load()
    except ModuleNotFoundError as error:
        return {"missing": error.name}
    packages = dict.fromkeys((*module.PACKAGES, "numpy"))
    versions = {name: importlib.metadata.version(name) for name in packages if _installed(name)}
    kinds = [kind for kind, function in FUNCTIONS.items() if hasattr(module, function)]
    if (takes_bytes(module, peer) or peer.needs_gpu) and "neuron" in kinds:
        kinds.remove("neuron")  # it has no images, and is too small for a GPU
    about = {"python": machine.describe()["python"], **module.about(peer.variant)}
    return {"versions": versions, "kinds": kinds, "bytes": takes_bytes(module, peer), **about}


def takes_bytes(module: ModuleType, peer: Peer) -> bool:
    """Return whether the peer takes images as bytes."""
    return peer.variant in getattr(module, "BYTES", ())


def _installed(name: str) -> bool:
    try:
        importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def main(arguments: list[str]) -> int:
    """Write the line; libraries' own output is redirected to standard error."""
    with os.fdopen(os.dup(1), "w") as answer:
        os.dup2(2, 1)
        peer = find_peers()[arguments[0]]
        if len(arguments) == 1:
            result = probe(peer)
        else:
            work = Work.from_json(json.loads(arguments[1]))
            result = KINDS[work.kind](peer.load(), peer, work, Path(arguments[2]))
            result["pools"] = machine.thread_pools()
        print(json.dumps(result), file=answer)
    return 0
