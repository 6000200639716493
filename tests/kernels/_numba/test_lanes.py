"""Reductions and short rows in lanes, against NumPy, at all lengths around whole vectors and whole turns of loops."""

from collections.abc import Callable

import numba
import numpy as np
import pytest

from dnnkit.kernels._numba import lanes
from dnnkit.kernels._numba.front_end import OPTIONS
from dnnkit.kernels._numba.lanes import AT_ONCE, LANES

LENGTHS = sorted({*range(1, 2 * LANES + 2), *(n * AT_ONCE * LANES + k for n in (1, 2, 5) for k in (-1, 0, 1, 9))})
BEYOND = 77.0
"""Stands after each array, and must neither be read nor written."""


@numba.njit(**OPTIONS)
def sums(x, y, z):
    return (
        lanes.sum_of(x),
        lanes.sum_of_products(x, y),
        lanes.sum_of_products_in_double(x, y),
        lanes.sum_of_products_where(x, y, z),
        lanes.sum_in_double(x),
        lanes.largest_of(x),
        lanes.smallest_of(x),
    )


@numba.njit(**OPTIONS)
def change(x, number, subtracted, multiplied, in_double):
    lanes.subtract(x, number, subtracted)
    lanes.multiply(x, number, multiplied)
    lanes.multiply_in_double(x, np.float64(number), in_double)


def followed(x: np.ndarray) -> np.ndarray:
    """A copy of x with other numbers behind its end."""
    return np.concatenate([x, np.full(4 * LANES, BEYOND, x.dtype)])[: len(x)]


def drawn(length: int, dtype: str, seed: int) -> np.ndarray:
    return followed(np.random.default_rng([length, seed]).normal(size=length).astype(dtype))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_reductions_are_those_of_all_elements_and_no_others(dtype: str) -> None:
    for length in LENGTHS:
        x, y, z = (drawn(length, dtype, seed) for seed in range(3))
        wide, close = x.astype(np.float64), 8 * np.finfo(dtype).eps * length
        total, products, doubles, chosen, total_in_double, largest, smallest = sums(x, y, z)
        np.testing.assert_allclose(total, wide.sum(), rtol=0, atol=close)
        np.testing.assert_allclose(total_in_double, wide.sum(), rtol=0, atol=1e-12)
        np.testing.assert_allclose(products, wide @ y, rtol=0, atol=close)
        np.testing.assert_allclose(doubles, wide @ y, rtol=0, atol=1e-12)
        np.testing.assert_allclose(chosen, wide[z > 0] @ y[z > 0], rtol=0, atol=close)
        assert (largest, smallest) == (x.max(), x.min())


@pytest.mark.parametrize("place", [0, LANES, 40])
@pytest.mark.parametrize("lost", [np.nan, np.inf, -np.inf])
def test_a_sum_is_lost_with_any_element_and_extremes_with_infinite_ones(place: int, lost: float) -> None:
    for length in (place + 1, place + 7, 100):
        x = drawn(length, "float32", 0)
        x[place] = lost
        total, *_, largest, smallest = sums(x, x, x)
        assert not np.isfinite(total)
        if not np.isnan(lost):
            assert (largest, smallest) == (x.max(), x.min())


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_order_of_a_sum_is_that_of_the_lanes(dtype: str) -> None:
    x = drawn(3 * AT_ONCE * LANES + 2 * LANES + 3, dtype, 0)
    turns, kind = len(x) // (AT_ONCE * LANES), x.dtype.type
    parts = np.zeros((AT_ONCE, LANES), dtype)
    for several in x[: turns * AT_ONCE * LANES].reshape(turns, AT_ONCE, LANES):
        parts += several
    total = (parts[0] + parts[1]) + (parts[2] + parts[3])
    for start in range(turns * AT_ONCE * LANES, len(x), LANES):
        rest = np.zeros(LANES, dtype)
        rest[: len(x) - start] = x[start : start + LANES]
        total = total + rest
    while len(total) > 1:
        half = len(total) // 2
        total = total[:half] + total[half:]
    assert sums(x, x, x)[0] == kind(total[0])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("in_place", [False, True])
def test_rows_change_up_to_their_end(dtype: str, in_place: bool) -> None:
    change_one: Callable[..., None] = change
    kind = np.dtype(dtype).type
    for length in LENGTHS:
        x, number = drawn(length, dtype, 0), kind(1) / kind(3)
        outs = [followed(np.zeros(length, dtype)) for _ in range(3)]
        if in_place:
            outs[0] = x
        wanted = x - number, None if in_place else x * number
        change_one(x.copy() if not in_place else x, number, *outs)
        np.testing.assert_array_equal(outs[0], wanted[0])
        if wanted[1] is not None:
            np.testing.assert_array_equal(outs[1], wanted[1])
            in_double = (x.astype(np.float64) * np.float64(number)).astype(dtype)
            np.testing.assert_array_equal(outs[2], in_double)
        for out in outs:
            base = out.base
            assert base is not None
            assert (base[length:] == BEYOND).all()
