"""Cost of custom parts on the Numba backend, compared with built-in ones: a step of `fit`, and predictions.

    python -m benchmarks.own_parts [--rounds 15] [--partition units/1] [--json FILE]

784-128-10 with ReLU and softmax, float32, Adam, batches of 32, 6,000 random rows. All networks take turns in one
process; times are medians of the rounds, in µs. "In it" is the time within the custom functions, measured by a clock
in them; "around it" is the rest of the step, relative to the built-in's in the same round.
"""

import argparse
import json
import os
import statistics
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from benchmarks.trajectories.environment import environment

ROWS, BATCH, EPOCHS, CALLS = 6000, 32, 2, 1000
STEPS = EPOCHS * -(-ROWS // BATCH)

Times = dict[str, dict[str, list[float]]]


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.own_parts", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--partition", default="", help="such as units/1 or rows/2; default: chosen by the cost model")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results to this file")
    options = parser.parse_args(arguments)
    if options.partition:
        os.environ["DNNKIT_PARTITION"] = options.partition
    results = {
        name: {column: statistics.median(values) for column, values in each.items()}
        for name, each in measured(options.rounds).items()
    }
    print(table(results))
    if options.json is not None:
        found = {"environment": environment(), "rounds": options.rounds, "results": results}
        options.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    return 0


class Clock:
    """Seconds within custom functions, which add them: a context manager would take longer than what it measures."""

    spent = 0.0


def networks(clock: Clock) -> dict[str, Any]:
    """Return the networks by name, with custom parts that compute the same as the built-in ones."""
    import dnnkit as dk

    @dataclass(frozen=True)
    class Squares(dk.losses.Loss):
        """Equivalent to mean_squared_error."""

        def loss_and_gradient(self, predictions, targets, weights, scale, xp):  # type: ignore[no-untyped-def]
            start = perf_counter()
            d = predictions - targets
            result = xp.sum(d * d) / d.shape[1], d * (2 * scale / d.shape[1])
            clock.spent += perf_counter() - start
            return result

    @dataclass(frozen=True)
    class Same(dk.Layer):
        """A scale of 1."""

        def forward(self, xp, x):  # type: ignore[no-untyped-def]
            start = perf_counter()
            result = x * 1, None
            clock.spent += perf_counter() - start
            return result

        def backward(self, xp, dy, saved):  # type: ignore[no-untyped-def]
            start = perf_counter()
            result = (dy * 1,)
            clock.spent += perf_counter() - start
            return result

    def largest(y_true, y_pred):  # type: ignore[no-untyped-def]
        start = perf_counter()
        result = np.max(np.abs(y_pred - y_true), axis=1)
        clock.spent += perf_counter() - start
        return result

    def network(layers: list[Any], loss: Any = "mean_squared_error", metrics: Any = ()) -> Any:
        net = dk.Sequential(layers, seed=0, backend="numba")
        net.compile("adam", loss, metrics)
        return net

    hidden, last = dk.Dense(128, activation="relu"), dk.Dense(10, activation="softmax")
    return {
        "built in": network([hidden, last]),
        "built-in metric": network([hidden, last], metrics=["accuracy"]),
        "own metric": network([hidden, last], metrics=[largest]),
        "own loss": network([hidden, last], Squares()),
        "own layer": network([hidden, Same(), last]),
    }


def measured(rounds: int) -> Times:
    """Return a value per round, for each network and column."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(ROWS, 784)).astype(np.float32), rng.uniform(size=(ROWS, 10)).astype(np.float32)
    many = rng.normal(size=(10_000, 784)).astype(np.float32)
    targets, one = many[:, :10], x[:1]
    works: dict[str, tuple[int, Callable[[Any], Any]]] = {
        "step": (STEPS, lambda net: net.fit(x, y, batch_size=BATCH, epochs=EPOCHS, verbose=0)),
        "predict 1": (CALLS, lambda net: [net.predict(one) for _ in range(CALLS)]),
        "predict 10,000": (1, lambda net: net.predict(many)),
        "evaluate 10,000": (1, lambda net: net.evaluate(many, targets)),
    }
    clock = Clock()
    nets = networks(clock)
    times: Times = {name: {work: [] for work in ("step", "in it", "around it", *works)} for name in nets}
    for number in range(rounds + 1):
        for work, (count, do) in works.items():
            for name, net in nets.items():
                clock.spent, start = 0.0, perf_counter()
                do(net)
                micros, within = ((value / count * 1e6) for value in (perf_counter() - start, clock.spent))
                if number == 0:  # the first compiles
                    continue
                times[name][work].append(micros)
                if work == "step":
                    times[name]["in it"].append(within)
                    times[name]["around it"].append((micros - within) / times["built in"]["step"][-1])
    return times


def table(results: dict[str, dict[str, float]]) -> str:
    """Format the results."""
    columns = list(results["built in"])
    lines = [" | ".join(["", *columns]), " | ".join(["---"] * (1 + len(columns)))]
    lines += [" | ".join([name, *(f"{each[column]:,.2f}" for column in columns)]) for name, each in results.items()]
    return "\n".join(f"| {line} |" for line in lines)


if __name__ == "__main__":
    sys.exit(main())
