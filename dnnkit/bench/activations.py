"""Time per element of every activation, forward and backward, warm and cold; and the time of a training step."""

from collections.abc import Callable
from itertools import cycle, product
from typing import Any

import numpy as np

from dnnkit.backends.aligned import aligned
from dnnkit.backends.base import Backend
from dnnkit.bench.machine import last_level_cache
from dnnkit.bench.networks import classifier
from dnnkit.bench.progress import Stage
from dnnkit.bench.results import Results, Row
from dnnkit.bench.selection import Selection
from dnnkit.bench.timing import Case, measure_group, waits_for
from dnnkit.errors import DnnkitError
from dnnkit.kernels import registry

DTYPE = "float32"
ITEM = 4
WARM = 1 << 16
"""Elements of an array that stays in a processor's own cache: 256 KiB, two or three of them per call."""
PART = 1 << 18
"""Elements per cold call: 1 MiB from a pool larger than every cache, another MiB in each call."""
PASSES = {"forward": 2, "backward": 3}
"""Number of arrays read and written: x and y; dy, the saved values, and dx."""
STEPS = 44
BATCH = 32


class WrongResult(DnnkitError, ArithmeticError):
    """The code to be timed computes wrong results."""


def measure(selection: Selection, results: Results, stage: Stage) -> None:
    """Add the rows `elements` and `step`, and the curves of the functions."""
    results.curves += [_curve(name, selection.kernel(name)) for name in selection.activations]
    for cache in ("warm", "cold"):
        _elements(selection, results, stage, cache)
    _steps(selection, results, stage)


def check(backend: Backend, name: str, activation: registry.Activation) -> float:
    """Return the largest error of forward and backward, relative to max(1, |value|); raise if it is too large."""
    x = np.linspace(-8, 8, 4097)
    given = backend.asarray(x.astype(DTYPE))
    y = activation.forward(x)
    saved = y if activation.saves == "output" else x
    with backend.on_device():
        found = backend.to_numpy(backend.activation(activation, given, out=backend.buffer(x.shape, given.dtype)))
        slopes = backend.to_numpy(
            backend.activation_backward(
                activation,
                backend.asarray(np.ones_like(x, DTYPE)),
                backend.asarray(saved.astype(DTYPE)),
                out=backend.buffer(x.shape, given.dtype),
            )
        )
    expected = activation.backward(np.ones_like(x), saved)
    errors = [np.abs(a - b) / np.maximum(1, np.abs(b)) for a, b in ((found, y), (slopes, expected))]
    error = float(np.max(errors))
    if not error < 1e-5:
        raise WrongResult(f"{name} on {backend.name} is wrong by {error:.2g} in float32: it is not timed")
    return error


def _elements(selection: Selection, results: Results, stage: Stage, cache: str) -> None:
    cases: list[Case] = []
    about: dict[str, dict[str, str | int]] = {}
    errors: dict[tuple[str, str], float] = {}
    for backend in selection.backends:
        make = _calls(backend, cache)
        done = waits_for(backend)
        limit = f"{backend.name} copy"
        cases.append(Case(limit, make("copy", None), done))
        for name, direction in product(selection.activations, PASSES):
            title = f"{name} {direction} {backend.name}"
            errors[name, backend.name] = check(backend, name, selection.kernel(name))
            about[title] = {"activation": name, "backend": backend.name, "pass": direction, "cache": cache}
            cases.append(Case(title, make(direction, selection.kernel(name)), done))
    timings = measure_group(cases, cache, selection, results, stage, f"elements, {cache} cache")
    size = WARM if cache == "warm" else PART
    for title, case in about.items():
        timing, backend_name = timings[title], str(case["backend"])
        moved = PASSES[str(case["pass"])] * ITEM
        bandwidth = 2 * ITEM * size / min(timings[f"{backend_name} copy"].seconds)
        results.limits[f"copy, {cache}, {backend_name}, bytes per second"] = bandwidth
        nanoseconds = tuple(1e9 * seconds / size for seconds in timing.seconds)
        floor = 1e9 * moved / bandwidth
        facts = {
            "elements": size,
            "floor": floor,
            "of bandwidth": floor / float(np.median(nanoseconds)),
            "error": errors[str(case["activation"]), backend_name],
            "calls": timing.calls,
            "processors": timing.processors,
        }
        results.rows.append(Row("elements", case, "ns per element", nanoseconds, facts))


def _calls(backend: Backend, cache: str) -> Callable[[str, registry.Activation | None], Callable[[], Any]]:
    """Return `make(direction, activation)`, which returns a call on arrays in the cache (warm) or in memory (cold).

    The saved values are random as well, because no derivative's time depends on its values.
    """
    size = WARM if cache == "warm" else PART
    parts = 1 if cache == "warm" else max(2, min(256 << 20, 2 * last_level_cache()) // (ITEM * PART))
    numbers = np.random.default_rng(0).normal(0, 2, (1, size)).astype(DTYPE)
    writes = backend.buffer((0,), backend.dtype(DTYPE)) is not None
    with backend.on_device():
        pools = [backend.asarray(aligned(np.repeat(numbers, parts, axis=0))) for _ in range(3)]
        places = [tuple(pool[part] for pool in pools) for part in range(parts)]

    def make(direction: str, activation: registry.Activation | None) -> Callable[[], Any]:
        around = cycle(places)

        def copy() -> Any:
            x, _, out = next(around)
            return copy_array(backend, x, out)

        def forward() -> Any:
            assert activation is not None
            x, _, out = next(around)
            return backend.activation(activation, x, out=out if writes else None)

        def backward() -> Any:
            assert activation is not None
            dy, saved, out = next(around)
            return backend.activation_backward(activation, dy, saved, out=out if writes else None)

        return {"copy": copy, "forward": forward, "backward": backward}[direction]

    return make


def copy_array(backend: Backend, x: Any, out: Any) -> Any:
    """Copy an array, to measure bandwidth; a library without `copyto` allocates a new array."""
    copyto = getattr(backend.xp, "copyto", None)
    return backend.xp.asarray(x, copy=True) if copyto is None else copyto(out, x)


def _steps(selection: Selection, results: Results, stage: Stage) -> None:
    """Time a training step of 64-width-...-10 on digits, batch 32, Adam."""
    cases, about = [], {}
    for backend, name in product(selection.backends, selection.activations):
        case: dict[str, str | int] = {"activation": name, "backend": backend.name}
        title = f"step {name} {backend.name}"
        about[title] = case
        cases.append(Case(title, classifier(selection, name, backend, seed=0).epoch(BATCH, STEPS), waits_for(backend)))
    timings = measure_group(cases, "training step", selection, results, stage, "training steps")
    for title, case in about.items():
        timing = timings[title]
        microseconds = tuple(1e6 * seconds / STEPS for seconds in timing.seconds)
        facts = {"batch": BATCH, "width": selection.width, "depth": selection.depth, "processors": timing.processors}
        results.rows.append(Row("step", case, "µs per step", microseconds, facts))


def _curve(name: str, activation: registry.Activation) -> dict[str, Any]:
    """Return the function and its derivative, in float64."""
    x = np.linspace(-5, 5, 401)
    y = activation.forward(x)
    slope = activation.backward(np.ones_like(x), y if activation.saves == "output" else x)
    return {"curve": "function", "activation": name, "x": x.tolist(), "y": y.tolist(), "slope": slope.tolist()}
