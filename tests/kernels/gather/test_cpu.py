"""Compiled gather against the reference: every dtype of data, any rows, strides."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from dnnkit.kernels.gather import reference
from dnnkit.kernels.gather.cpu import gather


def compiled(data, rows, scale, offset, dtype):
    out = np.full((len(rows), data.shape[1]), 77, dtype)
    gather(data, rows, scale, offset, out)
    return out


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
