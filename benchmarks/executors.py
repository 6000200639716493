"""Cost of training networks elsewhere: `fit_many` in this process, in joblib's workers, and in Dask's.

    python -m benchmarks.executors [--networks 16] [--epochs 40] [--workers 2] [--rounds 3]

The networks are 64-128-10 with ReLU and softmax, Adam, batches of 32, on the digits, with one thread each. "first"
includes starting workers, which import dnnkit; the other times are medians of the rounds. "in step" adds a callback
after each epoch, so that each network is transferred both ways in each epoch: additional ms per network and epoch.
"bytes" is the size of a transferred network.
"""

import argparse
import pickle
import statistics
import sys
from contextlib import ExitStack
from time import perf_counter
from typing import Any


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.executors", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for name, default in (("networks", 16), ("epochs", 40), ("workers", 2), ("rounds", 3)):
        parser.add_argument(f"--{name}", type=int, default=default)
    options = parser.parse_args(arguments)
    columns = ("first s", "s", "epochs/s", "in step ms")
    about = f"{options.networks} networks, {options.epochs} epochs, {options.workers} workers"
    print(f"| {about} | {' | '.join(columns)} |")
    print("| --- " * (1 + len(columns)) + "|")
    for name in ("here", "threading", "loky", "dask"):
        with ExitStack() as stack:
            start = perf_counter()
            try:
                executor = opened(name, options.workers, stack)
            except ImportError as error:
                print(f"| {name} | {error} |")
                continue
            trained(options, executor)
            first = perf_counter() - start
            times = [trained(options, executor) for _ in range(options.rounds)]
            steps = [trained(options, executor, Nothing()) for _ in range(options.rounds)]
        total = options.networks * options.epochs
        seconds, in_step = statistics.median(times), statistics.median(steps)
        found = (first, seconds, total / seconds, (in_step - seconds) / total * 1e3)
        print(f"| {name} | {' | '.join(f'{value:,.2f}' for value in found)} |")
    print(f"bytes: {len(pickle.dumps(networks(1)[0])):,}")
    return 0


class Nothing:
    """A callback that does nothing."""

    def on_epoch_end(self, epoch: int, many: Any) -> None:
        """Do nothing."""


def opened(name: str, workers: int, stack: ExitStack) -> Any:
    """Return the `executor` argument for `fit_many`."""
    if name == "here":
        return None
    if name != "dask":
        import joblib

        return stack.enter_context(joblib.Parallel(workers, name))
    import distributed

    options = {"n_workers": workers, "threads_per_worker": 1, "dashboard_address": ":0"}
    cluster = stack.enter_context(distributed.LocalCluster(**options))
    return stack.enter_context(distributed.Client(cluster))


def networks(count: int) -> list[Any]:
    """Return built networks, so that only training is timed."""
    import dnnkit as dk

    made = []
    for seed in range(count):
        layers = [dk.Rescaling(1 / 16), dk.Flatten(), dk.Dense(128, activation="relu")]
        net = dk.Sequential([*layers, dk.Dense(10, activation="softmax")], seed=seed)
        net.compile("adam", "sparse_categorical_crossentropy")
        net.build((8, 8))
        made.append(net)
    return made


def trained(options: argparse.Namespace, executor: Any, *callbacks: Any) -> float:
    """Return the seconds of one call."""
    import dnnkit as dk

    (x, y), _ = dk.datasets.digits.load_data()
    nets = networks(options.networks)
    start = perf_counter()
    same = {"epochs": options.epochs, "num_workers": options.workers, "verbose": 0}
    dk.fit_many(nets, x, y, executor=executor, callbacks=callbacks, **same)
    return perf_counter() - start


if __name__ == "__main__":
    sys.exit(main())
