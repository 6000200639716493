"""Until it is learned: iterations and seconds, over several seeds; the notes' truth table, and the digits."""

import warnings
from collections.abc import Iterator
from itertools import accumulate
from math import inf
from typing import Any

import numpy as np

from dnnkit.backends.base import Backend
from dnnkit.bench.networks import Trainable, digits, digits_network
from dnnkit.bench.progress import Stage
from dnnkit.bench.results import Results, Row
from dnnkit.bench.selection import Choice
from dnnkit.confidence import iterations_to_confidence
from dnnkit.layers import Dense
from dnnkit.network.sequential import Sequential
from dnnkit.optimizers import SGD

TABLE = np.array([[0, 0, 1], [1, 1, 1], [1, 0, 1], [0, 1, 1]], np.float64)
TARGETS = np.array([[0], [1], [1], [0]], np.float64)
RATES = (1.0, 0.3)
"""The notes' learning rate, at which many activations run away, and one at which most do not."""
CONFIDENCE = 0.95
ACCURACIES = (0.95, 0.97)
BATCH = 32


def measure(choice: Choice, results: Results, stage: Stage) -> None:
    """Rows `truth table` and `digits`, and the curves of accuracy."""
    with warnings.catch_warnings():  # that some run away or have no slope is what is measured
        warnings.simplefilter("ignore", UserWarning)
        _truth_tables(choice, results, stage)
        _digits(choice, results, stage)


# -- the truth table --------------------------------------------------------------------------------------------------


def _truth_tables(choice: Choice, results: Results, stage: Stage) -> None:
    advance = stage("one neuron, a truth table", len(choice.activations) * len(RATES) * choice.seeds)
    for name in choice.activations:
        for rate in RATES:
            iterations = []
            seconds: dict[str, list[float]] = {backend.name: [] for backend in choice.backends}
            for seed in range(choice.seeds):
                with np.errstate(all="ignore"):
                    count = iterations_to_confidence(
                        _neuron(choice.layer(name), rate, seed, choice.backends[0]),
                        TABLE,
                        TARGETS,
                        confidence=CONFIDENCE,
                        limit=choice.iterations,
                    )
                iterations.append(inf if count is None else float(count))
                for backend in choice.backends:
                    seconds[backend.name].append(_time_of(choice.layer(name), rate, seed, backend, count))
                advance()
            for backend in choice.backends:
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
    """Seconds of so many iterations alone, in one call; the network is then asked whether it is sure indeed."""
    from time import perf_counter

    if not count:
        return inf if count is None else 0.0
    net = _neuron(activation, rate, seed, backend)
    trained = Trainable(net, np.tile(TABLE, (count, 1)), np.tile(TARGETS, (count, 1)))
    run = trained.epoch(len(TABLE), count)
    start = perf_counter()
    run()
    loss = trained.loss  # read back: the work is done, not only begun
    seconds = perf_counter() - start
    error = float(np.abs(net.predict(TABLE) - TARGETS).max())
    return seconds if np.isfinite(loss) and error <= 1 - CONFIDENCE + 1e-6 else inf


def _rows(case: dict[str, str | int], what: str, counts: list[float], seconds: list[float]) -> Iterator[Row]:
    reached = sum(np.isfinite(counts))
    facts = {"reached": int(reached), "of": len(counts)}
    yield Row("learning", {**case, "quantity": what}, what, tuple(counts), facts)
    yield Row("learning", {**case, "quantity": "seconds"}, "s", tuple(seconds), facts)


# -- the digits -------------------------------------------------------------------------------------------------------


def _digits(choice: Choice, results: Results, stage: Stage) -> None:
    """Seeds are the rounds: within one, activations and backends take turns."""
    pairs = [(name, backend) for name in choice.activations for backend in choice.backends]
    for pair in pairs:
        _train(choice, *pair, seed=0, epochs=1)  # compiles
    advance = stage("digits", len(pairs) * choice.seeds)
    runs: dict[tuple[str, str], list[dict[str, list[float]]]] = {}
    for seed in range(choice.seeds):
        turn = seed * len(pairs) // choice.seeds
        for name, backend in pairs[turn:] + pairs[:turn]:
            runs.setdefault((name, backend.name), []).append(_train(choice, name, backend, seed, choice.epochs))
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
            results.rows.append(Row("learning", {**final}, quantity, values, {"epochs": choice.epochs}))
        results.curves.append(_curve(name, backend.name, found))


def _train(choice: Choice, name: str, backend: Backend, seed: int, epochs: int) -> dict[str, list[float]]:
    (x, y), test = digits()
    net = digits_network(choice, name, backend, seed)
    history = net.fit(x, y, batch_size=BATCH, epochs=epochs, validation_data=test, verbose=0)
    return {
        "seconds": list(accumulate(history.seconds)),
        "loss": history["val_loss"],
        "accuracy": history["val_accuracy"],
    }


def _first(values: list[float], bound: float) -> int | None:
    return next((place for place, value in enumerate(values) if value >= bound), None)


def _curve(name: str, backend: str, runs: list[dict[str, list[float]]]) -> dict[str, Any]:
    """Median and range over the seeds, epoch by epoch."""
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
