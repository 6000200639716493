"""Gather: the right rows, converted and rescaled, of every numeric dtype."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dnnkit.kernels.gather.reference import gather


@pytest.mark.parametrize("index", [np.int32, np.int64])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("source", [np.uint8, np.int16, np.int64, np.float32, np.float64])
def test_rows_are_converted_and_rescaled(source, dtype, index, rng):
    data = rng.integers(0, 256, (13, 7)).astype(source)
    data_before = data.copy()
    rows = np.array([12, 0, 5, 5], index)
    x = gather(data, rows, 1 / 255, -0.5, dtype)
    assert x.dtype == dtype
    expected = [[float(data[row, k]) / 255 - 0.5 for k in range(7)] for row in rows]
    np.testing.assert_allclose(x, expected, rtol=0, atol=2 * np.finfo(dtype).eps)
    np.testing.assert_array_equal(data, data_before)


def test_bool_data_become_zeros_and_ones():
    data = np.array([[True, False], [False, True]])
    np.testing.assert_array_equal(gather(data, np.array([1, 0]), 1.0, 0.0, np.float32), [[0, 1], [1, 0]])


@settings(deadline=None)
@given(rows=st.lists(st.integers(0, 16), max_size=70))
def test_any_rows_in_any_order_are_exact_without_rescaling(rows):
    data = np.arange(17 * 3).reshape(17, 3).astype(np.uint8)
    x = gather(data, np.array(rows, np.int64), 1.0, 0.0, np.float32)
    assert x.shape == (len(rows), 3)
    np.testing.assert_array_equal(x, [data[row] for row in rows] if rows else np.empty((0, 3)))


def test_the_result_is_a_copy():
    data = np.ones((3, 2))
    gather(data, np.array([0]), 1.0, 0.0, np.float64)[:] = 7
    np.testing.assert_array_equal(data, 1)
