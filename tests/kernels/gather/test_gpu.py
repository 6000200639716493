"""CUDA gather: large grids, and row indices of any dtype; the conformance suite has the rest."""

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


@pytest.mark.parametrize("kind", ["labels", "values", "none"])
@pytest.mark.parametrize(("step", "rows"), [(0, 5), (2, 5), (7, 3)])
def test_a_step_takes_its_rows_and_its_numbers_by_the_clock(gpu, rng, few_blocks, kind, step, rows):
    """Five rows per step, of an order of four steps; the last is shorter. What is not requested is not written."""
    data, order = rng.integers(0, 256, (50, 65)).astype(np.uint8), rng.integers(0, 50, 20)
    table = rng.normal(size=(8, 3)).astype(np.float32)
    targets = rng.integers(0, 10, 50) if kind == "labels" else rng.normal(size=(50, 7)).astype(np.float32)
    weights = rng.uniform(size=50).astype(np.float32)
    pairs = None, None
    if kind != "none":
        pairs = tuple((gpu.put(each), gpu.full((rows, *each.shape[1:]), each.dtype)) for each in (targets, weights))
    out, numbers, clock = gpu.full((rows, 65), np.float32), gpu.full(3, np.float32), gpu.put(np.array([step, 0, 90, 1]))
    moment = gpu.put(table), numbers, clock, 5, 4
    launcher.gather_batch(gpu.put(data), gpu.put(order), 0.5, 1.0, out, *pairs, *moment)
    chosen = order[step % 4 * 5 :][:rows]
    np.testing.assert_array_equal(gpu.get(out), data[chosen] * np.float32(0.5) + 1)
    np.testing.assert_array_equal(gpu.get(numbers), table[step])
    assert gpu.get(clock).tolist() == [step, 90 + step, 90, 1]
    for found, wanted in zip(pairs, (targets, weights), strict=True):
        if found is not None:
            np.testing.assert_array_equal(gpu.get(found[1]), wanted[chosen])


def test_without_numbers_all_rows_are_rescaled_as_they_come(gpu, rng):
    x = rng.normal(size=(9, 6))
    out = gpu.full(x.shape, np.float64)
    launcher.gather(gpu.put(x), None, 2.0, 0.25, out)
    np.testing.assert_array_equal(gpu.get(out), 2 * x + 0.25)
