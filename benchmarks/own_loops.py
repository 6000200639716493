"""Cost of custom training loops: `python -m benchmarks.own_loops [--rounds N] [--json FILE]`.

784-128-10, ReLU, Adam, batch 32, float32, 6,000 random samples without zeros: microseconds per step of each way of
training, in turn, medians of several rounds. PyTorch's eager loop runs in the same process, if it is installed.
"""

import argparse
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

import dnnkit as dk

SAMPLES, BATCH, FEATURES = 6000, 32, 784
STEPS = SAMPLES // BATCH
LAYERS = 20

Loop = Callable[[], None]


class Nothing(dk.Callback):
    """A callback that observes every batch and does nothing."""

    def on_batch_end(self, batch: int, logs: Any = None) -> None:
        pass


def data() -> tuple[Any, Any]:
    """Return samples and labels."""
    rng = np.random.default_rng(0)
    return rng.normal(size=(SAMPLES, FEATURES)).astype(np.float32), rng.integers(0, 10, SAMPLES)


def network(together: int = 1) -> dk.Sequential:
    """Return a built and compiled network, with `together` batches per update."""
    net = dk.Sequential([dk.Dense(128, activation="relu"), dk.Dense(10, activation="softmax")], seed=0)
    net.compile(dk.Adam(1e-3), "sparse_categorical_crossentropy", gradient_accumulation_steps=together)
    net.build(FEATURES)
    return net


def batches(x: Any, y: Any) -> Iterator[tuple[Any, Any]]:
    """Yield batches in order."""
    for start in range(0, STEPS * BATCH, BATCH):
        yield x[start : start + BATCH], y[start : start + BATCH]


def loops(x: Any, y: Any) -> dict[str, Loop]:
    """Return the ways of training an epoch, by name."""
    fitted, watched, stepped, asked, applied, assigned, opened, backward = (network() for _ in range(8))
    summed, target = network(together=4), network()
    given = np.random.default_rng(1).normal(size=(BATCH, 10)).astype(np.float32) / BATCH

    def fit(net: dk.Sequential, **options: Any) -> None:
        net.fit(x[: STEPS * BATCH], y[: STEPS * BATCH], batch_size=BATCH, verbose=0, **options)

    def train_steps() -> None:
        for some_x, some_y in batches(x, y):
            stepped.train_step(some_x, some_y)

    def gradients() -> None:
        for some_x, some_y in batches(x, y):
            asked.get_gradients(some_x, some_y)

    def steps_from_outside() -> None:
        for some_x, _ in batches(x, y):
            opened.step(some_x, logits_gradient=given)

    def backwards() -> None:
        for some_x, _ in batches(x, y):
            backward.backward(some_x, given)

    def steps_that_are_followed() -> None:
        for some_x, _ in batches(x, y):
            opened.step(some_x, logits_gradient=given)
            target.follow(opened, 0.005)

    def apply_gradients() -> None:
        for some_x, some_y in batches(x, y):
            applied.apply_gradients(applied.get_gradients(some_x, some_y)[1])

    def assign() -> None:
        for some_x, some_y in batches(x, y):
            for name, gradient in assigned.get_gradients(some_x, some_y)[1].items():
                assigned.parameters[name] -= 1e-3 * gradient

    return {
        "fit": lambda: fit(fitted),
        "fit, a callback on batches": lambda: fit(watched, callbacks=[Nothing()]),
        "train_step": train_steps,
        "step, dL/dy given": steps_from_outside,
        "step, and a target follows": steps_that_are_followed,
        "fit, an update of 4 batches": lambda: fit(summed),
        "get_gradients": gradients,
        "backward, dL/dy given": backwards,
        "get_gradients, apply_gradients": apply_gradients,
        "get_gradients, assignment (SGD)": assign,
    }


def parts() -> dict[str, Loop]:
    """Return single calls, each repeated as often as an epoch has steps."""
    net, deep = network(), dk.Sequential([dk.Dense(256, activation="relu") for _ in range(LAYERS)] + [dk.Dense(10)])
    deep.compile("adam", "mean_squared_error")
    deep.build(FEATURES)
    x, y = data()
    gradients = net.get_gradients(x[:BATCH], y[:BATCH])[1]
    target = net.copy()
    bias = np.zeros(256, np.float32)

    def repeated(call: Callable[[], Any]) -> Loop:
        def loop() -> None:
            for _ in range(STEPS):
                call()

        return loop

    def assign_bias() -> None:
        deep.parameters["dense_3/bias"] = bias

    return {
        "apply_gradients alone": repeated(lambda: net.apply_gradients(gradients)),
        "follow alone": repeated(lambda: target.follow(net, 0.005)),
        f"assignment of 1 KiB, {LAYERS} layers": repeated(assign_bias),
    }


def of_torch(x: Any, y: Any) -> dict[str, Loop]:
    """Return PyTorch's eager loops; none if it is not installed."""
    try:
        import torch
    except ImportError:
        return {}
    some_x, some_y = torch.from_numpy(x), torch.from_numpy(y)
    loss_of = torch.nn.functional.cross_entropy

    def loop(make: Callable[..., Any], **options: Any) -> Loop:
        net = torch.nn.Sequential(torch.nn.Linear(FEATURES, 128), torch.nn.ReLU(), torch.nn.Linear(128, 10))
        optimizer = make(net.parameters(), **options)

        def run() -> None:
            for start in range(0, STEPS * BATCH, BATCH):
                optimizer.zero_grad()
                loss = loss_of(net(some_x[start : start + BATCH]), some_y[start : start + BATCH])
                loss.backward()
                optimizer.step()
                loss.item()

        return run

    return {
        "PyTorch, Adam (fused)": loop(torch.optim.Adam, lr=1e-3, fused=True),
        "PyTorch, SGD": loop(torch.optim.SGD, lr=1e-3),
    }


def measured(rounds: int) -> dict[str, list[float]]:
    """Return the microseconds per step of each loop in each round."""
    x, y = data()
    all_loops = loops(x, y) | parts() | of_torch(x, y)
    found: dict[str, list[float]] = {name: [] for name in all_loops}
    for number in range(rounds + 1):
        for name, loop in all_loops.items():
            start = time.perf_counter()
            loop()
            if number:  # the first compiles
                found[name].append((time.perf_counter() - start) / STEPS * 1e6)
    return found


def main() -> None:
    """Measure, print, and write."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.own_loops", description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    found = measured(options.rounds)
    base = median(found["fit"])
    print(f"{'':36}{'µs per step':>12}{'÷ fit':>8}")
    for name, times in found.items():
        print(f"{name:36}{median(times):12.1f}{median(times) / base:8.2f}")
    if options.json:
        options.json.write_text(json.dumps({"steps": STEPS, "microseconds_per_step": found}, indent=1) + "\n")


if __name__ == "__main__":
    main()
