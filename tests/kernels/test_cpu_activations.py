"""Compiled activations, as the epoch calls them: entry points by address, against the reference in float64."""

from typing import Any

import numpy as np
import pytest

from dnnkit.kernels import registry
from dnnkit.kernels._numba.entry_points import activation_entry_points

ACTIVATIONS = registry.names("activation")
DTYPES = ["float32", "float64"]
SIZES = [0, 1, 7, 63, 64, 65, 1009, 20_000]
ROWS = [(0, 3), (1, 1), (7, 1), (1, 7), (5, 63), (3, 64), (2, 65), (2, 1009), (2000, 10)]
"""Shapes for softmax, whose rows are not independent elements."""
SMALL_BATCH = 4
"""Units in the last place, beyond twice the error of the reference in the same dtype."""


def shapes(name: str) -> list[tuple[int, int]]:
    return [(1, size) for size in SIZES] if registry.activation(name).elementwise else ROWS


def samples(shape: tuple[int, int], dtype: str) -> np.ndarray:
    """Numbers of every size, the special ones first."""
    rng = np.random.default_rng(20261122)
    tiny, smallest = np.finfo(dtype).tiny, np.finfo(dtype).smallest_subnormal
    special = [1e4, -1e4, 0, -0.0, smallest, -smallest, tiny / 3, -tiny / 3, tiny, -tiny, 3, -3, 88.8, -88.8, 710, -710]
    size = shape[0] * shape[1]
    values = np.concatenate([np.array(special, dtype), (5 * rng.normal(size=size)).astype(dtype)])[:size]
    return rng.permutation(values).reshape(shape) if size > len(special) else values.reshape(shape)


def forward(name: str, x: np.ndarray, y: np.ndarray | None = None) -> np.ndarray:
    y = np.full_like(x, 77) if y is None else y
    activation_entry_points(name, x.dtype.name).call("forward", x.ctypes.data, y.ctypes.data, *x.shape)
    return y


def backward(name: str, dy: np.ndarray, saved: np.ndarray, dx: np.ndarray | None = None) -> np.ndarray:
    dx = np.full_like(dy, 77) if dx is None else dx
    addresses = dy.ctypes.data, saved.ctypes.data, dx.ctypes.data
    activation_entry_points(name, dy.dtype.name).call("backward", *addresses, *dy.shape)
    return dx


def saved(name: str, x: np.ndarray) -> np.ndarray:
    activation = registry.activation(name)
    with np.errstate(all="ignore"):
        return activation.forward(x) if activation.saves == "output" else x


