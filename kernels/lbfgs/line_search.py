"""A line search for the strong Wolfe conditions: how far to go along a direction in which a function falls.

It does not call the function: `begin_search` says where its value and slope are wanted, in `s.step`, and so does `take`
each time it is given them, until `s.outcome` says that the search is over. What is found, `take` has kept last. Plain
Python on numbers, `s` an `ITERATION`, which is run as it stands and compiled by Numba (`cpu.py`).

Source: J. Nocedal, S. Wright, Numerical Optimization, 2nd ed. 2006: algorithm 3.5 looks for an interval that contains
such steps, 3.6 ("zoom") narrows it down; the next trial is the minimum of the cubic through values and slopes at both
ends, (3.59), kept away from them, or the middle where the cubic has narrowed too little, as J. J. Moré, D. J. Thuente,
ACM TOMS 20, 1994, do.
"""

from math import copysign, inf, isfinite, nan, sqrt
from typing import Any

LONGEST = 10.0
"""How many times as far as before the search goes where the function still falls."""

FROM_ENDS = 0.1
"""Share of an interval by which a trial keeps away from its ends."""

SHRINKS = 0.66
"""Share of its length that an interval has at most after two trials; else it is halved."""

SEARCHING, WOLFE, LOWER, FAILED = range(4)
"""Outcomes: none yet; a step that fulfils both conditions; one that only falls enough; none that does."""

WORDS = {
    "tried": "evaluations in this line search",
    "most_tried": "how many there are at most",
    "is_zooming": "1 once there is an interval that contains steps which fulfil both conditions",
    "keeps": "1 if the last trial is the lowest so far that falls enough",
    "outcome": "SEARCHING, WOLFE, LOWER or FAILED",
}
NUMBERS = {
    "decrease": "0 < decrease < curvature: f(a) ≤ f(0) + decrease a f'(0)",
    "curvature": "curvature < 1: |f'(a)| ≤ curvature |f'(0)|",
    "step": "a, the next trial",
    "begin_value": "f(0)",
    "begin_slope": "f'(0), below 0",
    "low_step": "the lowest trial that falls enough, one end of the interval; 0 before there is one",
    "low_value": "the function there",
    "low_slope": "its slope",
    "high_step": "the other end: between them, beginning at the low one, the function falls at first",
    "high_value": "the function there, which may be infinite or NaN",
    "high_slope": "its slope",
    "width": "length of the interval when the last trial was chosen",
    "width_before": "the same of the trial before",
}


def begin_search(s: Any, value: float, slope: float, step: float) -> None:
    """Begin where the function has that value and, below 0, that slope; the first trial is at a step above 0."""
    s.begin_value, s.begin_slope, s.step = value, slope, step
    s.low_step, s.low_value, s.low_slope = 0.0, value, slope
    s.tried, s.is_zooming, s.keeps, s.outcome = 0, 0, 0, SEARCHING
    s.width, s.width_before = inf, inf


def take(s: Any, value: float, slope: float) -> None:
    """Take the function at the trial: where it is infinite or NaN, the search comes back."""
    s.tried += 1
    s.keeps = 0
    is_above = value >= s.low_value and (s.is_zooming > 0 or s.low_step > 0)
    if is_above or not falls_enough(s, value, slope):
        s.high_step, s.high_value, s.high_slope, s.is_zooming = s.step, value, slope, 1
    else:
        beyond = step_beyond(s, value, slope)
        if (slope >= 0) if s.is_zooming == 0 else (slope * (s.high_step - s.low_step) >= 0):
            s.high_step, s.high_value, s.high_slope, s.is_zooming = s.low_step, s.low_value, s.low_slope, 1
        s.low_step, s.low_value, s.low_slope, s.keeps = s.step, value, slope, 1
        s.step = beyond
        if abs(slope) <= -s.curvature * s.begin_slope:
            s.outcome = WOLFE
            return
    if s.tried >= s.most_tried or (s.is_zooming > 0 and not narrow(s)):
        s.outcome = LOWER if s.low_step > 0 else FAILED


def falls_enough(s: Any, value: float, slope: float) -> bool:
    """Whether the trial fulfils Armijo's condition."""
    highest = float(s.begin_value + s.decrease * s.step * s.begin_slope)
    return isfinite(value) and isfinite(slope) and value <= highest


def narrow(s: Any) -> bool:
    """Choose the next trial between both ends; False if there is no number between."""
    width = abs(s.high_step - s.low_step)
    if width <= SHRINKS * s.width_before:
        s.step = step_within(s)
    else:
        s.step = (s.low_step + s.high_step) / 2
    s.width_before, s.width = s.width, width
    return bool(s.step != s.low_step and s.step != s.high_step)


def step_within(s: Any) -> float:
    """The next trial between both ends, by the cubic."""
    least, most = float(min(s.low_step, s.high_step)), float(max(s.low_step, s.high_step))
    lowest = lowest_of_cubic(s.low_step, s.low_value, s.low_slope, s.high_step, s.high_value, s.high_slope)
    if not isfinite(lowest):
        return (least + most) / 2
    margin = FROM_ENDS * (most - least)
    return min(max(lowest, least + margin), most - margin)


def step_beyond(s: Any, value: float, slope: float) -> float:
    """The next trial if the function still falls at this one."""
    lowest = lowest_of_cubic(s.low_step, s.low_value, s.low_slope, s.step, value, slope)
    least, most = float(s.step + FROM_ENDS * (s.step - s.low_step)), float(LONGEST * s.step)
    return min(max(lowest, least), most) if isfinite(lowest) else most


def lowest_of_cubic(a: float, a_value: float, a_slope: float, b: float, b_value: float, b_slope: float) -> float:
    """Where the cubic through values and slopes at a and b is lowest; no finite number where it has no minimum."""
    if a == b:
        return nan
    d1 = a_slope + b_slope - 3 * (a_value - b_value) / (a - b)
    square = d1 * d1 - a_slope * b_slope
    if not 0 <= square < inf:
        return nan
    d2 = copysign(sqrt(square), b - a)
    below = b_slope - a_slope + 2 * d2
    return nan if below == 0 else b - (b - a) * (b_slope + d2 - d1) / below
