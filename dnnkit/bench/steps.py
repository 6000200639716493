"""Training steps of some networks on every backend, beside the arithmetic floor."""

from itertools import pairwise
from typing import Any

import numpy as np

from dnnkit.backends.base import Backend
from dnnkit.bench.activations import WrongResult
from dnnkit.bench.networks import Trainable
from dnnkit.bench.progress import Stage
from dnnkit.bench.results import Results, Row
from dnnkit.bench.selection import Choice
from dnnkit.bench.timing import Case, controls, guarded, identical, interleave, waits_for
from dnnkit.errors import ConfigurationError
from dnnkit.layers import Dense, Rescaling
from dnnkit.network.sequential import Sequential

NETWORKS: dict[str, tuple[tuple[int, ...], str, str, int]] = {
    "784-128-10 relu adam batch 32": ((784, 128, 10), "relu", "adam", 32),
    "784-512-10 relu adam batch 128": ((784, 512, 10), "relu", "adam", 128),
    "784-512-512-10 relu adam batch 128": ((784, 512, 512, 10), "relu", "adam", 128),
    "784-50-10 sigmoid sgd batch 100": ((784, 50, 10), "sigmoid", "sgd", 100),
    "64-128-10 tanh adam batch 32": ((64, 128, 10), "tanh", "adam", 32),
}
STEPS = 20
PRODUCT = 1024
TOLERANCE = 1e-3
"""Relative, of the mean loss over the first steps: every backend follows the same trajectory."""


def names(prefixes: list[str] | None) -> list[str]:
    """The networks whose names begin so; all without any."""
    if not prefixes:
        return list(NETWORKS)
    unknown = [prefix for prefix in prefixes if not any(name.startswith(prefix) for name in NETWORKS)]
    if unknown:
        raise ConfigurationError(
            f"unknown networks {', '.join(unknown)}: expected the beginning of one of {', '.join(NETWORKS)}"
        )
    return [name for name in NETWORKS if name.startswith(tuple(prefixes))]


def measure(choice: Choice, networks: list[str], results: Results, stage: Stage) -> None:
    """Rows `steps`."""
    rate = _product_rate(choice, stage)
    results.limits["product, float32, NumPy's BLAS, FLOPs a second"] = rate
    cases: list[Case] = []
    about: dict[str, tuple[str, Backend]] = {}
    plans: dict[str, str] = {}
    for name in networks:
        expected = None
        for backend in choice.backends:
            title = f"{name} {backend.name}"
            trainable = make(name, backend)
            epoch = trainable.epoch(NETWORKS[name][3], STEPS)
            epoch()
            loss = trainable.loss
            expected = loss if expected is None else expected
            if not abs(loss - expected) <= TOLERANCE * abs(expected):
                raise WrongResult(
                    f"{name}: the loss is {loss:.6g} on {backend.name} but {expected:.6g} on {choice.backends[0].name}"
                )
            about[title], plans[title] = (name, backend), trainable.net.executable.plan.execution
            cases.append(Case(title, epoch, waits_for(backend)))
    cases = guarded(cases)
    timings = interleave(cases, choice.effort, stage("training steps", len(cases) * choice.effort.rounds))
    results.identical += identical(timings, "step")
    results.controls |= controls(timings, "step")
    for title, (name, backend) in about.items():
        timing = timings[title]
        samples = tuple(1e6 * seconds / STEPS for seconds in timing.seconds)
        floor = 1e6 * flops(name) / rate
        facts = {
            "floor": floor,
            "of floor": floor / float(np.median(samples)),
            "operations": flops(name),
            "plan": plans[title],
            "processors": timing.processors,
        }
        results.rows.append(Row("steps", {"network": name, "backend": backend.name}, "µs per step", samples, facts))


def make(name: str, backend: Backend) -> Trainable:
    """The network, with random images as bytes."""
    widths, activation, optimizer, batch = NETWORKS[name]
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (STEPS * batch, widths[0]), dtype=np.uint8)
    y = rng.integers(0, widths[-1], len(x))
    hidden = [Dense(width, activation=activation) for width in widths[1:-1]]
    net = Sequential(
        [Rescaling(1 / 255), *hidden, Dense(widths[-1], activation="softmax")], backend=backend.name, seed=0
    )
    net.compile(optimizer, "sparse_categorical_crossentropy")
    return Trainable(net, x, y)


def flops(name: str) -> int:
    """FLOPs of a step's products: of each weight 2 forward, 2 for its gradient, 2 for that of the layer's input."""
    widths, _, _, batch = NETWORKS[name]
    sizes = [inputs * outputs for inputs, outputs in pairwise(widths)]
    return batch * (4 * sizes[0] + 6 * sum(sizes[1:]))


def _product_rate(choice: Choice, stage: Stage) -> float:
    """FLOPs a second of the fastest product of large matrices in any round, with the threads of NumPy's BLAS."""
    a: Any = np.random.default_rng(0).random((PRODUCT, PRODUCT), np.float32)
    out = np.empty_like(a)
    case = Case("product", lambda: np.matmul(a, a, out=out))
    seconds = interleave([case], choice.effort, stage("matrix product", choice.effort.rounds))["product"].seconds
    return 2 * PRODUCT**3 / min(seconds)
