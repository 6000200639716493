"""Iterations and seconds until a task is learned, over several seeds: a truth table, and the digits."""

import warnings
from collections.abc import Iterator
from itertools import accumulate
from math import inf
from typing import Any

import numpy as np

from dnnkit.backends.base import Backend
from dnnkit.bench.networks import Trainable, digits, digits_network
from dnnkit.bench.peers.works import NEURON_X, NEURON_Y
from dnnkit.bench.progress import Stage
from dnnkit.bench.results import Results, Row
from dnnkit.bench.selection import Selection
from dnnkit.confidence import iterations_to_confidence
from dnnkit.layers import Dense
from dnnkit.network.sequential import Sequential
from dnnkit.optimizers import SGD

RATES = (1.0, 0.3)
"""Learning rates: with the first many activations diverge, with the second most do not."""
CONFIDENCE = 0.95
ACCURACIES = (0.95, 0.97)
BATCH = 32


def measure(selection: Selection, results: Results, stage: Stage) -> None:
    """Add the rows of the truth table and the digits, and the curves of accuracy."""
    with warnings.catch_warnings():  # divergence and zero slopes are expected here
        warnings.simplefilter("ignore", UserWarning)
        _truth_tables(selection, results, stage)
        _digits(selection, results, stage)


# -- the truth table --------------------------------------------------------------------------------------------------


def _truth_tables(selection: Selection, results: Results, stage: Stage) -> None:
    advance = stage("one neuron, a truth table", len(selection.activations) * len(RATES) * selection.seeds)
    for name in selection.activations:
        for rate in RATES:
            iterations = []
            seconds: dict[str, list[float]] = {backend.name: [] for backend in selection.backends}
            for seed in range(selection.seeds):
                with np.errstate(all="ignore"):
                    count = iterations_to_confidence(
                        _neuron(selection.layer(name), rate, seed, selection.backends[0]),
                        NEURON_X,
                        NEURON_Y,
                        confidence=CONFIDENCE,
                        limit=selection.iterations,
                    )
                iterations.append(inf if count is None else float(count))
                for backend in selection.backends:
                    seconds[backend.name].append(_time_of(selection.layer(name), rate, seed, backend, count))
                advance()
            for backend in selection.backends:
                case: dict[str, str | int] = {
                    "task": f"truth table, rate {rate:g}",
                    "activation": name,
                    "backend": backend.name,
                }
                results.rows += _rows(case, "iterations", iterations, seconds[backend.name])


def _neuron(activation: Any, rate: float, seed: int, backend: Backend) -> Sequential:
    net = Sequential(
        [Dense(1, activation=activation, use_bias=False)], backend=backend.name, dtype="float64", seed=seed
    )
    net.compile(SGD(rate), "sum_squared_error")
    return net


def _time_of(activation: Any, rate: float, seed: int, backend: Backend, count: int | None) -> float:
    """Return the seconds of `count` iterations in one call; infinity if the predictions are then inaccurate."""
    from time import perf_counter

    if not count:
        return inf if count is None else 0.0
    net = _neuron(activation, rate, seed, backend)
    trained = Trainable(net, np.tile(NEURON_X, (count, 1)), np.tile(NEURON_Y, (count, 1)))
    run = trained.epoch(len(NEURON_X), count)
    start = perf_counter()
    run()
    loss = trained.loss  # reading it waits until the work is complete
    seconds = perf_counter() - start
    error = float(np.abs(net.predict(NEURON_X) - NEURON_Y).max())
    return seconds if np.isfinite(loss) and error <= 1 - CONFIDENCE + 1e-6 else inf


def _rows(case: dict[str, str | int], what: str, counts: list[float], seconds: list[float]) -> Iterator[Row]:
    reached = sum(np.isfinite(counts))
    facts = {"reached": int(reached), "of": len(counts)}
    yield Row("learning", {**case, "quantity": what}, what, tuple(counts), facts)
    yield Row("learning", {**case, "quantity": "seconds"}, "s", tuple(seconds), facts)


# -- the digits -------------------------------------------------------------------------------------------------------


def _digits(selection: Selection, results: Results, stage: Stage) -> None:
    """Train on the digits; each seed is a round, within which activations and backends take turns."""
    pairs = [(name, backend) for name in selection.activations for backend in selection.backends]
    for pair in pairs:
        _train(selection, *pair, seed=0, epochs=1)  # compiles
    advance = stage("digits", len(pairs) * selection.seeds)
    runs: dict[tuple[str, str], list[dict[str, list[float]]]] = {}
    for seed in range(selection.seeds):
        turn = seed * len(pairs) // selection.seeds
        for name, backend in pairs[turn:] + pairs[:turn]:
            runs.setdefault((name, backend.name), []).append(_train(selection, name, backend, seed, selection.epochs))
            advance()
    steps = -(-len(digits()[0][0]) // BATCH)
    for name, backend in pairs:
        found = runs[name, backend.name]
        for accuracy in ACCURACIES:
            case: dict[str, str | int] = {
                "task": f"digits to {accuracy:.0%}",
                "activation": name,
                "backend": backend.name,
            }
            epochs = [_first(run["accuracy"], accuracy) for run in found]
            seconds = [
                inf if epoch is None else run["seconds"][epoch] for run, epoch in zip(found, epochs, strict=True)
            ]
            counts = [inf if epoch is None else float(steps * (epoch + 1)) for epoch in epochs]
            results.rows += _rows(case, "iterations", counts, seconds)
        for quantity in ("loss", "accuracy"):
            final = {
                "task": "digits",
                "activation": name,
                "backend": backend.name,
                "quantity": f"final {quantity}",
            }
            values = tuple(run[quantity][-1] for run in found)
            results.rows.append(Row("learning", {**final}, quantity, values, {"epochs": selection.epochs}))
        results.curves.append(_curve(name, backend.name, found))


def _train(selection: Selection, name: str, backend: Backend, seed: int, epochs: int) -> dict[str, list[float]]:
    (x, y), test = digits()
    net = digits_network(selection, name, backend, seed)
    history = net.fit(x, y, batch_size=BATCH, epochs=epochs, validation_data=test, verbose=0)
    return {
        "seconds": list(accumulate(history.seconds)),
        "loss": history["val_loss"],
        "accuracy": history["val_accuracy"],
    }


def _first(values: list[float], bound: float) -> int | None:
    return next((place for place, value in enumerate(values) if value >= bound), None)


def _curve(name: str, backend: str, runs: list[dict[str, list[float]]]) -> dict[str, Any]:
    """Return median and range over the seeds, by epoch."""
    accuracies = np.array([run["accuracy"] for run in runs])
    return {
        "curve": "accuracy",
        "activation": name,
        "backend": backend,
        "seconds": np.median([run["seconds"] for run in runs], axis=0).tolist(),
        "median": np.median(accuracies, axis=0).tolist(),
        "low": accuracies.min(axis=0).tolist(),
        "high": accuracies.max(axis=0).tolist(),
    }
