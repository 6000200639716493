"""The line search: both strong Wolfe conditions, for any function that decreases at first."""

import math
from dataclasses import dataclass

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from dnnkit.kernels.lbfgs.iteration import ITERATION
from dnnkit.kernels.lbfgs.line_search import FAILED, LOWER, SEARCHING, WOLFE, begin_search, take

NUMBER = st.floats(-3, 3)


@dataclass
class Found:
    """The outcome, the step that was kept last, and the number of calls."""

    outcome: int
    step: float | None
    evaluations: int


def search(function, first: float, most: int = 60, decrease: float = 1e-4, curvature: float = 0.9) -> Found:
    """Search along a function that gives (value, slope)."""
    s, kept = ITERATION.new(1)[0], None
    s.most_tried, s.decrease, s.curvature = most, decrease, curvature
    begin_search(s, *function(0.0), first)
    while s.outcome == SEARCHING:
        step = s.step
        take(s, *function(step))
        kept = step if s.keeps else kept
    return Found(s.outcome, kept, s.tried)


@given(
    waves=st.lists(st.tuples(NUMBER, st.floats(0.1, 5), NUMBER), min_size=1, max_size=4),
    tilt=NUMBER,
    first=st.floats(1e-3, 1e3),
    decrease=st.sampled_from([1e-4, 0.1]),
    curvature=st.sampled_from([0.2, 0.5, 0.9]),
)
def test_both_conditions_hold(waves, tilt, first, decrease, curvature) -> None:
    """Waves on a parabola, which have any number of hills and are bounded below."""

    def function(a: float) -> tuple[float, float]:
        value = 0.05 * a * a + tilt * a + sum(h * math.sin(w * a + p) for h, w, p in waves)
        return value, 0.1 * a + tilt + sum(h * w * math.cos(w * a + p) for h, w, p in waves)

    assume(function(0.0)[1] < -1e-3)
    found = search(function, first, decrease=decrease, curvature=curvature)
    assert found.outcome == WOLFE
    assert found.step is not None
    (begin_value, begin_slope), (value, slope) = function(0.0), function(found.step)
    assert found.step > 0
    assert value <= begin_value + decrease * found.step * begin_slope
    assert abs(slope) <= curvature * abs(begin_slope)


@pytest.mark.parametrize("bad", [math.inf, math.nan])
def test_it_returns_from_points_without_finite_values(bad: float) -> None:
    found = search(lambda a: (bad, bad) if a > 0.01 else (-a + 1e3 * a * a, -1 + 2e3 * a), 1e3)
    assert found.outcome == WOLFE


def test_a_function_without_a_minimum_ends_with_its_lowest_value() -> None:
    found = search(lambda a: (-a, -1.0), 1.0, most=4)
    assert found == Found(LOWER, 1000.0, 4)  # each ten times as far


def test_a_function_that_does_not_fall_gives_no_step() -> None:
    found = search(lambda a: (0.0 if a == 0 else 1.0, -1.0), 1.0)
    assert (found.outcome, found.step) == (FAILED, None)


def test_the_first_step_is_taken_if_it_will_do() -> None:
    found = search(lambda a: ((a - 1.1) ** 2, 2 * (a - 1.1)), 1.0)
    assert found == Found(WOLFE, 1.0, 1)
