"""The line search: both strong Wolfe conditions, whatever falls at first."""

import math

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from dnnkit.kernels.lbfgs.line_search import Found, Trial, strong_wolfe

NUMBER = st.floats(-3, 3)


def search(function, first: float, most: int = 60, **conditions) -> tuple[Found[float], Trial[float]]:
    """Along a function that gives (value, slope)."""

    def evaluate(step: float) -> Trial[float]:
        return Trial(step, *function(step), step)

    begin = evaluate(0.0)
    return strong_wolfe(evaluate, begin, first, most=most, **conditions), begin


@given(
    waves=st.lists(st.tuples(NUMBER, st.floats(0.1, 5), NUMBER), min_size=1, max_size=4),
    tilt=NUMBER,
    first=st.floats(1e-3, 1e3),
    decrease=st.sampled_from([1e-4, 0.1]),
    curvature=st.sampled_from([0.2, 0.5, 0.9]),
)
def test_both_conditions_hold(waves, tilt, first, decrease, curvature) -> None:
    """Of waves on a parabola, which have any number of hills and are bounded below."""

    def function(a: float) -> tuple[float, float]:
        value = 0.05 * a * a + tilt * a + sum(h * math.sin(w * a + p) for h, w, p in waves)
        return value, 0.1 * a + tilt + sum(h * w * math.cos(w * a + p) for h, w, p in waves)

    assume(function(0.0)[1] < -1e-3)
    found, begin = search(function, first, decrease=decrease, curvature=curvature)
    assert found.is_wolfe
    assert found.trial is not None
    step = found.trial.step
    value, slope = function(step)
    assert step > 0
    assert value <= begin.value + decrease * step * begin.slope
    assert abs(slope) <= curvature * abs(begin.slope)


@pytest.mark.parametrize("bad", [math.inf, math.nan])
def test_it_comes_back_from_where_there_are_no_numbers(bad: float) -> None:
    found, _ = search(lambda a: (bad, bad) if a > 0.01 else (-a + 1e3 * a * a, -1 + 2e3 * a), 1e3)
    assert found.is_wolfe


def test_a_function_that_only_falls_ends_with_the_lowest_that_was_seen() -> None:
    found, _ = search(lambda a: (-a, -1.0), 1.0, most=4)
    assert (found.is_wolfe, found.evaluations) == (False, 4)
    assert found.trial is not None
    assert found.trial.step == 1000  # each ten times as far


def test_a_function_that_does_not_fall_gives_no_step() -> None:
    found, _ = search(lambda a: (0.0 if a == 0 else 1.0, -1.0), 1.0)
    assert found.trial is None


def test_the_first_step_is_taken_if_it_will_do() -> None:
    found, _ = search(lambda a: ((a - 1.1) ** 2, 2 * (a - 1.1)), 1.0)
    assert (found.evaluations, found.trial.step) == (1, 1.0)
