"""Derivatives by finite differences."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import dnnkit as dk
from dnnkit.errors import ConfigurationError


def test_numerical_diff() -> None:
    assert dk.numerical_diff(lambda x: 0.01 * x**2 + 0.1 * x, 5) == pytest.approx(0.2, abs=1e-9)
    assert dk.numerical_diff(lambda x: 0.01 * x**2 + 0.1 * x, 10) == pytest.approx(0.3, abs=1e-9)
    np.testing.assert_allclose(dk.numerical_diff(np.sin, np.array([0.0, 1.0])), np.cos([0.0, 1.0]), rtol=1e-7)


@given(st.lists(st.integers(1, 3), max_size=4), st.integers(0, 2**32 - 1))
def test_numerical_gradient_of_any_shape(shape: list[int], seed: int) -> None:
    x = np.random.default_rng(seed).normal(size=shape)
    kept = x.copy()
    np.testing.assert_allclose(dk.numerical_gradient(lambda v: np.sum(v**3), x), 3 * x**2, rtol=1e-5, atol=1e-7)
    np.testing.assert_array_equal(x, kept)


def test_numerical_gradient_takes_lists_and_whole_numbers() -> None:
    np.testing.assert_allclose(dk.numerical_gradient(lambda v: np.sum(v**2), [3, 4]), [6, 8], rtol=1e-9)


def test_numerical_gradient_of_a_function_that_reads_the_array_itself() -> None:
    w = np.array([1.0, 2.0])
    np.testing.assert_allclose(dk.numerical_gradient(lambda _: float(w @ w), w), [2, 4], rtol=1e-9)


def test_an_exception_in_f_leaves_the_point_as_it_was() -> None:
    w = np.array([1.0, 2.0])
    with pytest.raises(ZeroDivisionError):
        dk.numerical_gradient(lambda _: 1 / 0, w)
    np.testing.assert_array_equal(w, [1.0, 2.0])


@pytest.mark.parametrize(
    ("lr", "expected", "tolerance"),
    [
        (0.1, (-6.11110793e-10, 8.14814391e-10), 1e-15),
        (1e-10, (-2.99999994, 3.99999992), 1e-8),
    ],
)
def test_gradient_descent(lr: float, expected: tuple[float, float], tolerance: float) -> None:
    start = np.array([-3.0, 4.0])
    found = dk.gradient_descent(lambda x: x[0] ** 2 + x[1] ** 2, start, lr=lr, step_num=100)
    np.testing.assert_allclose(found, expected, atol=tolerance)
    np.testing.assert_array_equal(start, [-3.0, 4.0])


def test_a_number_of_steps_that_is_none() -> None:
    with pytest.raises(ConfigurationError, match="step_num is -1"):
        dk.gradient_descent(np.sum, [1.0], step_num=-1)


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda net: dk.check_gradients(net, X, X, h=0.0), "h is 0.0: expected a finite number above 0"),
        (lambda net: dk.check_gradients(net, X, X, tolerance="a"), "tolerance is 'a'"),
        (lambda net: dk.check_gradients(net, X, X, samples=2.5), "samples is 2.5"),
        (lambda net: dk.check_gradients(net, X, X, seed=-1), "seed"),
        (lambda net: dk.gradient_descent(np.sum, np.ones(2), lr=np.nan), "lr is nan"),
        (lambda net: dk.iterations_to_confidence(net, X, X, confidence="a"), "confidence is 'a'"),
        (lambda net: dk.ops.binary_accuracy([1.0], [1.0], threshold=None), "threshold is None"),
    ],
)
def test_invalid_numbers_are_rejected(ask, message):
    net = dk.Sequential([dk.Dense(2)], seed=0, backend="numpy")
    net.compile("sgd", "mean_squared_error")
    with pytest.raises(ConfigurationError, match=message):
        ask(net)


def test_numpy_scalars_are_accepted():
    net = dk.Sequential([dk.Dense(2)], seed=0, backend="numpy", dtype="float64")
    net.compile("sgd", "mean_squared_error")
    assert dk.check_gradients(net, X, X, samples=np.int64(2), h=np.float32(1e-5), seed=np.int64(1)).passed
    assert dk.ops.binary_accuracy([1.0, 0.0], [0.9, 0.6], threshold=np.float32(0.7)) == 1.0


X = np.ones((3, 2))
