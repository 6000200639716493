"""Training steps launch by launch, recorded, and as CUDA graphs: equality of bits, and times."""

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from functools import partial
from time import perf_counter
from typing import Any
from unittest.mock import patch

import numpy as np

import dnnkit as dk
from benchmarks.gpu_check import graphs
from benchmarks.gpu_check.correctness import poisoned
from dnnkit.backends.base import Backend
from dnnkit.backends.cupy_backend import recorded_step
from dnnkit.backends.cupy_backend.executable import CupyExecutable
from dnnkit.errors import DataError

BATCH, QUICK, QUICK_GRAPH = 32, 7, 4
"""Batch size; steps per epoch in quick mode, and for the graph, which has ten times as many launches."""

WAYS = {"launch by launch": (False, False), "recorded": (True, False), "graphs": (True, True)}
"""Whether steps are recorded, and whether graphs are captured."""


def networks(backend: Backend, quick: bool) -> Iterator[tuple[str, Any, int, Callable[[int], tuple[Any, Any]]]]:
    """Yield (name, network, inputs, data function): small, wide, with all that varies by step, and a graph."""
    sizes = {"784-128-10": (784, 128), "784-1024-10": (784, 1024)} if not quick else {"20-16-10": (20, 16)}
    for name, (inputs, units) in sizes.items():
        layers = [dk.Rescaling(1 / 255), dk.Dense(units, activation="relu"), dk.Dense(10, activation="softmax")]
        net = dk.Sequential(layers, backend=backend, seed=0)
        net.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
        yield f"{name}, adam", net, inputs, partial(_images, inputs)
    schedule = dk.schedules.ExponentialDecay(0.01, 50, 0.9)
    hidden = [dk.Rescaling(1 / 255), dk.Dense(12, activation="tanh"), dk.Dropout(0.3)]
    layers = [*hidden, dk.Dense(10, activation="softmax")]
    net = dk.Sequential(layers, backend=backend, seed=0)
    rule = dk.SGD(schedule, momentum=0.9, nesterov=True, global_clipnorm=0.5)
    net.compile(rule, "sparse_categorical_crossentropy", metrics=["accuracy"])
    yield "20-12-10, dropout, clipping, a schedule", net, 20, partial(_images, 20)
    yield "a graph of all kinds", graphs.network(backend, "float32"), graphs.COLUMNS, graphs.matrices


def _images(inputs: int, rows: int) -> tuple[Any, Any]:
    """Return byte images and labels of ten classes."""
    rng = np.random.default_rng(1)
    return rng.integers(0, 256, (rows, inputs), dtype=np.uint8), rng.integers(0, 10, rows)


def measure(backend: Backend, samples: int, quick: bool) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Yield (times, check) of each network in each mode."""
    for name, net, inputs, data in networks(backend, quick):
        steps = max(samples // BATCH, 4 * (recorded_step.WORTH + recorded_step.STEPS))
        if quick:
            steps = QUICK_GRAPH if isinstance(net, dk.Model) else QUICK
        net.build(inputs)
        numbers, first = net.executable.snapshot(), None
        for way, (records, captures) in WAYS.items():
            if quick and isinstance(net, dk.Model) and way == "recorded":
                continue
            soon = patch.multiple(recorded_step, STEPS=2, WORTH=1) if quick else nullcontext()
            with soon, patch.multiple(CupyExecutable, records=records, makes_graphs=captures):
                net.executable.restore(numbers)
                try:
                    found, bits = _run(backend, net, data, steps)
                except DataError as error:  # if the GPU does not see its inputs
                    found, bits = {"step": str(error)}, b""
            before = b"".join(value.tobytes() for value in numbers.parameters.values())
            first = bits if first is None else first
            said = found["step"]
            as_meant = ("recorded" in said) == records and ("per CUDA graph" in said) == captures
            equal = bits == first and bits[: len(before)] not in (before, b"") and as_meant
            check = {"check": f"{name}: {way}, bits as launch by launch", "dtype": "float32", "said": said}
            yield (
                {"network": name, "way": way, **found},
                {**check, "error": float(not equal), "bound": 0.0, "passed": equal},
            )


def _run(
    backend: Backend, net: Any, samples: Callable[[int], tuple[Any, Any]], steps: int
) -> tuple[dict[str, Any], bytes]:
    """Microseconds per step in the second of two epochs, what the plan says, and all that came out, in bits."""
    executable, rows = net.executable, min(steps * BATCH, 4096) - BATCH // 2
    x, y = samples(rows)
    weights = np.random.default_rng(2).uniform(0.5, 1.5, rows)
    executable.plan.details.pop("step", None)  # type: ignore[attr-defined]
    with poisoned(backend):
        data, totals = executable.load(x, y, weights), []
        for _ in range(2):
            order = np.arange(steps * BATCH - BATCH // 2) % rows  # so the last is shorter
            executable.begin_epoch(data, order, BATCH)
            numbers = net.optimizer.hyperparameters(executable.state.step, steps)
            backend.wait()
            begin = perf_counter()
            executable.run_steps(0, steps, numbers)
            host = perf_counter() - begin
            backend.wait()
            seconds = perf_counter() - begin
            totals.append(executable.totals())
    state = executable.snapshot()
    arrays = [*state.parameters.values(), *state.slots.values()]
    found = {
        "microseconds_per_step": round(1e6 * seconds / steps, 2),
        "host_microseconds_per_step": round(1e6 * host / steps, 2),
        "steps": steps,
        "step": executable.plan.details.get("step", "launch by launch"),
    }
    return found, b"".join(array.tobytes() for array in arrays) + repr(totals).encode()
