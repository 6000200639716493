"""The dense layer on the GPU: what it promises beyond the conformance suite."""

import numpy as np
import pytest

from dnnkit.kernels import registry
from dnnkit.kernels._cuda.launch import PARTIALS
from dnnkit.kernels.dense import gpu as dense
from dnnkit.kernels.dense import reference
from dnnkit.testing.cases import DTYPES
from dnnkit.testing.questions import representatives
from tests.kernels.dense.test_reference import sample


def forward(gpu, x, w, b, name, shift=0):
    """Return (y, z): z is full of 77 where the activation saves its output."""
    z, y = (gpu.full((len(x), w.shape[1]), x.dtype, shift) for _ in range(2))
    bias = None if b is None else gpu.put(b, 1)
    activation = registry.activation(name)
    dense.forward(gpu.put(x), gpu.put(w), bias, activation, z, y)
    return gpu.get(y, z)


def backward(gpu, dy, x, w, saved, name, needs_dx=True, with_bias=True, in_place=True, scratch=None):
    """Return (dx, dw, db)."""
    dy, dx, dw = gpu.put(dy), gpu.full(x.shape, x.dtype), gpu.full(w.shape, x.dtype)
    db = gpu.full(w.shape[1], x.dtype, 3) if with_bias else None
    dz = dy if in_place else gpu.full(dy.shape, x.dtype)
    activation = registry.activation(name)
    dense.backward(dy, gpu.put(x), gpu.put(w), gpu.put(saved), activation, needs_dx, dz, dx, dw, db, scratch)
    return gpu.get(dx), gpu.get(dw), None if db is None else gpu.get(db)


@pytest.mark.parametrize("name", representatives())
def test_dz_may_lie_apart_from_dy(gpu, name, rng):
    x, w, b, dy = sample((65, 31, 17), rng, np.float32)
    y, z = forward(gpu, x, w, b, name)
    saved = y if registry.activation(name).saves == "output" else z
    apart, in_place = (backward(gpu, dy, x, w, saved, name, in_place=place) for place in (False, True))
    for actual, expected in zip(apart, in_place, strict=True):
        np.testing.assert_array_equal(actual, expected)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(1, 1), (1000, 1), (3000, 10), (1025, 64), (700, 65), (5, 4096), (9000, 2)])
def test_the_bias_gradient_of_many_rows_in_two_stages(gpu, shape, dtype, rng):
    """dy and saved are such that dz = dy; sums of whole numbers are exact."""
    dy = rng.integers(-9, 9, shape).astype(dtype)
    scratch = gpu.full(dense.scratch_size(*shape), dtype)
    x, w = np.ones((shape[0], 1), dtype), np.ones((1, shape[1]), dtype)
    for given in (None, scratch):
        for name in ("linear", "relu"):
            *_, db = backward(gpu, dy, x, w, np.ones_like(dy), name, scratch=given)
            np.testing.assert_array_equal(db, dy.sum(axis=0))


def test_two_stages_are_really_taken_and_scratch_is_bounded():
    assert dense.scratch_size(32, 128) == 0
    assert dense.scratch_size(9000, 2) > 2
    for rows, columns in [(10**6, 10), (10**7, 1), (10**5, 4096), (60_000, 784)]:
        assert 0 < dense.scratch_size(rows, columns) <= max(PARTIALS * 128, columns)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ["relu", "gelu", "linear"])
def test_misaligned_arrays_and_few_blocks_give_the_same_bits(gpu, name, dtype, rng, few_blocks):
    x, w, b, _ = sample((260, 3, 132), rng, dtype)
    first = [array.tobytes() for array in forward(gpu, x, w, b, name)]
    assert [array.tobytes() for array in forward(gpu, x, w, b, name, shift=1)] == first
    expected = reference.forward(*(array.astype(np.float64) for array in (x, w, b)), registry.activation(name))[0]
    np.testing.assert_allclose(forward(gpu, x, w, b, name)[0], expected, rtol=0, atol=100 * np.finfo(dtype).eps)


@pytest.mark.parametrize("name", representatives())
def test_dx_is_left_alone_unless_needed(gpu, name, rng):
    x, w, b, dy = sample((3, 5, 7), rng)
    y, z = forward(gpu, x, w, b, name)
    saved = y if registry.activation(name).saves == "output" else z
    needless, needed = (backward(gpu, dy, x, w, saved, name, flag) for flag in (False, True))
    np.testing.assert_array_equal(needless[0], 77)
    for without, with_dx in zip(needless[1:], needed[1:], strict=True):
        np.testing.assert_array_equal(without, with_dx)
