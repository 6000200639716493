"""CUDA activations, forward and backward, against the reference in float64."""

import numpy as np
import pytest

from dnnkit.kernels import registry
from dnnkit.kernels._cuda import activations
from tests.kernels.test_cpu_activations import DTYPES, SMALL_BATCH, magnitudes, references, samples, saved, worst

ACTIVATIONS = registry.names("activation")
SIZES = [0, 1, 7, 255, 256, 257, 1009, 3000]
ROWS = [(0, 3), (1, 1), (7, 1), (1, 7), (5, 31), (3, 32), (2, 33), (2, 1009), (700, 10)]
"""Shapes for softmax: columns around a warp, rows beyond a block."""


def shapes(name):
    return [(1, size) for size in SIZES] if registry.activation(name).elementwise else ROWS


def flushed(x):
    """What a kernel takes x for: CuPy compiles float32 such that numbers below the normal range count as zero."""
    return np.where(np.abs(x) < smallest(x.dtype), np.copysign(x.dtype.type(0), x), x)


def smallest(dtype):
    limits = np.finfo(dtype)
    return limits.tiny if limits.dtype == np.float32 else limits.smallest_subnormal


def passes(gpu, name, x, dy, shift=0):
    """f(x), and the gradient in x."""
    activation = registry.activation(name)
    y, dx = gpu.full(x.shape, x.dtype, shift), gpu.full(x.shape, x.dtype, shift)
    activations.forward(activation, gpu.put(x, shift), y)
    activations.backward(activation, gpu.put(dy, shift), gpu.put(saved(name, x), shift), dx)
    return gpu.get(y, dx)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_error_is_at_most_twice_that_of_the_reference_and_a_few_ulp(gpu, name, dtype, rng):
    for shape in shapes(name):
        x, dy = samples(shape, dtype), rng.normal(size=shape).astype(dtype)
        x64, dy64, saved64 = (flushed(array).astype(np.float64) for array in (x, dy, saved(name, x)))
        activation = registry.activation(name)
        exact = activation.forward(x64), activation.backward(dy64, saved64)
        scale = magnitudes(name, x64, dy64, exact[0])
        results = zip(passes(gpu, name, x, dy), references(name, flushed(x), dy), exact, scale, strict=True)
        for actual, reference, wanted, magnitude in results:
            assert actual.dtype == dtype
            assert np.isfinite(actual).all()
            allowed = 2 * worst(reference, wanted, magnitude) + SMALL_BATCH
            least = smallest(dtype) * np.maximum(1, np.abs(x64))  # x times a factor that became zero
            assert worst(actual, wanted, magnitude, least) <= allowed


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_nan_and_inf_come_through_as_in_the_reference(gpu, name, dtype):
    for place in (0, 40, 64):  # in a pack and in what is left after all packs
        for value in (np.nan, np.inf, -np.inf):
            x = np.linspace(-3, 3, 195, dtype=dtype).reshape(3, 65)
            dy = np.linspace(1, 2, 195, dtype=dtype).reshape(3, 65)
            for array in (x, dy):
                changed = array.copy()
                changed[2, place] = value
                arguments = (changed, dy) if array is x else (x, changed)
                for actual, wanted in zip(passes(gpu, name, *arguments), references(name, *arguments), strict=True):
                    np.testing.assert_array_equal(np.isnan(actual), np.isnan(wanted))
                    np.testing.assert_array_equal(np.isinf(actual), np.isinf(wanted))
                    np.testing.assert_array_equal(actual[np.isinf(wanted)], wanted[np.isinf(wanted)])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_in_place_misaligned_and_with_few_blocks_the_bits_are_the_same(gpu, name, dtype, rng, few_blocks):
    activation = registry.activation(name)
    for shape in [(3, 1365), (130, 65)]:
        # A number that counts as zero may be handed on as it is: whether it is, the compiler chooses each time.
        x, dy = flushed(samples(shape, dtype)), rng.normal(size=shape).astype(dtype)
        given = [x, dy, saved(name, x)]
        before = [array.tobytes() for array in given]
        first = [array.tobytes() for array in passes(gpu, name, x, dy)]
        for shift in (0, 1):
            assert [array.tobytes() for array in passes(gpu, name, x, dy, shift)] == first
        place, back = gpu.put(x), gpu.put(dy)
        activations.forward(activation, place, place)
        activations.backward(activation, back, gpu.put(given[2]), back)
        assert [array.tobytes() for array in gpu.get(place, back)] == first
        assert [array.tobytes() for array in given] == before


@pytest.mark.parametrize("name", ["relu", "gelu", "softmax"])
def test_strided_and_fortran_inputs_and_several_dimensions(gpu, name, rng):
    activation, cupy = registry.activation(name), gpu.cupy
    x = rng.normal(size=(6, 10))
    wide, expected = gpu.put(x), activation.forward(x)
    out = gpu.full((3, 5), np.float64)
    activations.forward(activation, wide[::2, ::2], out)
    np.testing.assert_allclose(gpu.get(out), activation.forward(x[::2, ::2]), rtol=1e-13)
    out = gpu.full((10, 6), np.float64)
    activations.forward(activation, wide.T, out)
    np.testing.assert_allclose(gpu.get(out), activation.forward(x.T), rtol=1e-13)
    out = gpu.full((2, 3, 10), np.float64)
    activations.forward(activation, cupy.reshape(wide, (2, 3, 10)), out)
    np.testing.assert_allclose(gpu.get(out).reshape(6, 10), expected, rtol=1e-13)


ROWWISE = [name for name in registry.names("activation") if not registry.activation(name).elementwise]


@pytest.mark.parametrize("name", ROWWISE)
def test_a_bias_is_added_before_an_activation_of_rows(gpu, name, rng):
    for shape in [(5, 3), (40, 10), (3, 70)]:
        x, b = rng.normal(size=shape), rng.normal(size=shape[1])
        out = gpu.put(x)
        activations.launcher(name).forward(out, out, gpu.put(b))
        np.testing.assert_allclose(gpu.get(out), registry.activation(name).forward(x + b), rtol=1e-13)


@pytest.mark.parametrize("dtype", DTYPES)
def test_hard_sigmoid_is_flat_from_its_corners_on(gpu, dtype):
    x = np.array([[-4, -3, 3, 4]], dtype)
    y, dx = passes(gpu, "hard_sigmoid", x, np.ones_like(x))
    np.testing.assert_array_equal(y, [[0, 0, 1, 1]])
    np.testing.assert_array_equal(dx, [[0, 0, 0, 0]])
