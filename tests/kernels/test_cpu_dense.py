"""Compiled dense layer, with every activation by its address, against the reference."""

import numpy as np
import pytest

from dnnkit.kernels import registry
from dnnkit.kernels._numba.entry_points import activation_entry_points
from dnnkit.kernels.dense import cpu, reference
from tests.kernels.test_dense import sample

ACTIVATIONS = registry.names("activation")
DTYPES = ["float32", "float64"]
SIZES = [(1, 1, 1), (3, 5, 7), (7, 2, 3), (2, 7, 1), (13, 1, 11), (1, 17, 3), (65, 31, 17), (0, 3, 2)]
"""(B, I, O)"""


def forward(x, w, b, name):
    """(y, z)"""
    z, y = np.full((2, len(x), w.shape[1]), 77, x.dtype)
    bias = np.empty(0, x.dtype) if b is None else b
    cpu.forward(x, w, bias, activation_entry_points(name, x.dtype.name).address("forward"), z, y)
    return y, z


def backward(dy, x, w, saved, name, needs_dx=True, with_bias=True):
    """(dx, dw, db)"""
    dz, dx, dw = (np.full_like(like, 77) for like in (dy, x, w))
    db = np.full(w.shape[1] if with_bias else 0, 77, w.dtype)
    address = activation_entry_points(name, x.dtype.name).address("backward")
    cpu.backward(dy, x, w, saved, address, needs_dx, dz, dx, dw, db)
    return dx, dw, db


def close(actual, expected, dtype, terms):
    limit = 16 * np.finfo(dtype).eps * (1 + terms) ** 0.5 * max(1, np.abs(expected).max(initial=0))
    np.testing.assert_allclose(actual, expected, rtol=0, atol=limit)


@pytest.mark.parametrize("with_bias", [True, False])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_forward_and_backward_against_the_reference(name, dtype, with_bias, rng):
    activation = registry.activation(name)
    for sizes in SIZES:
        x, w, b, dy = sample(sizes, rng, dtype)
        b = b if with_bias else None
        exact = [array if array is None else array.astype(np.float64) for array in (x, w, b)]
        exact_y, exact_saved = reference.forward(*exact, activation)
        y, z = forward(x, w, b, name)
        if name != "step":  # a sign of z decides there
            close(y, exact_y, dtype, sizes[1])
        saved = y if activation.saves == "output" else z
        if name != "step":
            close(saved, exact_saved, dtype, sizes[1])
        expected = reference.backward(*(a.astype(np.float64) for a in (dy, x, w, saved)), activation, True)
        actual = backward(dy, x, w, saved, name, with_bias=b is not None)
        close(actual[0], expected[0], dtype, sizes[2])
        close(actual[1], expected[1], dtype, sizes[0])
        if with_bias:
            close(actual[2], expected[2], dtype, sizes[0])


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_dx_is_left_alone_unless_needed(name, rng):
    x, w, b, dy = sample((3, 5, 7), rng)
    y, z = forward(x, w, b, name)
    saved = y if registry.activation(name).saves == "output" else z
    needless, needed = (backward(dy, x, w, saved, name, flag) for flag in (False, True))
    np.testing.assert_array_equal(needless[0], 77)
    for without, with_dx in zip(needless[1:], needed[1:], strict=True):
        np.testing.assert_array_equal(without, with_dx)


@pytest.mark.parametrize("dtype", DTYPES)
def test_step_in_a_layer(dtype):
    x, w = np.array([[1.0], [-1.0]], dtype), np.array([[2.0, -2.0]], dtype)
    np.testing.assert_array_equal(forward(x, w, None, "step")[0], [[1, 0], [0, 1]])
    np.testing.assert_array_equal(forward(x, w, np.array([-2, -2], dtype), "step")[0], [[0, 0], [0, 0]])


def test_each_run_gives_the_same_bits_and_inputs_are_not_modified(rng):
    given = sample((65, 31, 17), rng, np.float32)
    before = [array.tobytes() for array in given]
    x, w, b, dy = given

    def run():
        y, z = forward(x, w, b, "gelu")
        return [array.tobytes() for array in (y, z, *backward(dy, x, w, z, "gelu"))]

    assert run() == run()
    assert [array.tobytes() for array in given] == before


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_nan_and_inf_come_through(bad, rng):
    x, w, b, dy = sample((5, 7, 3), rng)
    x[2, 4] = bad
    with np.errstate(invalid="ignore"):
        expected, _ = reference.forward(x, w, b, registry.activation("relu"))
    y, _ = forward(x, w, b, "relu")
    np.testing.assert_array_equal(np.isfinite(y), np.isfinite(expected))
    dy[1, 1] = np.nan
    dx, _, db = backward(dy, x, w, np.ones_like(dy), "relu")
    assert np.isnan(dx[1]).all()
    np.testing.assert_array_equal(np.isnan(db), [False, True, False])
