"""Compiled Philox, and dropout, whose mask draws from it: bit for bit the reference's."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dnnkit.kernels.dropout import cpu as dropout
from dnnkit.kernels.dropout import reference as dropout_reference
from dnnkit.kernels.philox import cpu as philox
from tests.kernels.philox.test_reference import KNOWN_ANSWERS, WORD

STEP = st.integers(0, 2**63 - 1)
"""A Python number is an int64 to Numba; larger steps need a np.uint64."""
RATES = [0.0, 2.0**-33, 2.0**-32, 0.1, 0.5, 0.9, 1 - 2.0**-32, 1 - 2.0**-33, float(np.nextafter(1, 0))]


def mask(start, count, rate, seed, layer, step):
    out = np.ones(count + 2, bool)
    out[1:-1] = False
    dropout.mask(start, count, rate, seed, layer, step, out[1:-1])
    assert out[0]
    assert out[-1]
    return out[1:-1]


@pytest.mark.parametrize(("counter", "key", "words"), KNOWN_ANSWERS)
def test_known_answers(counter, key, words):
    result = philox.philox(*(np.uint64(word) for word in (*counter, *key)))
    assert tuple(int(word) for word in result) == words


@given(
    start=st.integers(0, 2**33),
    count=st.integers(0, 300),
    rate=st.sampled_from(RATES),
    seed=WORD,
    layer=WORD,
    step=STEP,
)
def test_masks_equal_the_reference_bit_for_bit(start, count, rate, seed, layer, step):
    coordinates = (start, count, rate, seed, layer, step)
    np.testing.assert_array_equal(mask(*coordinates), dropout_reference.mask(*coordinates))


@pytest.mark.parametrize("step", [2**63, 2**64 - 1])
def test_steps_that_need_all_64_bits(step):
    expected = dropout_reference.mask(1, 9, 0.5, 3, 2, step)
    np.testing.assert_array_equal(mask(1, 9, 0.5, 3, 2, np.uint64(step)), expected)


def test_the_last_block_that_a_counter_can_tell():
    coordinates = (4 * (2**32 - 1), 4, 0.5, 2**32 - 1, 2**32 - 1, 2**63 - 1)
    np.testing.assert_array_equal(mask(*coordinates), dropout_reference.mask(*coordinates))


@pytest.mark.parametrize("start", [0, 1, 2, 3, 5])
@pytest.mark.parametrize("step", [0, 7, 2**32 - 1, 2**32, 2**32 + 7, 2**63 - 1])
def test_odd_windows_and_large_steps(start, step):
    for count in (0, 1, 2, 3, 5, 63, 64, 65):
        for rate in RATES:
            expected = dropout_reference.mask(start, count, rate, 1, 2, step)
            np.testing.assert_array_equal(mask(start, count, rate, 1, 2, step), expected)


def test_extreme_rates_keep_all_and_almost_none():
    assert mask(0, 10**5, 0.0, 1, 2, 3).all()
    assert mask(0, 10**5, 1 - 2.0**-33, 1, 2, 3).sum() <= 1