def passes(name: str, x: np.ndarray, dy: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return forward(name, x), backward(name, dy, saved(name, x))


def references(name: str, x: np.ndarray, dy: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    with np.errstate(all="ignore"):
        return registry.activation(name).forward(x), registry.activation(name).backward(dy, saved(name, x))


def worst(actual: np.ndarray, exact: np.ndarray, magnitude: np.ndarray, smallest: Any = None) -> float:
    """The largest error in units of the last place of the magnitude, which are `smallest` at least."""
    limits = np.finfo(actual.dtype)
    ulp = limits.eps * np.abs(magnitude) + (limits.smallest_subnormal if smallest is None else smallest)
    return float((np.abs(actual - exact) / ulp).max(initial=0))


def magnitudes(name: str, x: np.ndarray, dy: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What the roundings inside are relative to: the contract's `Accuracy`. Slopes are of terms of about 1."""
    if name == "softmax":
        distance = x.max(axis=1, keepdims=True, initial=-np.inf) - x
        return y * (1 + distance), y * (np.abs(dy) + np.abs(y * dy).sum(axis=1, keepdims=True))
    if name == "hard_sigmoid":
        return np.maximum(y, 0.5), dy  # the sum x / 6 + ½ cancels
    return y * (1 + x * x) if name == "gelu" else y, dy


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_error_is_at_most_twice_that_of_the_reference_and_a_few_ulp(name, dtype, rng):
    for shape in shapes(name):
        x, dy = samples(shape, dtype), rng.normal(size=shape).astype(dtype)
        x64, dy64, saved64 = (array.astype(np.float64) for array in (x, dy, saved(name, x)))
        activation = registry.activation(name)
        exact = activation.forward(x64), activation.backward(dy64, saved64)
        scale = magnitudes(name, x64, dy64, exact[0])
        results = zip(passes(name, x, dy), references(name, x, dy), exact, scale, strict=True)
        for actual, reference, wanted, magnitude in results:
            assert np.isfinite(actual).all()
            assert worst(actual, wanted, magnitude) <= 2 * worst(reference, wanted, magnitude) + SMALL_BATCH


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_nan_and_inf_come_through_as_in_the_reference(name, dtype):
    bad = [np.nan, np.inf, -np.inf]
    for place in (0, 1, 40, 64):  # in the vectorised loop and in what is left after it
        for value in bad:
            x = np.linspace(-3, 3, 195, dtype=dtype).reshape(3, 65)
            dy = np.linspace(1, 2, 195, dtype=dtype).reshape(3, 65)
            for array in (x, dy):
                changed = array.copy()
                changed[1, place] = value
                arguments = (changed, dy) if array is x else (x, changed)
                for actual, wanted in zip(passes(name, *arguments), references(name, *arguments), strict=True):
                    np.testing.assert_array_equal(np.isnan(actual), np.isnan(wanted))
                    np.testing.assert_array_equal(actual[np.isinf(wanted)], wanted[np.isinf(wanted)])
                    np.testing.assert_array_equal(np.isinf(actual), np.isinf(wanted))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_nan_in_gives_nan_out_but_for_step(name, dtype):
    x, dy = np.full((2, 65), np.nan, dtype), np.full((2, 65), np.nan, dtype)
    assert np.isnan(forward(name, x)).all() == (name != "step")
    if name == "step":
        np.testing.assert_array_equal(forward(name, x), 0)
    assert np.isnan(backward(name, dy, np.full((2, 65), 0.25, dtype))).all()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_in_place_gives_the_same(name, dtype, rng):
    for shape in shapes(name):
        x, dy = samples(shape, dtype), rng.normal(size=shape).astype(dtype)
        kept = saved(name, x)
        y, dx = forward(name, x), backward(name, dy, kept)
        # A row's sum may be vectorised in one case and not in the other.
        tolerance = 0 if registry.activation(name).elementwise else SMALL_BATCH * np.finfo(dtype).eps
        place = x.copy()
        np.testing.assert_allclose(forward(name, place, place), y, rtol=tolerance)
        place = dy.copy()
        np.testing.assert_allclose(backward(name, place, kept, place), dx, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_each_run_gives_the_same_bits_and_inputs_are_not_modified(name, dtype, rng):
    for shape in shapes(name):
        x, dy = samples(shape, dtype), rng.normal(size=shape).astype(dtype)
        given = [x, dy, saved(name, x)]
        before = [array.tobytes() for array in given]
        first = [array.tobytes() for array in passes(name, x, dy)]
        assert [array.tobytes() for array in passes(name, x, dy)] == first
        assert [array.tobytes() for array in given] == before


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_nothing_is_written_around_the_slice(name, dtype, rng):
    for columns in (1, 7, 63, 64, 65):
        x = rng.normal(size=(3, columns)).astype(dtype)
        padded = np.full(3 * columns + 16, 77, dtype)
        inside = padded[8:-8].reshape(3, columns)
        forward(name, x, inside)
        np.testing.assert_array_equal(inside, forward(name, x))
        backward(name, x, saved(name, x), inside)
        np.testing.assert_array_equal(inside, backward(name, x, saved(name, x)))
        np.testing.assert_array_equal(np.concatenate([padded[:8], padded[-8:]]), 77)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_only_the_number_of_elements_matters_elementwise(name, dtype, rng):
    if not registry.activation(name).elementwise:
        return
    x = samples((6, 35), dtype)
    np.testing.assert_array_equal(forward(name, x.reshape(210, 1)).reshape(6, 35), forward(name, x))


@pytest.mark.parametrize("dtype", DTYPES)
def test_hard_sigmoid_is_flat_from_its_corners_on(dtype):
    x = np.array([[-4, -3, 3, 4]], dtype)
    y = forward("hard_sigmoid", x)
    np.testing.assert_array_equal(y, [[0, 0, 1, 1]])
    np.testing.assert_array_equal(backward("hard_sigmoid", np.ones_like(x), y), [[0, 0, 0, 0]])
