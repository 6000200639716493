"""Entry points: what they do beyond a single kernel. The conformance suite tests their values."""

import llvmlite.binding as llvm
import numpy as np
import pytest

from dnnkit.kernels import registry
from dnnkit.kernels._numba.at_address import pointed
from dnnkit.kernels._numba.entry_points import (
    activation_entry_points,
    loss_entry_points,
    metric_entry_points,
    slope_entry_points,
)
from dnnkit.kernels._numba.exponentials import exp
from dnnkit.kernels._numba.front_end import bitcode
from dnnkit.kernels._numba.signature import signature
from dnnkit.kernels._target.processor import REGISTER_BYTES
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


def test_loops_are_vectors_of_whole_registers():
    def exponentials(pointer, count):
        x = pointed(pointer, count)
        for place in range(count):
            x[place] = exp(x[place])

    code = str(llvm.parse_bitcode(bitcode(exponentials, signature("number* int64", "float32"), "all").content))
    assert f"<{REGISTER_BYTES // 4} x float>" in code


@pytest.mark.parametrize("columns", [1, 3, 1100])
def test_elements_of_a_loss_are_weighted_row_by_row(columns, rng):
    scores, targets = rng.normal(size=(700, columns)), rng.random((700, columns))
    weights = rng.random(700)
    wanted = registry.loss("sigmoid_cross_entropy").loss_and_gradient(scores, targets, weights, 0.5)
    loss, gradient = EntryPoints().loss("sigmoid_cross_entropy", scores, targets, weights, 0.5)
    np.testing.assert_allclose(loss, wanted[0], rtol=1e-13)
    np.testing.assert_allclose(gradient, wanted[1], rtol=1e-12, atol=1e-16)
