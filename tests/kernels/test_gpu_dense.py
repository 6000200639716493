"""The dense layer on the GPU, every activation, against the reference in float64."""

import numpy as np
import pytest

from dnnkit.kernels import registry
from dnnkit.kernels._cuda.launch import PARTIALS
from dnnkit.kernels.dense import gpu as dense
from dnnkit.kernels.dense import reference
from tests.kernels.test_cpu_dense import DTYPES, close
from tests.kernels.test_dense import sample

ACTIVATIONS = registry.names("activation")
SIZES = [(1, 1, 1), (3, 5, 7), (13, 1, 11), (65, 31, 17), (33, 3, 128), (257, 2, 4), (3, 2, 300), (0, 3, 2), (3, 0, 2)]
"""(B, I, O)"""


def forward(gpu, x, w, b, name, shift=0):
    """(y, z): z is full of 77 where the activation saves its output."""
    z, y = (gpu.full((len(x), w.shape[1]), x.dtype, shift) for _ in range(2))
    bias = None if b is None else gpu.put(b, 1)
    activation = registry.activation(name)
    dense.forward(gpu.put(x), gpu.put(w), bias, activation, z, y)
    return gpu.get(y, z)


def backward(gpu, dy, x, w, saved, name, needs_dx=True, with_bias=True, in_place=True, scratch=None):
    """(dx, dw, db)"""
    dy, dx, dw = gpu.put(dy), gpu.full(x.shape, x.dtype), gpu.full(w.shape, x.dtype)
    db = gpu.full(w.shape[1], x.dtype, 3) if with_bias else None
    dz = dy if in_place else gpu.full(dy.shape, x.dtype)
    activation = registry.activation(name)
    dense.backward(dy, gpu.put(x), gpu.put(w), gpu.put(saved), activation, needs_dx, dz, dx, dw, db, scratch)
    return gpu.get(dx), gpu.get(dw), None if db is None else gpu.get(db)


@pytest.mark.parametrize("with_bias", [True, False])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_forward_and_backward_against_the_reference(gpu, name, dtype, with_bias, rng):
    activation = registry.activation(name)
    for sizes in SIZES:
        x, w, b, dy = sample(sizes, rng, dtype)
        b = b if with_bias else None
        exact = [array if array is None else array.astype(np.float64) for array in (x, w, b)]
        exact_y, exact_saved = reference.forward(*exact, activation)
        y, z = forward(gpu, x, w, b, name)
        saved = y if activation.saves == "output" else z
        if name != "step":  # a sign of z decides there
            close(y, exact_y, dtype, sizes[1])
            close(saved, exact_saved, dtype, sizes[1])
        expected = reference.backward(*(a.astype(np.float64) for a in (dy, x, w, saved)), activation, True)
        for in_place in (True, False):
            actual = backward(gpu, dy, x, w, saved, name, with_bias=with_bias, in_place=in_place)
            close(actual[0], expected[0], dtype, sizes[2])
            close(actual[1], expected[1], dtype, sizes[0])
            if with_bias:
                close(actual[2], expected[2], dtype, sizes[0])


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
    close(forward(gpu, x, w, b, name)[0], reference.forward(x, w, b, registry.activation(name))[0], dtype, 3)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_dx_is_left_alone_unless_needed(gpu, name, rng):
    x, w, b, dy = sample((3, 5, 7), rng)
    y, z = forward(gpu, x, w, b, name)
    saved = y if registry.activation(name).saves == "output" else z
    needless, needed = (backward(gpu, dy, x, w, saved, name, flag) for flag in (False, True))
    np.testing.assert_array_equal(needless[0], 77)
    for without, with_dx in zip(needless[1:], needed[1:], strict=True):
        np.testing.assert_array_equal(without, with_dx)


def test_each_run_gives_the_same_bits_and_inputs_are_not_modified(gpu, rng):
    given = sample((1030, 31, 17), rng, np.float32)
    x, w, b, dy = (gpu.put(array) for array in given)
    activation = registry.activation("gelu")

    def run():
        z, y, dz = (gpu.full((1030, 17), np.float32) for _ in range(3))
        dx, dw, db = gpu.full(x.shape, np.float32), gpu.full(w.shape, np.float32), gpu.full(17, np.float32)
        dense.forward(x, w, b, activation, z, y)
        dense.backward(dy, x, w, z, activation, True, dz, dx, dw, db)
        return [array.tobytes() for array in gpu.get(y, z, dz, dx, dw, db)]

    assert run() == run()
    for array, before in zip(gpu.get(x, w, b, dy), given, strict=True):
        np.testing.assert_array_equal(array, before)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_nan_and_inf_come_through(gpu, bad, rng):
    x, w, b, dy = sample((5, 7, 3), rng)
    x[2, 4] = bad
    with np.errstate(invalid="ignore"):
        expected, _ = reference.forward(x, w, b, registry.activation("relu"))
        y, _ = forward(gpu, x, w, b, "relu")
    np.testing.assert_array_equal(np.isfinite(y), np.isfinite(expected))
    dy[1, 1] = np.nan
    with np.errstate(invalid="ignore"):
        dx, _, db = backward(gpu, dy, x, w, np.ones_like(dy), "relu")
    assert np.isnan(dx[1]).all()
    np.testing.assert_array_equal(np.isnan(db), [False, True, False])
