"""CUDA clipping by the norm against the reference."""

import numpy as np
import pytest

from dnnkit.kernels.clip_norm import gpu as clipping
from dnnkit.kernels.clip_norm.reference import clip_norm

SIZES = [0, 1, 3, 255, 257, 1009, 5003]
TOLERANCE = {"float32": 4e-7, "float64": 1e-15}


def run(gpu, x, bound, shift=0):
    out = gpu.full(x.shape, x.dtype, shift)
    clipping.clip_norm(gpu.put(x, shift), bound, out)
    return gpu.get(out)


@pytest.mark.parametrize("dtype", TOLERANCE)
def test_bits_do_not_depend_on_the_address_or_on_few_blocks(gpu, rng, dtype, few_blocks):
    x = rng.normal(size=5003).astype(dtype)
    first, second, moved = (run(gpu, x, 1.0, shift) for shift in (0, 0, 1))
    np.testing.assert_array_equal(first, second)
    np.testing.assert_allclose(moved, first, rtol=TOLERANCE[dtype])  # sums in another order
    np.testing.assert_allclose(np.linalg.norm(first.astype(np.float64)), 1.0, rtol=1e-6)


def test_in_place_and_with_memory_for_the_sums(gpu, rng):
    x = rng.normal(size=20000).astype(np.float32)
    held, scratch = gpu.put(x), gpu.full(1025, np.float64)
    clipping.clip_norm(held, 2.0, held, scratch)
    np.testing.assert_allclose(gpu.get(held), clip_norm(x.astype(np.float64), 2.0), rtol=4e-7)


def test_large_numbers_do_not_overflow(gpu):
    """Their squares would overflow, in float32."""
    x = np.full(300, 1e25, np.float32)
    np.testing.assert_allclose(run(gpu, x, 1.0), np.full(300, 1 / np.sqrt(300)), rtol=1e-6)
