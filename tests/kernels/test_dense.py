"""Dense layer: values against plain loops of matrix algebra, gradients against central differences."""

import array_api_strict
import numpy as np
import pytest

from dnnkit.kernels import registry
from dnnkit.kernels.dense.reference import backward, forward
from tests.oracles import central_difference

ACTIVATIONS = registry.names("activation")
SIZES = [(1, 1, 1), (3, 5, 7), (7, 2, 3), (2, 7, 1)]
"""(B, I, O)"""


def sample(sizes, rng, dtype=np.float64):
    """x, w, b, dy; no z so near a kink that a difference would cross it (the seed is fixed)."""
    rows, inputs, outputs = sizes
    shapes = (rows, inputs), (inputs, outputs), (outputs,), (rows, outputs)
    return tuple(rng.normal(size=shape).astype(dtype) for shape in shapes)


@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize("sizes", SIZES)
def test_forward_is_the_formula(name, sizes, rng):
    x, w, b, _ = sample(sizes, rng)
    activation = registry.activation(name)
    z = np.array([[sum(x[i] * w[:, o]) + b[o] for o in range(sizes[2])] for i in range(sizes[0])])
    y, saved = forward(x, w, b, activation)
    np.testing.assert_allclose(y, activation.forward(z), rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(saved, y if activation.saves == "output" else z, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("with_bias", [True, False])
@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize("sizes", SIZES)
def test_backward_against_central_differences(name, sizes, with_bias, rng):
    x, w, b, dy = sample(sizes, rng)
    activation = registry.activation(name)

    def loss(x, w, b):
        return float(np.sum(dy * forward(x, w, b if with_bias else None, activation)[0]))

    _, saved = forward(x, w, b if with_bias else None, activation)
    dx, dw, db = backward(dy, x, w, saved, activation, needs_dx=True)
    np.testing.assert_allclose(dx, central_difference(lambda v: loss(v, w, b), x), rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(dw, central_difference(lambda v: loss(x, v, b), w), rtol=1e-6, atol=1e-8)
    if with_bias:
        np.testing.assert_allclose(db, central_difference(lambda v: loss(x, w, v), b), rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_no_gradient_in_x_unless_needed(name, rng):
    x, w, b, dy = sample((3, 5, 7), rng)
    activation = registry.activation(name)
    _, saved = forward(x, w, b, activation)
    needless, needed = (backward(dy, x, w, saved, activation, needs_dx=flag) for flag in (False, True))
    assert needless[0] is None
    for without, with_dx in zip(needless[1:], needed[1:], strict=True):
        np.testing.assert_array_equal(without, with_dx)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_no_bias_equals_a_bias_of_zero_and_keeps_shapes_and_dtype(name, dtype, rng):
    x, w, b, dy = sample((13, 11, 5), rng, dtype)
    activation = registry.activation(name)
    y, saved = forward(x, w, None, activation)
    np.testing.assert_array_equal(y, forward(x, w, np.zeros_like(b), activation)[0])
    results = (y, saved, *backward(dy, x, w, saved, activation, needs_dx=True))
    assert [array.shape for array in results] == [(13, 5), (13, 5), (13, 11), (11, 5), (5,)]
    assert {array.dtype for array in results} == {np.dtype(dtype)}


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_no_rows(name):
    activation = registry.activation(name)
    x, w, b, dy = np.ones((0, 3)), np.ones((3, 2)), np.ones(2), np.ones((0, 2))
    y, saved = forward(x, w, b, activation)
    dx, dw, db = backward(dy, x, w, saved, activation, needs_dx=True)
    assert y.shape == (0, 2)
    assert dx.shape == (0, 3)
    np.testing.assert_array_equal(dw, np.zeros((3, 2)))
    np.testing.assert_array_equal(db, np.zeros(2))


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_inputs_are_not_modified(name, rng):
    given = sample((3, 5, 7), rng)
    before = [array.copy() for array in given]
    x, w, b, dy = given
    activation = registry.activation(name)
    _, saved = forward(x, w, b, activation)
    saved_before = saved.copy()
    backward(dy, x, w, saved, activation, needs_dx=True)
    for array, copy in zip((*given, saved), (*before, saved_before), strict=True):
        np.testing.assert_array_equal(array, copy)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_the_same_with_another_array_library(name, rng):
    xs = array_api_strict
    x, w, b, dy = sample((7, 5, 3), rng)
    activation = registry.activation(name)
    y, saved = forward(x, w, b, activation)
    expected = y, *backward(dy, x, w, saved, activation, needs_dx=True)
    x, w, b, dy = (xs.asarray(array) for array in (x, w, b, dy))
    y, saved = forward(x, w, b, activation, xp=xs)
    actual = y, *backward(dy, x, w, saved, activation, needs_dx=True, xp=xs)
    for strict, plain in zip(actual, expected, strict=True):
        np.testing.assert_allclose(np.asarray(strict), plain, rtol=1e-12, atol=1e-14)
