"""Random formulas: an accepted one has the value and the slope that its tree has."""

from contextlib import suppress

import mpmath
import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dnnkit.errors import ConfigurationError
from dnnkit.formula import Formula
from dnnkit.kernels import registry
from tests.dnnkit.formula.formulas import exact, slope

ATOMS = st.sampled_from(["x", "x", "x", "1", "2", "0.3", "pi"])
UNARY = [
    "-{}",
    "exp({})",
    "tanh({})",
    "sigmoid({})",
    "softplus({})",
    "abs({})",
    "erf({})",
    "cosh({})",
    "atan({})",
    "({})^2",
]
BINARY = ["({} + {})", "({} - {})", "{} * ({})", "({}) / ({})", "max({}, {})", "where(x > 0.1, {}, {})"]


def larger(parts: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.one_of(
        st.builds(str.format, st.sampled_from(UNARY), parts),
        st.builds(str.format, st.sampled_from(BINARY), parts, parts),
    )


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(text=st.recursive(ATOMS, larger, max_leaves=6))
def test_value_and_slope_are_those_of_the_tree(text):
    try:
        found = registry.activation(Formula("random", text).key)
    except ConfigurationError:
        return
    x = np.array([-2.3, -0.6, 0.45, 1.7])
    for place, y, dy in zip(x, found.forward(x), found.reference.derivative(x), strict=True):
        with suppress(ZeroDivisionError, OverflowError):
            value = exact(text, place)
            if mpmath.isfinite(value) and abs(value) < 1e12:
                size = max(1.0, abs(float(value)))
                assert abs(y - float(value)) < 1e-9 * size
                right, left = slope(text, place + 1e-7), slope(text, place - 1e-7)
                if abs(right - left) < 1e-3 * (1 + abs(right)):  # no kink, no pole
                    assert abs(dy - slope(text, place)) < 1e-8 * (size + abs(dy) + size * abs(dy))
