"""Memory aligned to a cache line."""

import numpy as np
import pytest

from dnnkit.backends.aligned import LINE, Lending, address, aligned, zeros


@pytest.mark.parametrize("dtype", ["float32", "float64", "int64", "uint8", "bool"])
@pytest.mark.parametrize("shape", [(1,), (3, 5), (0,), (2, 3, 4), (1 << 16,)])
def test_arrays_are_aligned_and_have_their_contents(dtype: str, shape: tuple[int, ...]) -> None:
    numbers = np.random.default_rng(0).integers(0, 2, shape).astype(dtype)
    for _ in range(5):
        copy, nothing = aligned(numbers), zeros(shape, dtype)
        if copy.size:
            assert copy.ctypes.data % LINE == nothing.ctypes.data % LINE == 0
        assert copy.dtype == nothing.dtype == numbers.dtype
        np.testing.assert_array_equal(copy, numbers)
        np.testing.assert_array_equal(nothing, np.zeros(shape))
        copy[...] = 0
    np.testing.assert_array_equal(numbers, np.random.default_rng(0).integers(0, 2, shape).astype(dtype))


def test_memory_is_lent_again_only_once_no_view_of_it_is_left() -> None:
    lending = Lending(lambda: zeros((6,), "float32"))
    first = lending.array()
    first[:] = 7
    view, place = first[2:4].reshape(2, 1), address(first)
    del first
    second = lending.array()
    assert address(second) != place
    second[:] = 1
    assert view.tolist() == [[7], [7]]
    del view
    third = lending.array()
    assert address(third) == place
    assert third.flags.writeable
    assert third.flags.c_contiguous
