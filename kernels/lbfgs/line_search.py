"""Line search for the strong Wolfe conditions: how far to go along a descent direction.

It does not call the function: `begin_search` sets in `s.step` where value and slope are needed next, and so does
`take`, which receives them, until `s.outcome` says that the search is over. The result is the last trial that `take`
kept. Plain Python on numbers, with `s` an `ITERATION`, run as it is and compiled by Numba (`cpu.py`).

Source: J. Nocedal, S. Wright, Numerical Optimization, 2nd ed. 2006: algorithm 3.5 finds an interval that contains such
        steps, and 3.6 ("zoom") narrows it. The next trial is the minimum of the cubic that interpolates values and
        slopes at both ends, (3.59), kept away from the ends, or the midpoint if the cubic has narrowed the interval too
        little (J. J. Moré, D. J. Thuente, ACM TOMS 20, 1994).
"""

from math import copysign, inf, isfinite, nan, sqrt
from typing import Any

LONGEST = 10.0
"""Maximum growth of the step per trial while the function still decreases."""

FROM_ENDS = 0.1
"""Fraction of the interval that a trial keeps away from its ends."""

SHRINKS = 0.66
"""Maximum fraction of the interval that may remain after two trials; otherwise it is bisected."""

SEARCHING, WOLFE, LOWER, FAILED = range(4)
"""Outcomes: none yet; a step that satisfies both conditions; one of sufficient decrease only; no such step."""

WORDS = {
    "tried": "evaluations in this line search",
    "most_tried": "maximum number of evaluations",
    "is_zooming": "1 once an interval is known to contain steps that satisfy both conditions",
    "keeps": "1 if the last trial is the lowest so far with sufficient decrease",
    "outcome": "SEARCHING, WOLFE, LOWER or FAILED",
}
NUMBERS = {
    "decrease": "0 < decrease < curvature: f(a) ≤ f(0) + decrease a f'(0)",
    "curvature": "curvature < 1: |f'(a)| ≤ curvature |f'(0)|",
    "step": "a, the next trial",
    "begin_value": "f(0)",
    "begin_slope": "f'(0), below 0",
    "low_step": "one end of the interval: the lowest trial with sufficient decrease; 0 before there is one",
    "low_value": "function value there",
    "low_slope": "its slope",
    "high_step": "the other end; from the low end towards it, the function decreases at first",
    "high_value": "function value there, which may be infinite or NaN",
    "high_slope": "its slope",
    "width": "length of the interval when the last trial was chosen",
    "width_before": "likewise, for the trial before",
}


def begin_search(s: Any, value: float, slope: float, step: float) -> None:
    """Begin a search from this value and this slope, below 0; the first trial is at a step above 0."""
    s.begin_value, s.begin_slope, s.step = value, slope, step
    s.low_step, s.low_value, s.low_slope = 0.0, value, slope
    s.tried, s.is_zooming, s.keeps, s.outcome = 0, 0, 0, SEARCHING
    s.width, s.width_before = inf, inf


def take(s: Any, value: float, slope: float) -> None:
    """Take value and slope at the trial; if they are infinite or NaN, the search backs off."""
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
    """Whether the trial satisfies Armijo's condition of sufficient decrease."""
    highest = float(s.begin_value + s.decrease * s.step * s.begin_slope)
    return isfinite(value) and isfinite(slope) and value <= highest


def narrow(s: Any) -> bool:
    """Choose the next trial between both ends; return False if there is no number in between."""
    width = abs(s.high_step - s.low_step)
    if width <= SHRINKS * s.width_before:
        s.step = step_within(s)
    else:
        s.step = (s.low_step + s.high_step) / 2
    s.width_before, s.width = s.width, width
    return bool(s.step != s.low_step and s.step != s.high_step)


def step_within(s: Any) -> float:
    """Return the next trial between both ends, from the cubic."""
    least, most = float(min(s.low_step, s.high_step)), float(max(s.low_step, s.high_step))
    lowest = lowest_of_cubic(s.low_step, s.low_value, s.low_slope, s.high_step, s.high_value, s.high_slope)
    if not isfinite(lowest):
        return (least + most) / 2
    margin = FROM_ENDS * (most - least)
    return min(max(lowest, least + margin), most - margin)


def step_beyond(s: Any, value: float, slope: float) -> float:
    """Return the next trial if the function still decreases at this one."""
    lowest = lowest_of_cubic(s.low_step, s.low_value, s.low_slope, s.step, value, slope)
    least, most = float(s.step + FROM_ENDS * (s.step - s.low_step)), float(LONGEST * s.step)
    return min(max(lowest, least), most) if isfinite(lowest) else most


def lowest_of_cubic(a: float, a_value: float, a_slope: float, b: float, b_value: float, b_slope: float) -> float:
    """Return the minimum of the cubic with given values and slopes at a and b; NaN or infinite if it has none."""
    if a == b:
        return nan
    d1 = a_slope + b_slope - 3 * (a_value - b_value) / (a - b)
    square = d1 * d1 - a_slope * b_slope
    if not 0 <= square < inf:
        return nan
    d2 = copysign(sqrt(square), b - a)
    below = b_slope - a_slope + 2 * d2
    return nan if below == 0 else b - (b - a) * (b_slope + d2 - d1) / below
