"""The fast check for numbers that are not finite: every place, form and number of threads."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import dnnkit as dk
from dnnkit.backends.numba_backend import finite
from dnnkit.backends.numba_backend.finite import WORTH_SHARING, surely_finite
from dnnkit.errors import DataError
from dnnkit.kernels._engine.finite import PIECE

LENGTHS = [1, 63, 64, 65, PIECE - 1, PIECE, PIECE + 1, 2 * PIECE + 67, WORTH_SHARING // 4 + 5]


@settings(deadline=None, max_examples=100)
@given(
    st.sampled_from(["float32", "float64"]),
    st.sampled_from(LENGTHS),
    st.sampled_from([np.nan, -np.nan, np.inf, -np.inf]),
    st.floats(0, 1),
    st.sampled_from([1, 2, 3]),
)
def test_a_lost_number_is_found_wherever_it_is(
    dtype: str, length: int, lost: float, share: float, threads: int
) -> None:
    x = np.full(length, np.finfo(dtype).max, dtype)
    x[::3], x[1::3] = -np.finfo(dtype).max, np.finfo(dtype).smallest_subnormal
    assert surely_finite(x, dtype, threads)
    x[min(length - 1, int(share * length))] = lost
    assert not surely_finite(x, dtype, threads)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_many_numbers_are_looked_at_in_several_calls(dtype: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(finite, "PER_CALL", 100)
    for length in (99, 100, 101, 350):
        x = np.ones((length, 1), dtype)
        assert surely_finite(x, dtype, 2)
        for place in {0, 99, 100, length - 1} & {*range(length)}:
            x[place] = np.nan
            assert not surely_finite(x, dtype, 2)
            x[place] = 1


def test_other_forms_are_left_to_the_slow_check() -> None:
    x = np.ones((6, 4))
    assert surely_finite(x, "float64", 2)
    assert surely_finite(x[:0], "float64", 2)
    for other in (x[:, ::2], x.T, x.astype(np.float32), x.astype(np.int64), x.astype(">f8"), [[1.0]]):
        assert not surely_finite(other, "float64", 2)


@pytest.mark.parametrize("lost", [np.nan, np.inf])
@pytest.mark.parametrize("what", ["x", "y"])
@pytest.mark.parametrize("rows", [40, 70_000])
def test_the_error_says_which_row(what: str, lost: float, rows: int) -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(rows, 9)), rng.normal(size=(rows, 3))
    net = dk.Sequential([dk.Dense(3)], backend="numba", seed=0)
    net.compile("sgd", "mean_squared_error")
    (x if what == "x" else y)[rows - 7, 1] = lost
    with pytest.raises(DataError, match=rf"{what} has NaN or infinite numbers, first in row {rows - 7} "):
        net.fit(x, y, verbose=0)
    assert not net.history.epoch
