"""Compiled losses, by address and with metrics in the same pass, against the reference in float64."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dnnkit.backends.numba_backend import NumbaBackend
from dnnkit.backends.program import Loss
from dnnkit.kernels import registry
from dnnkit.kernels._numba.entry_points import BINARY, CATEGORICAL, loss_entry_points
from dnnkit.kernels.accuracy import reference as accuracy
from tests.kernels.test_losses import LOSSES, ON_PROBABILITIES, sample

DTYPES = ["float32", "float64"]
SHAPES = [(0, 2), (1, 1), (1, 2), (7, 1), (7, 10), (65, 2), (65, 10), (7, 300), (65, 300)]
"""(B, K)"""
FUSED = ["softmax_cross_entropy", "sigmoid_cross_entropy"]
SMALL_BATCH = 16
"""Units in the last place, beyond twice the error of the reference in the same dtype."""


def run(name, scores, targets, weights=None, scale=1.0, metrics=(), totals=None):
    """By the entry point that the epoch calls; `metrics` are (kind, threshold), and `totals` are added to."""
    kind = "labels" if targets.ndim == 1 else "values"
    weights = np.ones(len(scores), scores.dtype) if weights is None else weights
    kinds = np.array([kind for kind, _ in metrics], np.int64)
    thresholds = np.array([threshold for _, threshold in metrics], scores.dtype)
    totals = np.zeros(1 + len(metrics)) if totals is None else totals
    gradient = np.full_like(scores, 77)
    loss_entry_points(name, kind, scores.dtype.name).call(
        "loss_and_metrics",
        *(array.ctypes.data for array in (scores, targets, weights)),
        *scores.shape,
        scale,
        len(metrics),
        *(array.ctypes.data for array in (kinds, thresholds, gradient, totals)),
    )
    return totals[0], gradient, totals[1:]


def targets_of(name, values, rng):
    """The targets as values, and as labels where the loss takes them."""
    labels = rng.integers(0, values.shape[1], len(values))
    return [values, labels] if registry.loss(name).takes_labels else [values]


def wide(array):
    return array if array is None or array.dtype == np.int64 else array.astype(np.float64)


def check(name, scores, targets, weights, scale=1 / 64):
    """Error at most twice the reference's in the same dtype, plus a few ulp."""
    reference = registry.loss(name).loss_and_gradient
    exact, exact_gradient = reference(wide(scores), wide(targets), wide(weights), scale)
    near, near_gradient = reference(scores, targets, weights, scale)
    few = SMALL_BATCH * np.finfo(scores.dtype).eps
    # The terms of a row's loss may be larger than the loss: up to the largest score.
    terms = np.abs(exact) + np.sum(np.ones(len(scores)) if weights is None else weights)
    loss_limit = 2 * abs(near - exact) + few * terms
    # A gradient's terms, as p and t, may be larger than it: up to the row's factor.
    factor = scale * (1 if weights is None else weights.max(initial=0))
    terms = max(factor, np.abs(exact_gradient).max(initial=0))
    limit = 2 * np.abs(near_gradient - exact_gradient).max(initial=0) + few * terms
    loss, gradient, _ = run(name, scores, targets, weights, scale)
    assert abs(loss - exact) <= loss_limit
    assert np.abs(gradient - exact_gradient).max(initial=0) <= limit


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", LOSSES)
def test_value_and_gradient_against_the_reference(name, dtype, rng):
    for rows, outputs in SHAPES:
        scores, values = (array.astype(dtype) for array in sample(name, rows, outputs, rng))
        for targets in targets_of(name, values, rng):
            for weights in (None, rng.uniform(0, 2, rows).astype(dtype)):
                check(name, scores, targets, weights)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", LOSSES)
def test_extreme_scores(name, dtype, rng):
    for rows, outputs in [(7, 2), (65, 10)]:
        _, values = (array.astype(dtype) for array in sample(name, rows, outputs, rng))
        far = rng.choice([-1e4, 1e4, 0, -0.0, 88.8, -710], (rows, outputs)).astype(dtype)
        if name in ON_PROBABILITIES:
            far = rng.choice([-0.5, 0, 1e-8, 1e-7, 0.5, 1, 1.5], (rows, outputs)).astype(dtype)
        for targets in targets_of(name, values, rng):
            check(name, far, targets, rng.uniform(0, 2, rows).astype(dtype))
            assert np.isfinite(run(name, far, targets)[0])


