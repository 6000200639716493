"""Safetensors files as the package of that name writes them."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from safetensors.numpy import save

from dnnkit.saves.tensors import DTYPES, from_safetensors, to_safetensors

ARRAYS = st.dictionaries(
    st.text(max_size=4).filter(lambda name: name != "__metadata__"),
    st.sampled_from(list(DTYPES.values())).flatmap(
        lambda dtype: arrays(dtype, array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3))
    ),
    max_size=5,
)


@settings(max_examples=60, deadline=None)
@given(ARRAYS, st.booleans())
def test_byte_for_byte(given_arrays, is_transposed) -> None:
    written = {name: array.T if is_transposed else array for name, array in given_arrays.items()}
    content = to_safetensors(written)
    assert content == save({name: np.ascontiguousarray(array).reshape(array.shape) for name, array in written.items()})
    for name, array in from_safetensors(content, "a file").items():
        assert array.dtype == written[name].dtype
        np.testing.assert_array_equal(array, written[name])


def test_big_endian_numbers_are_turned_round() -> None:
    content = to_safetensors({"a": np.array([1.5, -2], ">f4")})
    np.testing.assert_array_equal(from_safetensors(content, "a file")["a"], np.array([1.5, -2], np.float32))
