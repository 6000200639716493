"""The expressions of kernels for scripts of NumPy alone: the values of the references, without warnings."""

import ast
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from dnnkit.kernels import registry

ACTIVATIONS = registry.names("activation")


def evaluated(name: str, x: np.ndarray) -> np.ndarray:
    for expression in registry.activation(name).numpy_source:
        x = eval(expression, {"np": np, "math": math, "x": x})
    return x


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_expressions_know_x_numpy_and_math_alone(name):
    expressions = registry.activation(name).numpy_source
    assert isinstance(expressions, tuple)
    for expression in expressions:
        tree = ast.parse(expression, mode="eval")
        assert {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)} <= {"x", "np", "math"}


def assert_as_the_reference(name: str, x: np.ndarray) -> None:
    """Within the rounding of an exponent of up to a hundred in x's precision; smaller results count as zero."""
    y = evaluated(name, x)
    assert y.dtype == x.dtype
    assert y.shape == x.shape
    rtol, atol = {"float32": (3e-5, 1e-35), "float64": (1e-12, 1e-290)}[str(x.dtype)]
    np.testing.assert_allclose(y, registry.activation(name).forward(x.astype(np.float64)), rtol=rtol, atol=atol)


EDGES = [0.0, 1e-30, 1e-8, 1e-3, 0.5, 1.0, 2.5, 3.0, 10.0, 16.7, 20.0, 88.8, 100.0, 104.0, 710.0, 746.0, 9999.0, 1e4]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_expressions_follow_the_references_over_a_wide_range(name, dtype):
    edges = np.array([*EDGES, *(-edge for edge in EDGES)])
    x = np.concatenate([edges, np.linspace(-1e4, 1e4, 401), np.linspace(-30, 30, 401)]).astype(dtype)
    assert_as_the_reference(name, x)
    assert_as_the_reference(name, x[: x.size // 7 * 7].reshape(-1, 7))


@settings(max_examples=40)
@given(
    name=st.sampled_from(ACTIVATIONS),
    x=arrays(np.float32, (3, 4), elements=st.floats(-1e4, 1e4, width=32)),
    dtype=st.sampled_from([np.float32, np.float64]),
)
def test_expressions_follow_the_references_at_any_value(name, x, dtype):
    assert_as_the_reference(name, x.astype(dtype))