@pytest.mark.parametrize("dtype", DTYPES)
def test_fused_losses_at_extreme_logits_are_exact(dtype):
    z = np.array([[1e4, -1e4], [-1e4, 1e4], [1e4, 1e4]], dtype)
    loss, gradient, _ = run("softmax_cross_entropy", z[:1], np.array([1]))
    assert loss == 2e4
    np.testing.assert_array_equal(gradient, [[1, -1]])
    loss, gradient, _ = run("softmax_cross_entropy", z[1:], np.array([1, 0]))
    np.testing.assert_allclose(loss, np.log(2), rtol=1e-6)
    np.testing.assert_array_equal(gradient, [[0, 0], [-0.5, 0.5]])
    loss, gradient, _ = run("sigmoid_cross_entropy", z[:1], np.array([[0, 1]], dtype))
    assert loss == 1e4
    np.testing.assert_array_equal(gradient, [[0.5, -0.5]])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", FUSED)
def test_loss_of_one_row_is_as_accurate_as_the_reference(name, dtype):
    """Not only against the sum over rows: a small loss at large logits, too, where a difference was reordered."""
    reference, errors, limits = registry.loss(name).loss_and_gradient, [], []
    for shift in (0, 100, 1000, 10_000):
        for margin in (0, 1, 3, 8):
            if name == "softmax_cross_entropy":
                scores, targets = np.array([[shift, shift - margin]], dtype), np.array([0])
            else:
                scores, targets = np.array([[margin, margin / 4]], dtype), np.ones((1, 2), dtype)
            exact = reference(scores.astype(np.float64), wide(targets), None, 1.0)[0]
            near, actual = reference(scores, targets, None, 1.0)[0], run(name, scores, targets)[0]
            errors.append(abs(actual - exact))
            limits.append(2 * abs(near - exact) + 4 * np.finfo(dtype).eps)
    assert max(errors) <= max(limits)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", LOSSES)
def test_nan_is_not_hidden_in_the_loss(name, dtype, rng):
    for place in (0, 3, 9):
        scores, values = (array.astype(dtype) for array in sample(name, 7, 10, rng))
        scores[3, place] = np.nan
        for targets in targets_of(name, values, rng):
            assert np.isnan(run(name, scores, targets)[0])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("kind", ["nan", "inf"])
def test_nan_and_inf_give_what_they_give_in_the_gradient_of_the_reference(name, dtype, kind, rng):
    for bad in [np.nan] if kind == "nan" else [np.inf, -np.inf]:
        scores, values = (array.astype(dtype) for array in sample(name, 7, 10, rng))
        scores[3, 4] = bad
        for targets in targets_of(name, values, rng):
            with np.errstate(all="ignore"):
                _, wanted = registry.loss(name).loss_and_gradient(scores, targets, None, 1.0)
            gradient = run(name, scores, targets)[1]
            np.testing.assert_array_equal(np.isnan(gradient), np.isnan(wanted))
            np.testing.assert_array_equal(np.isinf(gradient), np.isinf(wanted))


@pytest.mark.parametrize("name", LOSSES)
@settings(max_examples=25)
@given(weights=st.lists(st.floats(0, 1e3), min_size=1, max_size=9), seed=st.integers(0, 2**32 - 1))
def test_weights_against_the_reference(name, weights, seed):
    scores, targets = sample(name, len(weights), 3, np.random.default_rng(seed))
    expected = registry.loss(name).loss_and_gradient(scores, targets, np.array(weights), 0.5)
    loss, gradient, _ = run(name, scores, targets, np.array(weights), 0.5)
    np.testing.assert_allclose(loss, expected[0], rtol=1e-12, atol=1e-300)
    np.testing.assert_allclose(gradient, expected[1], rtol=1e-11, atol=1e-12 * max(weights) + 1e-300)
    np.testing.assert_array_equal(gradient[np.array(weights) == 0], 0)


