"""The stopwatch: cases take turns, round by round, so that what else the machine does meets all of them alike."""

import gc
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from time import perf_counter, process_time
from typing import Any

import numpy as np

from dnnkit.backends.base import Backend

AGAIN = "again: "
"""How the name of a case begins that is the same as another: they differ by what the machine makes of no difference."""
CONTROL = "NumPy's tanh"
TWINS = 5
"""Cases of a group that are measured twice."""


@dataclass(frozen=True)
class Effort:
    """How much to measure: rounds, and the seconds that a case gets in each."""

    rounds: int
    seconds: float


QUICK, USUAL = Effort(7, 0.001), Effort(15, 0.003)


@dataclass(frozen=True)
class Case:
    """A call to time. `finish` waits until the work of all calls before is done, not only begun."""

    name: str
    call: Callable[[], Any]
    finish: Callable[[], None] = lambda: None


@dataclass(frozen=True)
class Timing:
    """Seconds a call in each round, how many calls a round had, and how many processors were busy."""

    seconds: tuple[float, ...]
    calls: int
    processors: float


def interleave(cases: Sequence[Case], effort: Effort, advance: Callable[[], None] = lambda: None) -> dict[str, Timing]:
    """Time every case in every round, in another order each round; `advance` is called after each case and round.

    The first call of a case compiles, the next ones find out how many calls a round takes; none of these count.
    The garbage collector rests meanwhile.
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
    """Seconds of the wall's clock and of the processors'; one call goes first, to bring its data where they belong."""
    call = case.call
    call()
    case.finish()
    used, start = process_time(), perf_counter()
    for _ in range(calls):
        call()
    case.finish()
    return perf_counter() - start, process_time() - used


def _calls(case: Case, seconds: float) -> int:
    """How many calls last about so many seconds."""
    case.call()
    case.finish()
    calls = 1
    while True:
        wall, _ = _run(case, calls)
        if wall >= seconds / 2 or calls >= 1 << 20:
            return max(1, round(calls * seconds / max(wall, 1e-9)))
        calls *= 4


def guarded(cases: Sequence[Case]) -> list[Case]:
    """The cases; some of them, from the first to the last, a second time; and work that is no part of dnnkit."""
    places = sorted({place * (len(cases) - 1) // max(1, TWINS - 1) for place in range(TWINS)})
    return [*cases, *(replace(cases[place], name=AGAIN + cases[place].name) for place in places), _control()]


def _control() -> Case:
    """Arithmetic of NumPy alone, on one processor, in its cache: when this changes, the machine has."""
    x = np.linspace(-4, 4, 1 << 14, dtype=np.float32)
    y = np.empty_like(x)
    return Case(CONTROL, lambda: np.tanh(x, out=y))


def controls(timings: Mapping[str, Timing], group: str) -> dict[str, float]:
    """Median seconds of the control, by what it was measured among."""
    return {f"{CONTROL}, {group}": float(np.median(timings[CONTROL].seconds))}


def identical(timings: Mapping[str, Timing], group: str) -> list[tuple[str, tuple[float, ...], tuple[float, ...]]]:
    """Name and samples of each case that was measured twice."""
    names = [name.removeprefix(AGAIN) for name in timings if name.startswith(AGAIN)]
    return [(f"{name}, {group}", timings[name].seconds, timings[AGAIN + name].seconds) for name in names]


def waits_for(backend: Backend) -> Callable[[], None]:
    """What to call until a backend's work is done: of those here, only one with CUDA gives it back before."""
    cuda = getattr(backend.xp, "cuda", None)
    if cuda is None:
        return lambda: None

    def finish() -> None:
        with backend.on_device():
            cuda.get_current_stream().synchronize()

    return finish
