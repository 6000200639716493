"""A line search for the strong Wolfe conditions: how far to go along a direction in which a function falls.

Source: J. Nocedal, S. Wright, Numerical Optimization, 2nd ed. 2006: algorithm 3.5 looks for an interval that contains
such steps, 3.6 ("zoom") narrows it down; the next trial is the minimum of the cubic through values and slopes at both
ends, (3.59), kept away from them, or the middle where the cubic has narrowed too little, as J. J. Moré, D. J. Thuente,
ACM TOMS 20, 1994, do.
"""

from collections.abc import Callable
from math import copysign, inf, isfinite, sqrt
from typing import Generic, TypeVar

from dnnkit.deferred import dataclass

Where = TypeVar("Where")

LONGEST = 10.0
"""How many times as far as before the search goes where the function still falls."""

FROM_ENDS = 0.1
"""Share of an interval by which a trial keeps away from its ends."""

SHRINKS = 0.66
"""Share of its length that an interval has at most after two trials; else it is halved."""


@dataclass(frozen=True)
class Trial(Generic[Where]):
    """What the function is at a step: its value, its slope along the direction, and all else that the caller keeps."""

    step: float
    value: float
    slope: float
    where: Where

    @property
    def is_finite(self) -> bool:
        """Whether value and slope are numbers."""
        return isfinite(self.value) and isfinite(self.slope)


@dataclass(frozen=True)
class Found(Generic[Where]):
    """What a search ended with: a step that fulfils both conditions if `is_wolfe`, else one that only falls enough.

    `trial` is None if there is neither.
    """

    trial: Trial[Where] | None
    is_wolfe: bool
    evaluations: int


class GaveUp(Exception):
    """Raised by the function, through the search, to end it: somebody does not wait."""


def strong_wolfe(
    evaluate: Callable[[float], Trial[Where]],
    begin: Trial[Where],
    step: float,
    decrease: float = 1e-4,
    curvature: float = 0.9,
    most: int = 25,
) -> Found[Where]:
    """A step a with f(a) ≤ f(0) + decrease a f'(0) and |f'(a)| ≤ curvature |f'(0)|.

    Arguments:
        evaluate: the function at a step; where it is infinite or NaN, the search comes back.
        begin: the function at step 0, with a slope below 0.
        step: the first that is tried, above 0.
        decrease, curvature: 0 < decrease < curvature < 1.
        most: evaluations.
    """
    search = _Search(evaluate, begin, decrease, curvature, most)
    before = begin
    while search.may_go_on:  # algorithm 3.5
        trial = search.trial(step)
        if not search.falls_enough(trial) or (before is not begin and trial.value >= before.value):
            return search.zoom(before, trial)
        if search.is_flat(trial):
            return search.found(trial, is_wolfe=True)
        if trial.slope >= 0:
            return search.zoom(trial, before)
        step, before = _beyond(before, trial), trial
    return search.found(before)


class _Search(Generic[Where]):
    """What stays the same in one search, and the number of evaluations."""

    def __init__(
        self,
        evaluate: Callable[[float], Trial[Where]],
        begin: Trial[Where],
        decrease: float,
        curvature: float,
        most: int,
    ) -> None:
        self._evaluate, self._begin, self._most = evaluate, begin, most
        self._decrease, self._curvature, self._evaluations = decrease, curvature, 0

    @property
    def may_go_on(self) -> bool:
        return self._evaluations < self._most

    def trial(self, step: float) -> Trial[Where]:
        self._evaluations += 1
        return self._evaluate(step)

    def falls_enough(self, trial: Trial[Where]) -> bool:
        """Armijo's condition."""
        begin = self._begin
        return trial.is_finite and trial.value <= begin.value + self._decrease * trial.step * begin.slope

    def is_flat(self, trial: Trial[Where]) -> bool:
        """The strong condition on the curvature."""
        return abs(trial.slope) <= -self._curvature * self._begin.slope

    def found(self, trial: Trial[Where], *, is_wolfe: bool = False) -> Found[Where]:
        return Found(None if trial is self._begin else trial, is_wolfe, self._evaluations)

    def zoom(self, low: Trial[Where], high: Trial[Where]) -> Found[Where]:
        """Algorithm 3.6, between the lowest step so far that falls enough and another, on the side where it falls."""
        widths = inf, inf
        while self.may_go_on:
            width = abs(high.step - low.step)
            step = _within(low, high) if width <= SHRINKS * widths[0] else (low.step + high.step) / 2
            widths = widths[1], width
            if step in (low.step, high.step):
                break  # there is no number between
            trial = self.trial(step)
            if not self.falls_enough(trial) or trial.value >= low.value:
                high = trial
                continue
            if self.is_flat(trial):
                return self.found(trial, is_wolfe=True)
            if trial.slope * (high.step - low.step) >= 0:
                high = low
            low = trial
        return self.found(low)


def _lowest_of_cubic(a: Trial[Where], b: Trial[Where]) -> float | None:
    """Where the cubic through values and slopes of both is lowest; None if it has no minimum or is none."""
    if not (a.is_finite and b.is_finite) or a.step == b.step:
        return None
    d1 = a.slope + b.slope - 3 * (a.value - b.value) / (a.step - b.step)
    square = d1 * d1 - a.slope * b.slope
    if not 0 <= square < inf:
        return None
    d2 = copysign(sqrt(square), b.step - a.step)
    below = b.slope - a.slope + 2 * d2
    return None if below == 0 else b.step - (b.step - a.step) * (b.slope + d2 - d1) / below


def _within(low: Trial[Where], high: Trial[Where]) -> float:
    """The next trial between two."""
    least, most = sorted((low.step, high.step))
    margin, lowest = FROM_ENDS * (most - least), _lowest_of_cubic(low, high)
    return (least + most) / 2 if lowest is None else min(max(lowest, least + margin), most - margin)


def _beyond(before: Trial[Where], last: Trial[Where]) -> float:
    """The next trial after two, the last of which still falls."""
    lowest = _lowest_of_cubic(before, last)
    least, most = last.step + FROM_ENDS * (last.step - before.step), LONGEST * last.step
    return most if lowest is None else min(max(lowest, least), most)
