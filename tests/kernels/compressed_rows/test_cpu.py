"""Products of compressed rows are those of the dense table, within rounding, and the same from piece to piece."""

import array_api_strict as xs
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from dnnkit.kernels.compressed_rows import CompressedRows, reference

cpu = pytest.importorskip("dnnkit.kernels.compressed_rows.cpu")


@pytest.mark.parametrize("kind", ["float32", "float64"])
def test_products_are_those_of_the_dense_table(kind: str) -> None:
    @settings(max_examples=80, deadline=None)
    @given(
        st.integers(1, 70), st.sampled_from([1, 3, 16, 33, 64, 100, 129]), st.integers(0, 20),
        st.sampled_from([0, 0.05, 0.5, 1]), st.integers(1, 80),
    )  # fmt: skip
    def for_all_shapes(features: int, outputs: int, count: int, share: float, height: int) -> None:
        rng = np.random.default_rng(features + outputs + count)
        dense = (rng.normal(size=(17, features)) * (rng.random((17, features)) < share)).astype(kind)
        dense[4] = 0
        x, rows = CompressedRows.of(sparse.csr_array(dense)), rng.integers(0, 17, count)
        w, y = rng.normal(size=(features, outputs)).astype(kind), rng.normal(size=(count, outputs)).astype(kind)
        stored, bound = (x.starts, x.columns, x.values, rows), dict(rtol=0, atol=300 * np.finfo(kind).eps)

        out, expected = np.full((count, outputs), np.nan, kind), dense[rows].astype(float) @ w
        cpu.product(*stored, w, out)
        np.testing.assert_allclose(out, expected, **bound)
        np.testing.assert_allclose(reference.product(*stored, w), expected, **bound)

        whole, expected = np.full((features, outputs), np.nan, kind), dense[rows].astype(float).T @ y
        places = np.full(count, -1)
        cpu.transposed_product(*stored, y, whole, places)
        np.testing.assert_allclose(whole, expected, **bound)
        np.testing.assert_allclose(reference.transposed_product(*stored, y, features), expected, **bound)

        cpu.begin(x.starts, rows, places)
        for first in range(0, features, height):
            piece = np.full((min(height, features - first), outputs), np.nan, kind)
            cpu.transposed_piece(*stored, y, places, first, piece)
            np.testing.assert_array_equal(piece, whole[first : first + height])

    for_all_shapes()


def test_the_reference_runs_on_any_array_library() -> None:
    rng = np.random.default_rng(0)
    dense = rng.normal(size=(9, 6)) * (rng.random((9, 6)) < 0.4)
    x, rows, y = CompressedRows.of(sparse.csr_array(dense)), np.array([3, 3, 0, 8, 5]), rng.normal(size=(5, 2))
    stored = [xs.asarray(each) for each in (x.starts, x.columns, x.values, rows)]
    strict = reference.product(*stored, xs.asarray(y[[0] * 6]), xs)
    np.testing.assert_allclose(np.asarray(strict), dense[rows] @ y[[0] * 6])
    strict = reference.transposed_product(*stored, xs.asarray(y), 6, xs)
    np.testing.assert_allclose(np.asarray(strict), dense[rows].T @ y)


@pytest.mark.parametrize("form", ["csr_matrix", "coo_array", "csc_array"])
def test_rows_of_any_format_in_any_order(form: str) -> None:
    place = [0, 2, 2, 2, 0, 3], [4, 1, 1, 0, 0, 4]
    matrix = sparse.coo_array(([1.0, 2.0, 3.0, 4.0, 5.0, 6.0], place), shape=(5, 5))
    given = getattr(sparse, form)(matrix)
    if form == "csr_matrix":
        given = sparse.csr_matrix((np.array([1.0, 5.0, 2.0]), np.array([4, 0, 0]), np.array([0, 3])), shape=(1, 5))
    dense = given.toarray()
    x = CompressedRows.of(given)
    assert all((np.diff(x.columns[start:end]) > 0).all() for start, end in zip(x.starts, x.starts[1:], strict=False))
    np.testing.assert_array_equal(x, dense)
    assert x.shape == dense.shape
    for rows in (slice(0, 1), slice(None), np.array([0, 0]), (slice(None, None, 2), ...)):
        np.testing.assert_array_equal(x[rows], dense[rows])
    assert x.row_of(0) == 0
    assert x.astype("float32").dtype == np.float32
