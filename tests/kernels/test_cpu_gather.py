"""Compiled gather against the reference: every dtype of data, any rows, strides."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dnnkit.kernels.gather import reference
from dnnkit.kernels.gather.cpu import gather


def compiled(data, rows, scale, offset, dtype):
    out = np.full((len(rows), data.shape[1]), 77, dtype)
    gather(data, rows, scale, offset, out)
    return out


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("source", [np.uint8, np.float32, np.float64, np.int64, np.bool_])
def test_rows_are_converted_and_rescaled(source, dtype, rng):
    for samples, features, batch in [
        (13, 7, 4),
        (1, 1, 1),
        (17, 784, 32),
        (5, 0, 3),
        (5, 63, 0),
        (3, 64, 65),
        (7, 65, 7),
    ]:
        data = rng.integers(0, 256, (samples, features)).astype(source)
        before, rows = data.copy(), rng.integers(0, samples, batch)
        for scale, offset in [(1.0, 0.0), (1 / 255, -0.5), (0.0, 3.0)]:
            expected = reference.gather(data, rows, scale, offset, np.dtype(dtype).type)
            actual = compiled(data, rows, scale, offset, dtype)
            limit = 2 * np.finfo(dtype).eps * np.abs(expected).max(initial=1)
            np.testing.assert_allclose(actual, expected, rtol=0, atol=limit)
        np.testing.assert_array_equal(data, before)


@given(rows=st.lists(st.integers(0, 16), max_size=70))
def test_any_rows_in_any_order_are_exact_without_rescaling(rows):
    data = np.arange(17 * 3).reshape(17, 3).astype(np.uint8)
    x = compiled(data, np.array(rows, np.int64), 1.0, 0.0, np.float32)
    np.testing.assert_array_equal(x, [data[row] for row in rows] if rows else np.empty((0, 3)))


def test_strided_fortran_and_read_only_data_and_short_row_numbers(rng):
    data = rng.normal(size=(10, 8))
    rows = np.array([3, 0, 4], np.int32)
    read_only = data[:5].copy()
    read_only.flags.writeable = False
    for view in (data[::2, ::2], np.asfortranarray(data[:5]), data[4::-1], read_only):
        expected = reference.gather(view, rows, 2.0, 1.0, np.float64)
        np.testing.assert_allclose(compiled(view, rows, 2.0, 1.0, np.float64), expected, rtol=1e-15, atol=1e-15)


def test_nan_and_inf_come_through():
    data = np.array([[np.nan, np.inf, -np.inf, 1.0]])
    np.testing.assert_array_equal(compiled(data, np.array([0]), 2.0, 1.0, np.float64), 2 * data + 1)


@pytest.mark.parametrize("source", [np.int64, np.float64])
def test_large_numbers_are_rounded_once(source):
    data = np.array([[2**24 + 1, 2**24 + 3, 2**40 + 1]], source)
    actual = compiled(data, np.array([0]), 1.0, 0.0, np.float32)
    np.testing.assert_array_equal(actual, data.astype(np.float32))
