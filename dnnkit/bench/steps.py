"""Training steps of some networks on every backend, compared with the arithmetic lower bound."""

from typing import Any

import numpy as np

from dnnkit.backends.base import Backend
from dnnkit.bench.activations import WrongResult
from dnnkit.bench.networks import Trainable
from dnnkit.bench.peers.works import NETWORKS, Recipe
from dnnkit.bench.progress import Stage
from dnnkit.bench.results import Results, Row
from dnnkit.bench.selection import Selection
from dnnkit.bench.timing import Case, interleave, measure_group, waits_for
from dnnkit.errors import ConfigurationError
from dnnkit.layers import Dense, Rescaling
from dnnkit.network.sequential import Sequential
from dnnkit.registry import did_you_mean

STEPS = 20
PRODUCT = 1024
TOLERANCE = 1e-3
"""Relative tolerance of the mean loss over the first steps: all backends follow the same trajectory."""


def names(prefixes: list[str] | None) -> list[str]:
    """Return the networks whose names have one of these prefixes; all of them without prefixes."""
    if not prefixes:
        return list(NETWORKS)
    unknown = [prefix for prefix in prefixes if not any(name.startswith(prefix) for name in NETWORKS)]
    if unknown:
        hint = did_you_mean(unknown[0], [name[: len(unknown[0])] for name in NETWORKS])
        raise ConfigurationError(
            f"unknown networks {', '.join(unknown)}: {hint}expected a prefix of {', '.join(NETWORKS)}"
        )
    return [name for name in NETWORKS if name.startswith(tuple(prefixes))]


def measure(selection: Selection, networks: list[str], results: Results, stage: Stage) -> None:
    """Add the rows `steps`."""
    rate = _product_rate(selection, stage)
    results.limits["product, float32, NumPy's BLAS, FLOPs per second"] = rate
    cases: list[Case] = []
    about: dict[str, tuple[str, Backend]] = {}
    plans: dict[str, str] = {}
    for name in networks:
        expected = None
        for backend in selection.backends:
            title = f"{name} {backend.name}"
            trainable = make(NETWORKS[name], backend)
            epoch = trainable.epoch(NETWORKS[name].batch_size, STEPS)
            epoch()
            loss = trainable.loss
            expected = loss if expected is None else expected
            if not abs(loss - expected) <= TOLERANCE * abs(expected):
                first = selection.backends[0].name
                raise WrongResult(f"{name}: the loss is {loss:.6g} on {backend.name} but {expected:.6g} on {first}")
            about[title], plans[title] = (name, backend), trainable.net.executable.plan.execution
            cases.append(Case(title, epoch, waits_for(backend)))
    timings = measure_group(cases, "step", selection, results, stage, "training steps")
    for title, (name, backend) in about.items():
        timing = timings[title]
        samples = tuple(1e6 * seconds / STEPS for seconds in timing.seconds)
        flops = NETWORKS[name].step_flops
        floor = 1e6 * flops / rate
        facts = {
            "floor": floor,
            "of floor": floor / float(np.median(samples)),
            "operations": flops,
            "plan": plans[title],
            "processors": timing.processors,
        }
        results.rows.append(Row("steps", {"network": name, "backend": backend.name}, "µs per step", samples, facts))


def make(recipe: Recipe, backend: Backend, steps: int = STEPS) -> Trainable:
    """Return the network with random byte images for `steps` steps."""
    widths = recipe.widths
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (steps * recipe.batch_size, widths[0]), dtype=np.uint8)
    y = rng.integers(0, widths[-1], len(x))
    hidden = [Dense(width, activation=recipe.activation) for width in widths[1:-1]]
    net = Sequential([Rescaling(1 / 255), *hidden, Dense(widths[-1], activation="softmax")], backend=backend, seed=0)
    net.compile(recipe.optimizer, "sparse_categorical_crossentropy")
    return Trainable(net, x, y)


def _product_rate(selection: Selection, stage: Stage) -> float:
    """Return the FLOP rate of the fastest large matrix product in any round, with the threads of NumPy's BLAS."""
    a: Any = np.random.default_rng(0).random((PRODUCT, PRODUCT), np.float32)
    out = np.empty_like(a)
    case = Case("product", lambda: np.matmul(a, a, out=out))
    seconds = interleave([case], selection.effort, stage("matrix product", selection.effort.rounds))["product"].seconds
    return 2 * PRODUCT**3 / min(seconds)
