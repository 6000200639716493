"""Sums over ranks: the same bits on any number of them."""

import numpy as np
import pytest

from dnnkit.distributed.reduction import HALVED, Reduction
from tests.dnnkit.distributed.threads import Threads, run_ranks

LEAVES = 8


def added_in_pairs(leaves: list[np.ndarray]) -> np.ndarray:
    while len(leaves) > 1:
        leaves = [one + other for one, other in zip(leaves[::2], leaves[1::2], strict=True)]
    return leaves[0]


@pytest.mark.parametrize("length", [1, 7, HALVED // 4 + 5])
def test_a_sum_is_the_same_bit_for_bit_on_any_number_of_ranks(length: int, rng: np.random.Generator) -> None:
    leaves = list((rng.normal(size=(LEAVES, length)) * 10.0 ** rng.integers(-6, 6, (LEAVES, 1))).astype(np.float32))
    wanted = added_in_pairs(leaves)

    for size in (1, 2, 3, 4, 5, 8):

        def work(ranks: Threads) -> list[np.ndarray]:
            sums = Reduction(ranks, LEAVES, lambda: np.empty(length, np.float32))

            def leaf(number: int, out: np.ndarray) -> None:
                assert number in sums.own
                out[...] = leaves[number]

            return [sums.add_up(leaf).copy() for _ in range(2)]

        for found in run_ranks(size, work):
            for total in found:
                np.testing.assert_array_equal(total, wanted, err_msg=f"{size} ranks")
