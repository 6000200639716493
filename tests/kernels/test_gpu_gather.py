"""CUDA gather against the reference: every dtype of data, any rows, alignment."""

import numpy as np
import pytest

from dnnkit.kernels.gather import gpu as launcher
from dnnkit.kernels.gather import reference

DTYPES = ["float32", "float64"]
INTEGERS = [f"{kind}{bits}" for kind in ("int", "uint") for bits in (8, 16, 32, 64)]
SOURCES = ["bool", *INTEGERS, "float32", "float64"]
SIZES = [(13, 7, 4), (1, 1, 1), (17, 784, 32), (5, 0, 3), (5, 63, 0), (3, 64, 65), (7, 65, 300), (3, 2048, 2)]
"""(N, F, B)"""


def gather(gpu, data, rows, scale, offset, dtype, shift=0):
    out = gpu.full((len(rows), data.shape[1]), dtype, shift)
    launcher.gather(gpu.put(data, shift), gpu.put(np.asarray(rows, np.int64)), scale, offset, out)
    return gpu.get(out)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("source", SOURCES)
def test_rows_are_converted_and_rescaled(gpu, source, dtype, rng):
    for samples, features, batch in SIZES:
        data = rng.integers(0, 100, (samples, features)).astype(source)
        rows = rng.integers(0, samples, batch)
        for scale, offset in [(1.0, 0.0), (1 / 255, -0.5), (0.0, 3.0)]:
            expected = reference.gather(data, rows, scale, offset, np.dtype(dtype).type)
            limit = 2 * np.finfo(dtype).eps * np.abs(expected).max(initial=1)
            for shift in (0, 1):
                actual = gather(gpu, data, rows, scale, offset, dtype, shift)
                np.testing.assert_allclose(actual, expected, rtol=0, atol=limit)


@pytest.mark.parametrize("source", INTEGERS)
def test_the_extremes_of_integers_are_rounded_once(gpu, source):
    limits = np.iinfo(source)
    numbers = [limits.min, limits.min + 1, limits.max - 1, limits.max, limits.max // 3, 0, 1, limits.max // 2]
    data = np.array([numbers], source)
    for dtype in DTYPES:
        np.testing.assert_array_equal(gather(gpu, data, [0], 1.0, 0.0, dtype), data.astype(dtype))


def test_few_blocks_reach_all_rows_and_columns(gpu, rng, few_blocks):
    data, rows = rng.integers(0, 256, (50, 65)).astype(np.uint8), rng.integers(0, 50, 300)
    np.testing.assert_array_equal(gather(gpu, data, rows, 1.0, 0.0, np.float32), data[rows])
    data = rng.integers(0, 256, (3, 70_000)).astype(np.uint8)
    np.testing.assert_array_equal(gather(gpu, data, [2, 0], 1.0, 0.0, np.float32), data[[2, 0]])


def test_strided_data_and_rows(gpu, rng):
    data, rows = rng.normal(size=(10, 8)), np.arange(10)
    out = gpu.full((5, 4), np.float64)
    launcher.gather(gpu.put(data)[:, ::2], gpu.put(rows)[::2], 2.0, 1.0, out)
    np.testing.assert_allclose(gpu.get(out), 2 * data[::2, ::2] + 1, rtol=1e-15, atol=1e-15)


@pytest.mark.parametrize("dtype", [np.int32, np.uint8])
def test_row_numbers_of_other_dtypes_are_converted(gpu, dtype, rng):
    data, out = rng.normal(size=(10, 8)), gpu.full((3, 8), np.float64)
    launcher.gather(gpu.put(data), gpu.put(np.array([9, 0, 4], dtype)), 1.0, 0.0, out)
    np.testing.assert_array_equal(gpu.get(out), data[[9, 0, 4]])


def test_nan_and_inf_come_through(gpu):
    data = np.array([[np.nan, np.inf, -np.inf, 1.0]])
    np.testing.assert_array_equal(gather(gpu, data, [0], 2.0, 1.0, np.float64), 2 * data + 1)
