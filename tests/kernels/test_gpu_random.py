"""CUDA dropout, and Philox in its mask: bit for bit the reference's."""

import numpy as np
import pytest

from dnnkit.kernels.dropout import gpu as dropout
from dnnkit.kernels.dropout import reference as dropout_reference
from tests.kernels.test_cpu_random import RATES
from tests.kernels.test_philox import KNOWN_ANSWERS

WINDOWS = [(0, 0), (0, 1), (1, 3), (2, 64), (3, 65), (5, 1009), (0, 4096), (8, 4097), (2**33 + 1, 300)]
"""(start, count)"""
STEPS = [0, 7, 2**32 - 1, 2**32 + 7, 2**64 - 1]


def mask(gpu, *coordinates, shift=0):
    out = gpu.put(np.zeros(coordinates[1], bool), shift)
    dropout.mask(*coordinates, out)
    return gpu.get(out)


@pytest.mark.parametrize(("counter", "key", "words"), KNOWN_ANSWERS)
def test_known_answers(gpu, monkeypatch, counter, key, words):
    """An element is kept up to the rate that is its word, and dropped from the next one on."""
    block, layer, low, high = counter
    seed, purpose = key
    monkeypatch.setattr(dropout, "PURPOSE", purpose)
    for lane, word in enumerate(words):
        coordinates = seed, layer, high << 32 | low
        assert mask(gpu, 4 * block + lane, 1, word / 2**32, *coordinates)[0]
        assert not mask(gpu, 4 * block + lane, 1, (word + 1) / 2**32, *coordinates)[0]


@pytest.mark.parametrize("step", STEPS)
def test_masks_equal_the_reference_bit_for_bit(gpu, step):
    for start, count in WINDOWS:
        for rate in RATES:
            expected = dropout_reference.mask(start, count, rate, 2**32 - 1, 5, step)
            for shift in (0, 1):
                np.testing.assert_array_equal(mask(gpu, start, count, rate, 2**32 - 1, 5, step, shift=shift), expected)


def test_few_blocks_reach_every_element(gpu, few_blocks):
    expected = dropout_reference.mask(3, 9001, 0.3, 1, 2, 3)
    np.testing.assert_array_equal(mask(gpu, 3, 9001, 0.3, 1, 2, 3), expected)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("rate", [0.0, 0.2, 1 - 2.0**-33])
def test_apply_equals_the_reference_also_in_place(gpu, rate, dtype, rng):
    for shape in [(0,), (1,), (7, 9), (64,), (3, 1025)]:
        x, keep = rng.normal(size=shape).astype(dtype), rng.integers(0, 2, shape).astype(bool)
        expected = dropout_reference.apply(x, keep, rate)
        for shift in (0, 1):
            out, place = gpu.full(shape, dtype, shift), gpu.put(x, shift)
            kept = gpu.put(keep, shift)
            dropout.apply(place, kept, rate, out)
            dropout.apply(place, kept, rate, place)
            np.testing.assert_allclose(gpu.get(out), expected, rtol=2 * np.finfo(dtype).eps)
            np.testing.assert_array_equal(gpu.get(place), gpu.get(out))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, np.finfo(np.float64).max])
def test_a_dropped_number_gives_zero_and_a_kept_one_comes_through(gpu, bad):
    x, keep, out = np.full(65, bad), np.arange(65) % 2 == 0, gpu.full(65, np.float64)
    dropout.apply(gpu.put(x), gpu.put(keep), 0.5, out)
    with np.errstate(over="ignore"):
        np.testing.assert_array_equal(gpu.get(out), np.where(keep, 2 * x, 0))
