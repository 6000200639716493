"""Every activation against formulas written independently here, and against the promises of its contract."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import special

from dnnkit.kernels import registry
from tests.oracles import ACTIVATIONS as PROMISED
from tests.oracles import central_difference

ACTIVATIONS = registry.names("activation")
ELEMENTWISE = [name for name in ACTIVATIONS if registry.activation(name).elementwise]
SHAPES = [(), (0,), (1,), (7,), (63,), (64,), (65,), (3, 0), (5, 7)]
DTYPES = [np.float32, np.float64]


def wide(x: np.ndarray) -> np.ndarray:
    return np.asarray(x, np.longdouble)


SELU_SCALE, SELU_ALPHA = 1.0507009873554804934, 1.6732632423543772848

FORMULAS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "linear": lambda x: x,
    "sigmoid": special.expit,
    "tanh": lambda x: np.tanh(wide(x)),
    "relu": lambda x: (x + np.abs(x)) / 2,
    "leaky_relu": lambda x: np.maximum(wide(x), wide(x) / 100),
    "elu": lambda x: np.where(x > 0, x, np.expm1(np.minimum(wide(x), 0))),
    "selu": lambda x: SELU_SCALE * np.where(x > 0, x, SELU_ALPHA * np.expm1(np.minimum(wide(x), 0))),
    "gelu": lambda x: x * special.ndtr(x),
    "silu": lambda x: wide(x) / (1 + np.exp(-wide(x))),
    "softplus": lambda x: np.logaddexp(wide(0), wide(x)),
    "softsign": lambda x: wide(x) / (1 + np.abs(wide(x))),
    "mish": lambda x: wide(x) * np.tanh(np.log1p(np.exp(wide(x)))),
    "hard_sigmoid": lambda x: np.minimum(np.maximum(wide(x) + 3, 0), 6) / 6,
    "step": lambda x: np.heaviside(x, 0),
    "softmax": special.softmax,
}


def backward(name: str, x: np.ndarray, dy: np.ndarray) -> np.ndarray:
    """Return the gradient in x as a network computes it: from what the activation saves."""
    activation = registry.activation(name)
    return activation.backward(dy, activation.forward(x) if activation.saves == "output" else x)


def conditioning(name: str, x: np.ndarray) -> np.ndarray:
    """How much an internal rounding grows: GELU rounds x / √2 before the tail of the normal distribution."""
    return 1 + x * x if name == "gelu" else np.ones_like(x)


def both_passes(name: str, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return registry.activation(name).forward(x), backward(name, x, np.ones_like(x))


def test_every_promised_activation_is_there_with_a_formula():
    assert set(PROMISED) <= set(ACTIVATIONS)
    assert set(PROMISED) <= set(FORMULAS)


@pytest.mark.parametrize("name", FORMULAS)
def test_values_against_independent_formulas(name):
    x = np.linspace(-30, 30, 601)
    expected = np.asarray(FORMULAS[name](x), np.float64)
    actual = registry.activation(name).forward(x)
    np.testing.assert_allclose(actual, expected, rtol=1e-12, atol=0)


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_derivative_against_central_differences(name):
    x = np.linspace(-8.05, 8.05, 46)  # no kink (0, ±3) within reach of a difference
    assert np.abs(np.subtract.outer(x, [-3, 0, 3])).min() > 0.01
    activation = registry.activation(name)
    numerical = [central_difference(lambda v: activation.forward(v)[0], x[i : i + 1])[0] for i in range(x.size)]
    np.testing.assert_allclose(activation.reference.derivative(x), numerical, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize(
    ("name", "formula"),
    [
        ("tanh", lambda x: np.cosh(x) ** -2),
        ("sigmoid", lambda x: np.cosh(x / 2) ** -2 / 4),
        ("softplus", special.expit),
        ("elu", lambda x: np.where(x > 0, 1, np.exp(np.minimum(x, 0)))),
        ("softsign", lambda x: (1 + np.abs(x)) ** -2),
    ],
)
def test_derivative_is_accurate_also_where_it_is_tiny(name, formula):
    x = np.linspace(-30, 30, 601)
    actual = registry.activation(name).reference.derivative(x)
    np.testing.assert_allclose(actual, formula(x), rtol=1e-13, atol=0)


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_derivative_from_output_equals_derivative(name):
    activation = registry.activation(name)
    from_output = getattr(activation.reference, "derivative_from_output", None)
    assert from_output is not None or activation.saves == "input"
    if from_output is None:
        return
    x = np.append(np.linspace(-4, 4, 401), [0.0, -0.0])
    np.testing.assert_allclose(from_output(activation.forward(x)), activation.reference.derivative(x), rtol=1e-12)


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_backward_is_the_derivative_times_the_incoming_gradient(name, rng):
    x, dy = rng.normal(size=(2, 5, 7))
    expected = dy * registry.activation(name).reference.derivative(x)
    np.testing.assert_allclose(backward(name, x, dy), expected, rtol=1e-12)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_finite_at_extremes_and_signed_zeros(name, dtype):
    x = np.array([1e4, -1e4, 0.0, -0.0, 88.8, -88.8, 710.0, -710.0], dtype)
    for result in both_passes(name, x):
        assert np.isfinite(result).all()


@pytest.mark.parametrize(
    ("name", "low", "high"),
    [
        ("linear", -1e4, 1e4),
        ("sigmoid", 0, 1),
        ("tanh", -1, 1),
        ("relu", 0, 1e4),
        ("leaky_relu", -100, 1e4),
        ("elu", -1, 1e4),
        ("selu", -SELU_SCALE * SELU_ALPHA, SELU_SCALE * 1e4),
        ("gelu", 0, 1e4),
        ("silu", 0, 1e4),
        ("softplus", 0, 1e4),
        ("softsign", -1e4 / 10001, 1e4 / 10001),
        ("mish", 0, 1e4),
        ("hard_sigmoid", 0, 1),
        ("step", 0, 1),
        ("softmax", 0, 1),
    ],
)
@pytest.mark.parametrize("dtype", DTYPES)
def test_values_far_out(name, low, high, dtype):
    result = registry.activation(name).forward(np.array([-1e4, 1e4], dtype))
    np.testing.assert_allclose(result, [low, high], rtol=4 * np.finfo(dtype).eps)


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_float32_forward_is_within_a_few_ulp_of_the_float64_oracle(name):
    x = np.linspace(-30, 30, 6001).astype(np.float32)
    exact = registry.activation(name).forward(x.astype(np.float64))
    error = np.abs(registry.activation(name).forward(x) - exact)
    few, least = 8 * np.finfo(np.float32).eps, np.finfo(np.float32).tiny
    assert (error <= few * conditioning(name, x) * np.abs(exact) + least).all()


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_float32_derivative_is_within_a_few_ulp_of_the_float64_oracle(name):
    x = np.linspace(-30, 30, 6001).astype(np.float32)
    derivative = registry.activation(name).reference.derivative
    exact = derivative(x.astype(np.float64))
    few = 8 * np.finfo(np.float32).eps  # of the larger term, which for every activation is at most about 1
    np.testing.assert_allclose(derivative(x), exact, rtol=few, atol=few)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", [name for name in ACTIVATIONS if name != "step"])
def test_nan_in_gives_nan_out(name, dtype):
    result = registry.activation(name).forward(np.array([np.nan, 1.0], dtype))
    assert np.isnan(result[0])
    assert name not in ELEMENTWISE or np.isfinite(result[1])


def test_step_counts_nan_as_not_positive():
    np.testing.assert_array_equal(registry.activation("step").forward(np.array([np.nan, 1.0])), [0, 1])


@pytest.mark.parametrize(
    ("name", "at_zero"),
    [("relu", 0), ("leaky_relu", 0.01), ("elu", 1), ("selu", SELU_SCALE * SELU_ALPHA), ("step", 0), ("softsign", 1)],
)
def test_slope_at_the_kink_is_the_one_of_the_contract(name, at_zero):
    x = np.array([0.0, -0.0])
    np.testing.assert_allclose(backward(name, x, np.ones(2)), at_zero, rtol=1e-15)


def test_step_has_no_gradient():
    x = np.linspace(-2, 2, 9)
    np.testing.assert_array_equal(backward("step", x, np.ones(9)), np.zeros(9))


def test_leaky_slope():
    x = np.array([-100.0, -1e-300, -0.0, 2.0])
    np.testing.assert_allclose(registry.activation("leaky_relu").forward(x), [-1.0, -1e-302, 0, 2])
    np.testing.assert_array_equal(backward("leaky_relu", x, np.ones(4)), [0.01, 0.01, 0.01, 1])


def test_hard_sigmoid_values():
    x = np.array([-4, -3, -1.5, 0, 1.5, 3, 4])
    np.testing.assert_allclose(registry.activation("hard_sigmoid").forward(x), [0, 0, 0.25, 0.5, 0.75, 1, 1])
    expected = np.array([0, 0, 1, 1, 1, 0, 0]) / 6
    np.testing.assert_allclose(backward("hard_sigmoid", x, np.ones(7)), expected)
    np.testing.assert_allclose(registry.activation("hard_sigmoid").reference.derivative(x), expected)


# Softmax

softmax = registry.activation("softmax")
MATRICES = arrays(np.float64, st.tuples(st.integers(1, 5), st.integers(1, 11)), elements=st.floats(-50, 50))


@settings(deadline=None)
@given(x=MATRICES, shift=st.floats(-100, 100))
def test_softmax_rows_sum_to_one_and_ignore_a_shift(x, shift):
    y = softmax.forward(x)
    assert (y >= 0).all()
    np.testing.assert_allclose(y.sum(axis=1), 1, rtol=1e-14)
    np.testing.assert_allclose(softmax.forward(x + shift), y, rtol=1e-12)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("classes", [1, 2, 63, 64, 65, 1009])
def test_softmax_against_scipy(classes, dtype, rng):
    x = (10 * rng.normal(size=(3, classes))).astype(dtype)
    expected = special.softmax(x.astype(np.float64), axis=1)
    distance = x.max(axis=1, keepdims=True) - x  # its rounding is magnified by the exponential
    few = 16 * np.finfo(dtype).eps * (1 + distance)
    assert (np.abs(softmax.forward(x) - expected) <= few * expected).all()


@pytest.mark.parametrize("dtype", DTYPES)
def test_softmax_at_extremes(dtype):
    x = np.array([[1e4, -1e4, 0], [-1e4, -1e4, -1e4], [1e4, 1e4, -1e4]], dtype)
    expected = np.array([[1, 0, 0], [1 / 3, 1 / 3, 1 / 3], [0.5, 0.5, 0]])
    np.testing.assert_allclose(softmax.forward(x), expected, rtol=1e-6)


def test_softmax_backward_is_the_transposed_jacobian(rng):
    x, dy = rng.normal(size=(2, 4, 7))
    jacobian = softmax.reference.jacobian(x)
    assert jacobian.shape == (4, 7, 7)
    np.testing.assert_allclose(backward("softmax", x, dy), np.einsum("bik,bi->bk", jacobian, dy), rtol=1e-12)


def test_softmax_jacobian_against_central_differences(rng):
    x = rng.normal(size=5)
    numerical = [central_difference(lambda v, i=i: softmax.forward(v)[i], x) for i in range(5)]
    np.testing.assert_allclose(softmax.reference.jacobian(x), numerical, rtol=1e-6, atol=1e-11)


def test_softmax_along_another_axis(rng):
    x, dy = rng.normal(size=(2, 4, 3))
    y = softmax.reference.forward(x, axis=0)
    np.testing.assert_allclose(y, softmax.forward(x.T).T, rtol=1e-15)
    dx = softmax.reference.backward(dy, y, axis=0)
    np.testing.assert_allclose(dx, softmax.backward(dy.T, y.T).T, rtol=1e-12, atol=1e-16)
