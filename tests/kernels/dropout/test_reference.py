"""Dropout: how many elements are kept, masks as functions of their coordinates alone, and their application."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dnnkit.kernels.dropout import PURPOSE
from dnnkit.kernels.dropout.reference import apply, mask
from dnnkit.kernels.philox.reference import random_bits

RATE = st.floats(0, 1, exclude_max=True)


@pytest.mark.parametrize("rate", [0.001, 0.1, 0.25, 0.5, 0.9, 0.999])
def test_share_of_the_kept_is_one_minus_the_rate(rate):
    count = 10**6
    kept = mask(0, count, rate, seed=1, layer=2, step=3).sum()
    assert abs(kept - count * (1 - rate)) < 5 * np.sqrt(count * rate * (1 - rate))


def test_the_mask_is_the_threshold_of_the_bits():
    bits = random_bits(0, 1000, layer=2, step=3, seed=1, purpose=PURPOSE)
    np.testing.assert_array_equal(mask(0, 1000, 0.25, seed=1, layer=2, step=3), bits >= 2**30)


def test_rate_zero_keeps_all():
    assert mask(0, 10**5, 0.0, seed=1, layer=2, step=3).all()


def test_the_highest_rate_keeps_almost_none():
    assert mask(0, 10**5, np.nextafter(1, 0), seed=1, layer=2, step=3).sum() <= 1


@settings(deadline=None)
@given(start=st.integers(0, 200), count=st.integers(0, 200), rate=RATE)
def test_windows_equal_slices(start, count, rate):
    window = mask(start, count, rate, 1, 2, 3)
    assert window.shape == (count,)
    assert window.dtype == np.bool_
    np.testing.assert_array_equal(window, mask(0, 400, rate, 1, 2, 3)[start : start + count])


@pytest.mark.parametrize("coordinates", [(2, 2, 3), (1, 3, 3), (1, 2, 4), (1, 2, 3 + 2**32)])
def test_another_seed_layer_or_step_is_another_mask(coordinates):
    same = mask(0, 10**4, 0.5, *coordinates) == mask(0, 10**4, 0.5, 1, 2, 3)
    assert abs(same.mean() - 0.5) < 5 * 0.5 / 100


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(0,), (1,), (7, 9), (64, 65)])
def test_apply_zeroes_and_scales(shape, dtype, rng):
    x = rng.normal(size=shape).astype(dtype)
    x_before = x.copy()
    keep = mask(0, x.size, 0.2, 1, 2, 3).reshape(shape)
    y = apply(x, keep, 0.2)
    assert y.dtype == dtype
    assert y.shape == shape
    np.testing.assert_allclose(y[keep], x[keep] / 0.8, rtol=2 * np.finfo(dtype).eps)
    np.testing.assert_array_equal(y[~keep], 0)
    np.testing.assert_array_equal(x, x_before)


def test_apply_at_rate_zero_is_the_identity(rng):
    x = rng.normal(size=(5, 7))
    np.testing.assert_array_equal(apply(x, np.ones((5, 7), bool), 0.0), x)


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
def test_the_mean_is_preserved(rate):
    count = 10**6
    mean = apply(np.ones(count), mask(0, count, rate, 1, 2, 3), rate).mean()
    assert abs(mean - 1) < 5 * np.sqrt(rate / (1 - rate) / count)
