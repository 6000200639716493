"""Compiled Philox, and dropout, whose mask draws it: bit for bit the reference's."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dnnkit.kernels.dropout import cpu as dropout
from dnnkit.kernels.dropout import reference as dropout_reference
from dnnkit.kernels.philox import cpu as philox
from tests.kernels.test_philox import KNOWN_ANSWERS, WORD

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


@given(rate=st.floats(0, 1, exclude_max=True))
def test_masks_of_any_rate_equal_the_reference(rate):
    np.testing.assert_array_equal(mask(1, 63, rate, 1, 2, 3), dropout_reference.mask(1, 63, rate, 1, 2, 3))


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


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("rate", [0.0, 0.2, 0.5, 1 - 2.0**-33])
def test_apply_equals_the_reference_also_in_place(rate, dtype, rng):
    for count in (0, 1, 7, 63, 64, 65, 20_000):
        x, keep = rng.normal(size=count).astype(dtype), mask(0, count, 0.5, 1, 2, 3)
        expected, out = dropout_reference.apply(x, keep, rate), np.full_like(x, 77)
        dropout.apply(x, keep, rate, out)
        np.testing.assert_allclose(out, expected, rtol=2 * np.finfo(dtype).eps)
        dropout.apply(x, keep, rate, x)
        np.testing.assert_array_equal(x, out)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_dropped_number_gives_zero_however_large(dtype):
    x, keep, out = np.full(65, np.finfo(dtype).max, dtype), np.zeros(65, bool), np.empty(65, dtype)
    with np.errstate(over="ignore"):
        np.testing.assert_array_equal(dropout_reference.apply(x, keep, 0.5), 0)
    dropout.apply(x, keep, 0.5, out)
    np.testing.assert_array_equal(out, 0)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("kept", [True, False])
def test_nan_and_inf_come_through_as_in_the_reference(bad, kept):
    x, keep, out = np.full(65, bad), np.full(65, kept), np.empty(65)
    with np.errstate(invalid="ignore"):
        expected = dropout_reference.apply(x, keep, 0.5)
    dropout.apply(x, keep, 0.5, out)
    np.testing.assert_array_equal(out, expected)
