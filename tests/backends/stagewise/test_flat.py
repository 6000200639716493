"""The sums of row weights that every executable divides by."""

import numpy as np
import pytest

import dnnkit as dk
from dnnkit.backends import Backend


@pytest.mark.parametrize("batch_size", [1, 3, 4, 9, 10, 11, 2**31, 2**53 + 1, 2**62 + 1])
@pytest.mark.parametrize("weighted", [False, True])
def test_the_sum_of_each_batch_is_exact(backend: Backend, batch_size: int, weighted: bool) -> None:
    net = dk.Sequential([dk.Dense(1)], seed=0, backend=backend)
    net.compile("sgd", "mean_squared_error")
    x, weights = np.ones((10, 2)), np.arange(1.0, 11.0) if weighted else None
    net.build(2)
    data, order = net.executable.load(x, x[:, :1], weights), np.arange(10)
    sums = net.executable._weight_sums(data, order, batch_size)
    of_rows = np.ones(10) if weights is None else weights
    step = min(batch_size, 10)
    expected = [of_rows[start : start + step].sum() for start in range(0, 10, step)]
    np.testing.assert_array_equal(sums, expected)
