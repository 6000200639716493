"""Which products fit tiles."""

from hypothesis import given
from hypothesis import strategies as st

from dnnkit.kernels._target.processor import FUSED
from dnnkit.kernels.matmul.limits import (
    DEPTH,
    PREDICTED,
    PREDICTED_AT_ONCE,
    columns_fit_tiles,
    fits_tiles,
    is_read_once,
    most_rows,
    multiplies_in_tiles,
)


@given(columns=st.integers(1, 5_000), itemsize=st.sampled_from([4, 8]))
def test_rows_that_are_predicted_at_a_time_fit_tiles(columns: int, itemsize: int) -> None:
    rows = most_rows(columns, itemsize)
    assert fits_tiles(rows, columns, itemsize) == FUSED
    assert (rows + 1) * columns * itemsize > PREDICTED or (rows + 1) * DEPTH * itemsize > PREDICTED_AT_ONCE


@given(rows=st.integers(1, 5_000), columns=st.integers(1, 5_000), itemsize=st.sampled_from([4, 8]))
def test_products_that_fit_with_all_columns_fit_with_some(rows: int, columns: int, itemsize: int) -> None:
    assert columns_fit_tiles(rows, columns, itemsize) >= fits_tiles(rows, columns, itemsize)


@given(sizes=st.tuples(*[st.integers(1, 5_000)] * 3), itemsize=st.sampled_from([4, 8]))
def test_what_is_read_in_place_is_multiplied_in_tiles(sizes: tuple[int, int, int], itemsize: int) -> None:
    rows, depth, columns = sizes
    read_in_place = fits_tiles(rows, depth, itemsize) or is_read_once(columns, itemsize)
    assert multiplies_in_tiles(rows, depth, columns, itemsize) >= read_in_place
