"""Timing: cases take turns, round by round, so that other load on the machine affects all of them alike."""

import gc
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from time import perf_counter, process_time
from typing import Any

import numpy as np

from dnnkit.backends.base import Backend
from dnnkit.bench.progress import Stage
from dnnkit.bench.results import Results
from dnnkit.bench.selection import Effort, Selection
from dnnkit.deferred import dataclass

AGAIN = "again: "
"""Prefix of a case that is measured a second time, to estimate the noise."""
CONTROL = "NumPy's tanh"
TWINS = 5
"""Number of cases per group that are measured twice."""


@dataclass(frozen=True)
class Case:
    """A call to time. `finish` blocks until the work of all previous calls is complete."""

    name: str
    call: Callable[[], Any]
    finish: Callable[[], None] = lambda: None


@dataclass(frozen=True)
class Timing:
    """Seconds per call in each round, calls per round, and mean number of busy processors."""

    seconds: tuple[float, ...]
    calls: int
    processors: float


def interleave(cases: Sequence[Case], effort: Effort, advance: Callable[[], None] = lambda: None) -> dict[str, Timing]:
    """Time every case in every round, in a different order each round; call `advance` after each.

    The first call of a case compiles, the next ones determine the number of calls per round; these are not counted.
    Garbage collection is off within a round.
    """
    counts = [_calls(case, effort.seconds) for case in cases]
    seconds: list[list[float]] = [[] for _ in cases]
    busy, walls = [0.0] * len(cases), [0.0] * len(cases)
    collects = gc.isenabled()
    gc.disable()
    try:
        for number in range(effort.rounds):
            places = list(range(len(cases)))
            turn = number * len(cases) // effort.rounds
            order = places[turn:] + places[:turn]
            for place in order if number % 2 == 0 else reversed(order):
                wall, used = _run(cases[place], counts[place])
                seconds[place].append(wall / counts[place])
                busy[place] += used
                walls[place] += wall
                advance()
            gc.collect()
    finally:
        if collects:
            gc.enable()
    return {
        case.name: Timing(tuple(seconds[place]), counts[place], busy[place] / max(walls[place], 1e-12))
        for place, case in enumerate(cases)
    }


def _run(case: Case, calls: int) -> tuple[float, float]:
    """Return wall-clock and CPU seconds, after one call that warms the cache."""
    call = case.call
    call()
    case.finish()
    used, start = process_time(), perf_counter()
    for _ in range(calls):
        call()
    case.finish()
    return perf_counter() - start, process_time() - used


def _calls(case: Case, seconds: float) -> int:
    """Return the number of calls that take about `seconds`."""
    case.call()
    case.finish()
    calls = 1
    while True:
        wall, _ = _run(case, calls)
        if wall >= seconds / 2 or calls >= 1 << 20:
            return max(1, round(calls * seconds / max(wall, 1e-9)))
        calls *= 4


def measure_group(
    cases: Sequence[Case], group: str, selection: Selection, results: Results, stage: Stage, title: str
) -> dict[str, Timing]:
    """Time a group of cases together with twins and the control; add these to the results.

    `group` is its name in the results, `title` on the progress bar.
    """
    cases = guarded(cases)
    advance = stage(title, len(cases) * selection.effort.rounds)
    with ExitStack() as stack, np.errstate(all="ignore"):
        for backend in selection.backends:
            stack.enter_context(backend.on_device())
        timings = interleave(cases, selection.effort, advance)
    results.identical += identical(timings, group)
    results.controls |= controls(timings, group)
    return timings


def guarded(cases: Sequence[Case]) -> list[Case]:
    """Return the cases, some of them a second time (twins, evenly spaced), and a control outside dnnkit."""
    places = sorted({place * (len(cases) - 1) // max(1, TWINS - 1) for place in range(TWINS)})
    return [*cases, *(replace(cases[place], name=AGAIN + cases[place].name) for place in places), _control()]


def _control() -> Case:
    """Return a single-threaded NumPy computation in cache: if its time changes, the machine has changed."""
    x = np.linspace(-4, 4, 1 << 14, dtype=np.float32)
    y = np.empty_like(x)
    return Case(CONTROL, lambda: np.tanh(x, out=y))


def controls(timings: Mapping[str, Timing], group: str) -> dict[str, float]:
    """Return the median seconds of the control, by group."""
    return {f"{CONTROL}, {group}": float(np.median(timings[CONTROL].seconds))}


def identical(timings: Mapping[str, Timing], group: str) -> list[tuple[str, tuple[float, ...], tuple[float, ...]]]:
    """Return name and samples of each case that was measured twice."""
    names = [name.removeprefix(AGAIN) for name in timings if name.startswith(AGAIN)]
    return [(f"{name}, {group}", timings[name].seconds, timings[AGAIN + name].seconds) for name in names]


def waits_for(backend: Backend) -> Callable[[], None]:
    """Return a function that blocks until a backend's work is complete; only CUDA is asynchronous."""
    cuda = getattr(backend.xp, "cuda", None)
    if cuda is None:
        return lambda: None

    def finish() -> None:
        with backend.on_device():
            cuda.get_current_stream().synchronize()

    return finish