@pytest.mark.parametrize("name", LOSSES)
def test_sum_over_rows_does_not_lose_small_rows_in_float32(name):
    rows = 2**16
    scores, targets = np.full((rows, 1), 0.3, np.float32), np.ones((rows, 1), np.float32)
    one = run(name, scores[:1], targets[:1])[0]
    np.testing.assert_allclose(run(name, scores, targets)[0], rows * one, rtol=1e-12, atol=0)


@pytest.mark.parametrize("name", LOSSES)
def test_each_run_gives_the_same_bits_and_inputs_are_not_modified(name, rng):
    scores, values = (array.astype(np.float32) for array in sample(name, 65, 10, rng))
    weights = rng.uniform(0, 2, 65).astype(np.float32)
    for targets in targets_of(name, values, rng):
        given = [scores, targets, weights]
        before = [array.tobytes() for array in given]
        first, second = (run(name, *given) for _ in range(2))
        assert first[0] == second[0]
        assert first[1].tobytes() == second[1].tobytes()
        assert [array.tobytes() for array in given] == before


@pytest.mark.parametrize("name", LOSSES)
def test_labels_equal_their_one_hot_rows(name, rng):
    if not registry.loss(name).takes_labels:
        return
    scores, _ = sample(name, 65, 10, rng)
    labels = rng.integers(0, 10, 65)
    loss, gradient, _ = run(name, scores, labels)
    expected_loss, expected_gradient, _ = run(name, scores, np.eye(10)[labels])
    np.testing.assert_allclose(loss, expected_loss, rtol=1e-14)
    np.testing.assert_allclose(gradient, expected_gradient, rtol=1e-14)


def test_labels_of_a_narrow_dtype_strided_and_fortran_scores(rng):
    name = "softmax_cross_entropy"
    scores, labels = rng.normal(size=(14, 600)), rng.integers(0, 256, 14).astype(np.uint8)
    expected = registry.loss(name).loss_and_gradient(scores[::2, ::2], labels[::2], None, 0.5)
    backend, loss_on_labels = NumbaBackend(), Loss(name, "labels", "mean")
    for view in (scores[::2, ::2], np.asfortranarray(scores[::2, ::2])):
        loss, gradient = backend.loss(loss_on_labels, view, labels[::2], None, 0.5)
        np.testing.assert_allclose(loss, expected[0], rtol=1e-12)
        np.testing.assert_allclose(gradient, expected[1], rtol=1e-11, atol=1e-15)


# Metrics in the same pass

METRICS = [(CATEGORICAL, 0.0), (BINARY, 0.5), (BINARY, 1.0)]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ["mean_squared_error", *FUSED])
def test_metrics_of_the_same_pass_equal_the_kernel(name, dtype, rng):
    for rows, outputs in [(0, 2), (1, 1), (7, 3), (65, 10), (65, 1)]:
        scores = rng.integers(0, 3, (rows, outputs)).astype(dtype)  # many ties
        values = np.eye(outputs, dtype=dtype)[rng.integers(0, outputs, rows)]
        for targets in targets_of(name, values, rng):
            one_hot = np.eye(outputs)[targets] if targets.ndim == 1 else targets
            for weights in (None, rng.uniform(0, 2, rows).astype(dtype), rng.integers(0, 2, rows).astype(dtype)):
                expected = [
                    accuracy.categorical(scores, targets, weights),
                    accuracy.binary(scores, one_hot, weights, 0.5),
                    accuracy.binary(scores, one_hot, weights, 1.0),
                ]
                loss, gradient, counted = run(name, scores, targets, weights, 0.5, METRICS)
                np.testing.assert_allclose(counted, expected, rtol=1e-12, atol=1e-12)
                without = run(name, scores, targets, weights, 0.5)
                assert loss == without[0]
                np.testing.assert_array_equal(gradient, without[1])


def test_totals_are_added_to(rng):
    scores, targets = rng.normal(size=(7, 3)), rng.normal(size=(7, 3))
    once = run("mean_squared_error", scores, targets, metrics=METRICS, totals=np.zeros(4))
    totals = np.array([1.0, 2.0, 3.0, 4.0])
    run("mean_squared_error", scores, targets, metrics=METRICS, totals=totals)
    np.testing.assert_allclose(totals, [1 + once[0], *([2, 3, 4] + once[2])], rtol=1e-14)
