"""CUDA gather: large grids, and row numbers of any dtype; the rest is in the conformance suite."""

import numpy as np
import pytest

from dnnkit.kernels.gather import gpu as launcher


def gather(gpu, data, rows, scale, offset, dtype, shift=0):
    out = gpu.full((len(rows), data.shape[1]), dtype, shift)
    launcher.gather(gpu.put(data, shift), gpu.put(np.asarray(rows, np.int64)), scale, offset, out)
    return gpu.get(out)


def test_few_blocks_reach_all_rows_and_columns(gpu, rng, few_blocks):
    data, rows = rng.integers(0, 256, (50, 65)).astype(np.uint8), rng.integers(0, 50, 300)
    np.testing.assert_array_equal(gather(gpu, data, rows, 1.0, 0.0, np.float32), data[rows])
    data = rng.integers(0, 256, (3, 70_000)).astype(np.uint8)
    np.testing.assert_array_equal(gather(gpu, data, [2, 0], 1.0, 0.0, np.float32), data[[2, 0]])


@pytest.mark.parametrize("dtype", [np.int32, np.uint8])
def test_row_numbers_of_other_dtypes_are_converted(gpu, dtype, rng):
    data, out = rng.normal(size=(10, 8)), gpu.full((3, 8), np.float64)
    launcher.gather(gpu.put(data), gpu.put(np.array([9, 0, 4], dtype)), 1.0, 0.0, out)
    np.testing.assert_array_equal(gpu.get(out), data[[9, 0, 4]])
