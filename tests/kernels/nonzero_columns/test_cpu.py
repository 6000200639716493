"""Which columns a batch uses: as the reference, and nothing is read beyond the data."""

import array_api_strict
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dnnkit.kernels.nonzero_columns import reference, words

cpu = pytest.importorskip("dnnkit.kernels.nonzero_columns.cpu")
KINDS = ["uint8", "float32", "float64"]


def marked(x: np.ndarray) -> np.ndarray:
    bits = np.full((len(x), words(x.shape[1])), -1, np.int64)
    assert cpu.mark(x, bits) == reference.mark(x)[1] == np.isfinite(x).all()
    np.testing.assert_array_equal(bits, reference.mark(x)[0])
    return bits


@pytest.mark.parametrize("kind", KINDS)
def test_columns_are_those_with_a_number_that_is_not_zero(kind: str) -> None:
    @settings(max_examples=60, deadline=None)
    @given(st.sampled_from([1, 5, 63, 64, 65, 128, 200]), st.integers(0, 20), st.sampled_from([0, 0.02, 0.5, 1]))
    def for_all_shapes(features: int, count: int, share: float) -> None:
        rng = np.random.default_rng(count)
        x = (rng.integers(1, 200, (17, features)) * (rng.random((17, features)) < share)).astype(kind)
        rows = rng.integers(0, 17, count)
        bits = marked(x)
        columns = np.full(features + words(features), -1)
        found = cpu.nonzero_columns(bits, rows, columns)
        expected = np.flatnonzero((x[rows] != 0).any(axis=0))
        np.testing.assert_array_equal(columns[:found], expected)
        np.testing.assert_array_equal(reference.nonzero_columns(bits, rows), expected)

    for_all_shapes()


def test_the_reference_is_the_same_with_another_array_library() -> None:
    xs, x = array_api_strict, np.zeros((5, 70))
    x[[0, 1, 2, 4], [0, 63, 64, 69]] = 1
    bits, rows = reference.mark(xs.asarray(x), xp=xs)[0], np.array([0, 2, 1])
    np.testing.assert_array_equal(np.asarray(bits), reference.mark(x)[0])
    columns = reference.nonzero_columns(bits, xs.asarray(rows), xp=xs)
    assert np.asarray(columns).tolist() == reference.nonzero_columns(reference.mark(x)[0], rows).tolist() == [0, 63, 64]


@pytest.mark.parametrize("kind", ["float32", "float64"])
def test_nan_is_in_use_and_negative_zero_is_not(kind: str) -> None:
    x = np.zeros((1, 130), kind)
    x[0, [0, 64, 129]] = -0.0, np.nan, np.inf
    bits, columns = marked(x), np.zeros(130 + 3, np.int64)
    assert columns[: cpu.nonzero_columns(bits, np.array([0]), columns)].tolist() == [64, 129]


@pytest.mark.parametrize("kind", ["float32", "float64"])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("place", [(0, 0), (1, 63), (2, 64), (2, 127), (3, 128), (4, 129)])
def test_one_number_that_is_not_finite_is_seen_wherever_it_is(kind: str, value: float, place: tuple[int, int]) -> None:
    x = np.full((5, 130), np.finfo(kind).max, kind)
    marked(x)
    x[place] = value
    marked(x)
