"""Entry points: what they do beyond a single kernel. The conformance suite tests their values."""

import numpy as np
import pytest

from dnnkit.kernels import registry
from dnnkit.kernels._numba.entry_points import (
    activation_entry_points,
    loss_entry_points,
    metric_entry_points,
    slope_entry_points,
)
from dnnkit.testing.cases import DTYPES, Case, samples
from tests.conformance.entry_points import EntryPoints


@pytest.mark.parametrize("kind", ["loss", "metric"])
def test_sums_are_added_to_existing_values(kind, rng):
    scores, targets, weights, gradient = rng.normal(size=(4, 7, 3))
    total = np.zeros(1)

    def add() -> None:
        first, last = [array.ctypes.data for array in (scores, targets, weights)], total.ctypes.data
        if kind == "loss":
            compiled = loss_entry_points("mean_squared_error", "values", "float64")
            compiled.call("loss", *first, 7, 3, 0.5, gradient.ctypes.data, last)
        else:
            metric_entry_points("categorical_accuracy", "values", "float64").call("total", *first, 7, 3, 0.5, last)

    add()
    once = total[0]
    assert once != 0
    total[0] = 5
    add()
    np.testing.assert_allclose(total[0], 5 + once, rtol=1e-14)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    "name", [name for name in registry.names("activation") if registry.activation(name).elementwise]
)
def test_only_the_number_of_elements_matters_elementwise(name, dtype):
    x, compiled = samples(Case(name, dtype, (6, 35))), EntryPoints()
    tall = compiled.activation(name, x.reshape(210, 1))
    np.testing.assert_array_equal(tall.reshape(6, 35), compiled.activation(name, x))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    "name", [name for name in registry.names("activation") if registry.activation(name).has_own_slope]
)
def test_with_the_slope_kept_both_ways_give_the_same_bits(name, dtype, rng):
    x, compiled = samples(Case(name, dtype, (6, 35))), EntryPoints()
    dy = rng.normal(size=x.shape).astype(dtype)
    slope, y, dx = x.copy(), np.empty_like(x), np.empty_like(x)
    places = {array: given.ctypes.data for array, given in {"slope": slope, "y": y, "dy": dy, "dx": dx}.items()}
    activation_entry_points(name, dtype).call("forward_with_slope", places["slope"], places["y"], *x.shape)
    slope_entry_points(dtype).call("backward", places["dy"], places["slope"], places["dx"], *x.shape)
    np.testing.assert_array_equal(y, compiled.activation(name, x))
    np.testing.assert_array_equal(dx, compiled.activation_backward(name, dy, x))
