"""Members hold out different rows, with the same share of each class."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from dnnkit.estimators.splitting import FEWEST, held_out_rows


@settings(max_examples=50)
@given(rows=st.integers(FEWEST, 90), classes=st.integers(1, 7), count=st.integers(2, 6), seed=st.integers(0, 99))
def test_parts_are_equal_and_stratified(rows: int, classes: int, count: int, seed: int) -> None:
    labels = np.random.default_rng(seed).integers(classes, size=rows)
    held_out = list(held_out_rows(labels, rows, 1 / count, 2 * count, seed))
    again = list(held_out_rows(labels, rows, 1 / count, 2 * count, seed))
    assert all(np.array_equal(one, other) for one, other in zip(held_out, again, strict=True))
    alone = np.flatnonzero(np.bincount(labels, minlength=classes)[labels] == 1)
    for parts in (held_out[:count], held_out[count:]):
        # each row once, none of a class with one row
        assert sorted(np.concatenate([*parts, alone])) == list(range(rows))
        assert np.ptp([len(part) for part in parts]) <= 1
        assert np.ptp([np.bincount(labels[part], minlength=classes) for part in parts], axis=0).max() <= 1


def test_the_second_division_is_another() -> None:
    held_out = list(held_out_rows(None, 100, 0.25, 8, 0))
    assert not np.array_equal(held_out[0], held_out[4])


def test_of_few_rows_none_are_held_out() -> None:
    assert list(held_out_rows(None, FEWEST - 1, 0.25, 2, 0)) == [None, None]
    assert list(held_out_rows(None, 1000, 0.0, 2, 0)) == [None, None]
