"""Products of compressed rows by NumPy are those of the dense table, whatever the size of blocks."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from dnnkit.backends import compressed_products
from dnnkit.kernels.compressed_rows import CompressedRows


@given(
    st.integers(0, 20),
    st.integers(1, 30),
    st.sampled_from([0, 0.1, 0.5, 1]),
    st.sampled_from([1, 40, 1000]),
)
def test_products_are_those_of_the_dense_table(count: int, features: int, share: float, block: int) -> None:
    rng = np.random.default_rng(count + features)
    dense = rng.normal(size=(count, features)) * (rng.random((count, features)) < share)
    x, w, y = CompressedRows.of(sparse.csr_array(dense)), rng.normal(size=(features, 3)), rng.normal(size=(count, 3))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compressed_products, "BLOCK", block)
        out = compressed_products.product(x, w, np.full((count, 3), np.nan))
        np.testing.assert_allclose(out, dense @ w, atol=1e-13)
        out = compressed_products.transposed_product(x, y, np.full((features, 3), np.nan))
        np.testing.assert_allclose(out, dense.T @ y, atol=1e-13)
