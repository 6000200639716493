"""CUDA dropout, and Philox in its mask: bit for bit the reference's."""

import numpy as np
import pytest

from dnnkit.kernels.dropout import gpu as dropout
from dnnkit.kernels.dropout import reference as dropout_reference
from tests.kernels.dropout.test_cpu import RATES
from tests.kernels.philox.test_reference import KNOWN_ANSWERS

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


def test_a_step_may_be_the_clocks(gpu):
    for step in (0, 2**32 + 7):
        out = gpu.put(np.zeros(65, bool))
        dropout.mask(0, 65, 0.4, 3, 1, 99, out, gpu.put(np.array([5, step, 0, 0])))
        np.testing.assert_array_equal(gpu.get(out), dropout_reference.mask(0, 65, 0.4, 3, 1, step))
