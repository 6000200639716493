"""Orders that compiled code draws are NumPy's."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("numba")

import dnnkit as dk
from dnnkit.backends.aligned import address
from dnnkit.kernels._engine.permutation import permute
from dnnkit.kernels._engine.structures import SCRATCH

WORDS = st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=4)


@given(entropy=WORDS, count=st.one_of(st.integers(0, 40), st.integers(1, 5000)))
def test_a_permutation_is_numpys(entropy: list[int], count: int) -> None:
    order, words, scratch = np.full(count + 1, -7), np.array(entropy, np.int64), np.empty(SCRATCH, np.int64)
    permute(address(order), count, address(words), len(words), address(scratch))
    np.testing.assert_array_equal(order[:count], np.random.default_rng(entropy).permutation(count))
    assert order[count] == -7


def test_an_executable_draws_short_and_long_orders_alike() -> None:
    net = dk.Sequential([dk.Dense(2)], backend="numba", seed=0)
    net.build(3)
    for rows in (1, 4095, 4096, 70_001):
        words = np.array([2, 5, 2**32 - 1])
        expected = np.random.default_rng(words.tolist()).permutation(rows)
        np.testing.assert_array_equal(net.executable.permutation(words, rows), expected)
