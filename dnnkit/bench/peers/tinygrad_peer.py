"""tinygrad: many steps are one TinyJit call, with kernels compiled by clang; optionally with tuned kernels (BEAM).

The search takes one or two minutes per network; tinygrad caches its results.
"""

# The library has no types here.
# mypy: warn-return-any=False

import os
import shutil
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

os.environ.setdefault("DEV", "CPU")
if os.environ["DEV"] == "CPU" and shutil.which(os.environ.get("CC", "clang")) is None:
    raise ModuleNotFoundError("tinygrad compiles with clang", name="clang")  # tinygrad's own message: no usable devices

from tinygrad import Device, Tensor, TinyJit
from tinygrad.helpers import NUM_CPU_THREADS, Context
from tinygrad.nn.optim import SGD, Adam

from .works import Network, Work, initial_weights, repeated

PACKAGES = ("tinygrad",)
VARIANTS = ("", "beam")
BEAM = 2
STRETCH = 30
"""Maximum steps per call: with one, the calls take three times as long as the work; 60 is not faster than 30."""
ITERATIONS = 50
"""Iterations of the neuron per call."""


def about(variant: str) -> dict[str, str]:
    tuned = f", BEAM={BEAM}" if variant else ""
    threads = f"up to {NUM_CPU_THREADS.value}"
    return {"setting": f"TinyJit of up to {STRETCH} steps{tuned}", "threads": threads, "device": Device.DEFAULT}


def network(work: Work, x: NDArray[Any], y: NDArray[Any], variant: str) -> Network:
    inputs, labels = Tensor(x).realize(), Tensor(np.array(y, np.int32)).realize()
    parameters = [Tensor(array).realize().is_param_(True) for layer in initial_weights(work) for array in layer]
    optimizer = {"adam": Adam, "sgd": SGD}[work.optimizer](parameters, lr=work.learning_rate)
    rng, size, search = np.random.default_rng(0), work.batch_size, BEAM if variant else 0
    whole = len(x) // size
    length = max(count for count in range(1, STRETCH + 1) if whole % count == 0)

    def scores(rows: Tensor) -> Tensor:
        for place in range(0, len(parameters) - 2, 2):
            z = rows @ parameters[place] + parameters[place + 1]
            rows = z.relu() if work.activation == "relu" else z.sigmoid()
        return rows @ parameters[-2] + parameters[-1]

    def step(rows: Tensor) -> Tensor:
        optimizer.zero_grad()
        loss = scores(inputs[rows]).sparse_categorical_crossentropy(labels[rows])
        loss.backward()
        Tensor.realize(loss, *optimizer.schedule_step())
        return loss

    stretch = TinyJit(lambda order: Tensor.stack(*[step(order[place]) for place in range(length)]).sum().realize())
    last = TinyJit(step)

    def epoch() -> float:
        order = rng.permutation(len(x)).astype(np.int32)
        parts = order[: whole * size].reshape(-1, length, size)
        with Context(TRAINING=1, BEAM=search):
            # A call overwrites the previous result; adding on the host would wait for each.
            total = Tensor.zeros(1).contiguous().realize()
            for part in parts:
                total.assign(total + stretch(Tensor(part).realize()) * size).realize()
            rest = order[whole * size :]
            remains = last(Tensor(rest).realize()).item() * len(rest) if len(rest) else 0.0
        return (total.item() + remains) / len(x)

    @cache
    def forward(count: int) -> Callable[[Tensor], Tensor]:
        """Return the compiled call for `count` rows; each shape needs its own."""
        return TinyJit(lambda rows: scores(rows).softmax().realize())

    def predict(rows: NDArray[Any]) -> NDArray[Any]:
        with Context(BEAM=search):
            return forward(len(rows))(Tensor(rows).realize()).numpy()

    return Network(repeated(epoch), predict)


def neuron(
    x: NDArray[Any], y: NDArray[Any], weights: NDArray[Any], iterations: int, variant: str
) -> Callable[[], NDArray[Any]]:
    inputs, targets, w = (Tensor(array).realize() for array in (x, y, weights))
    length = ITERATIONS if iterations % ITERATIONS == 0 else 1

    def iterate(w: Tensor) -> Tensor:
        for _ in range(length):
            p = (inputs @ w).sigmoid()
            w = w + inputs.T @ ((targets - p) * p * (1 - p))
        return w.realize()

    stretch = TinyJit(iterate)

    def run() -> NDArray[Any]:
        nonlocal w
        with Context(BEAM=BEAM if variant else 0):
            for _ in range(iterations // length):
                w = stretch(w)
        return w.numpy()

    return run
