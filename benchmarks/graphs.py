"""Cost of a graph's step compared with a chain's: µs of processor time, one worker, in the compiled epoch.

    python -m benchmarks.graphs [--rounds 40]

Float32, Adam, batches of 32. The fastest of the rounds, in which all take turns, counts, because other load only
slows rounds down.
"""

import argparse
import os
from statistics import median
from time import process_time
from typing import Any

import numpy as np

import dnnkit as dk

ROWS, STEPS = 32, 100


def head(h: Any) -> Any:
    return dk.Dense(10, "softmax")(h)


def relu(h: Any) -> Any:
    return dk.Dense(128, "relu")(h)


def chain(*widths: int) -> dk.Sequential:
    layers = [*(dk.Dense(width, "relu") for width in widths), dk.Dense(10, "softmax")]
    return dk.Sequential(layers, seed=0, backend="numba", num_threads=1)


def model(inputs: Any, outputs: Any) -> dk.Model:
    return dk.Model(inputs, outputs, seed=0, backend="numba", num_threads=1)


def networks() -> dict[str, tuple[Any, tuple[int, ...]]]:
    """Return the networks by name, with the features of each input."""
    pixels, features, numbers = dk.Input((784,)), dk.Input((64,)), dk.Input((20,))
    halves = dk.Input((392,)), dk.Input((392,))
    h = relu(features)
    for _ in range(3):
        h = dk.Add()([h, relu(relu(h))])
    return {
        "784-128-10, Sequential": (chain(128), (784,)),
        "784-128-10, Model": (model(pixels, head(relu(pixels))), (784,)),
        "784-128-10, of two inputs of 392": (
            model(list(halves), head(relu(dk.Concatenate()(list(halves))))), (392, 392),
        ),
        "784-128, beside 20 numbers, 10": (
            model([pixels, numbers], head(dk.Concatenate()([relu(pixels), numbers]))), (784, 20),
        ),
        "64, seven layers of 128, 10, Sequential": (chain(*[128] * 7), (64,)),
        "the same with three skips, Model": (model(features, head(h)), (64,)),
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=40)
    rounds = parser.parse_args().rounds
    os.environ["DNNKIT_PARTITION"] = "units/1"
    rng = np.random.default_rng(0)
    seconds: dict[str, list[float]] = {}
    made = networks()
    loaded = {}
    for name, (net, widths) in made.items():
        net.compile("adam", "sparse_categorical_crossentropy")
        xs = [rng.normal(size=(ROWS * STEPS, width)).astype("float32") for width in widths]
        labels = rng.integers(0, 10, ROWS * STEPS)
        net.fit(xs if len(xs) > 1 else xs[0], labels, batch_size=ROWS, verbose=0)
        loaded[name] = net.executable, net.executable.load(np.concatenate(xs, axis=1), labels, None)
    for _ in range(rounds):
        for name, (executable, data) in loaded.items():
            executable.begin_epoch(data, np.arange(ROWS * STEPS), ROWS)
            hyperparameters = made[name][0].optimizer.hyperparameters(executable.state.step, STEPS)
            start = process_time()
            executable.run_steps(0, STEPS, hyperparameters)
            seconds.setdefault(name, []).append((process_time() - start) / STEPS)
    print("| network | µs per step | median |\n| --- | ---: | ---: |")
    for name, each in seconds.items():
        print(f"| {name} | {1e6 * min(each):.0f} | {1e6 * median(each):.0f} |")


if __name__ == "__main__":
    main()
