"""The samples of an arbitrary network: a function of the work alone, without zeros, targets as its loss expects
them."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from dnnkit.bench.peers.samples import drawn
from tests.dnnkit.bench.peers.made_up import SMALL

WORK = replace(SMALL, widths=(5, 8, 7), samples=2_000)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_features_are_normal_without_zeros(dtype: Any) -> None:
    x, _ = drawn(replace(WORK, dtype=dtype))
    assert (x.shape, x.dtype) == ((2_000, 5), dtype)
    assert (x != 0).all()
    assert (x.mean(), x.std()) == pytest.approx((0, 1), abs=0.05)
    np.testing.assert_array_equal(x, drawn(replace(WORK, dtype=dtype))[0])


def test_targets_suit_the_loss_and_can_be_learned() -> None:
    x, classes = drawn(WORK)
    assert classes.dtype == np.int64
    assert set(classes) == set(range(7))
    _, values = drawn(replace(WORK, loss="mean_squared_error"))
    _, binary = drawn(replace(WORK, loss="binary_crossentropy"))
    assert (values.shape, values.dtype) == ((2_000, 7), np.float32)
    assert set(np.unique(binary)) == {0, 1}
    assert np.corrcoef(x[:, 0], values[:, 5])[0, 1] > 0.6  # the outputs follow the features in turn
    np.testing.assert_array_equal(binary, values > 0)
