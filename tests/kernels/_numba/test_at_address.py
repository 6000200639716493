"""Arrays at addresses, in compiled code, against slices and reshapes."""

import numpy as np
import pytest

pytest.importorskip("numba")

from dnnkit.kernels._numba.at_address import element, matrix, number, part, size_of, vector
from dnnkit.kernels._numba.indirect_calls import address_of
from dnnkit.kernels._numba.jit import jit


@jit
def write_part(array, start, count, value):
    view = part(array, start, count)
    for e in range(view.size):
        view[e] = value + e


@jit
def write_vector(array, start, count, value):
    view = vector(array[0, 0], address_of(array, start), count)
    for e in range(view.size):
        view[e] = value + e


@jit
def write_matrix(array, start, rows, columns, value):
    view = matrix(array[0, 0], address_of(array, start), rows, columns)
    for i in range(view.shape[0]):
        for j in range(view.shape[1]):
            view[i, j] = value + 10 * i + j


@jit
def elements(array, out):
    for e in range(out.size):
        out[e] = element(array, e)


@jit
def numbers(array, out):
    for e in range(out.size):
        out[e] = number(array[0, 0], address_of(array), e)
    return size_of(array[0, 0])


@jit
def totals(array, start, rows, columns):
    place = address_of(array, start)
    return matrix(array[0], place, rows, columns).T.sum(), part(array, start, rows * columns).sum()


@pytest.mark.parametrize("write", [write_part, write_vector])
@pytest.mark.parametrize("dtype", ["float32", "float64", "int64", "bool", "uint8"])
def test_a_part_and_a_matrix_are_the_memory_of_the_array(dtype, write):
    for start, rows, columns in ((0, 1, 1), (5, 2, 3), (7, 3, 1), (3, 0, 4), (24, 0, 0)):
        array, expected = np.zeros((4, 6), dtype), np.zeros(24, dtype)
        write(array, start, rows * columns, 1)
        expected[start : start + rows * columns] = np.arange(1, 1 + rows * columns)
        np.testing.assert_array_equal(array.reshape(-1), expected)
        write_matrix(array, start, rows, columns, 2)
        values = 2 + 10 * np.arange(rows)[:, None] + np.arange(columns)
        expected[start : start + rows * columns] = values.reshape(-1)
        np.testing.assert_array_equal(array.reshape(-1), expected)


@pytest.mark.parametrize("dtype", ["float32", "int64", "bool"])
def test_elements_are_numbered_in_the_order_of_the_array(dtype, rng):
    array, out = rng.integers(0, 2, (3, 5)).astype(dtype), np.empty(15, dtype)
    elements(array, out)
    np.testing.assert_array_equal(out, array.reshape(-1))
    out[...] = 0
    assert numbers(array, out) == array.itemsize
    np.testing.assert_array_equal(out, array.reshape(-1))


def test_views_can_be_transposed_and_summed(rng):
    array = rng.integers(0, 100, 40).astype(np.float64)
    expected = array[4:34].sum()
    assert totals(array, 4, 5, 6) == (expected, expected)


def test_memory_is_neither_kept_nor_freed_by_a_view(rng):
    array = rng.normal(size=100)
    kept = array.copy()
    for _ in range(1000):
        totals(array, 0, 10, 10)
    np.testing.assert_array_equal(array, kept)
