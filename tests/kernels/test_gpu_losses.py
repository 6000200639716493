"""CUDA losses and accuracies against the reference in float64."""

import numpy as np
import pytest

from dnnkit.backends.numpy_backend import NumpyBackend
from dnnkit.backends.program import Metric
from dnnkit.kernels import registry
from dnnkit.kernels._cuda import losses, metrics
from dnnkit.kernels._cuda.launch import PARTIALS
from dnnkit.kernels.dense import gpu as dense
from tests.cuda_on_cpu import compiling
from tests.kernels.test_cpu_losses import DTYPES, FUSED, SMALL_BATCH, targets_of, wide
from tests.kernels.test_losses import LOSSES, ON_PROBABILITIES, sample

SHAPES = [(0, 2), (1, 1), (1, 2), (7, 10), (65, 2), (33, 33), (7, 300), (1100, 10), (5000, 1)]
"""(B, K): groups of every size, several rows a group, several blocks, and columns beyond a warp."""


def run(gpu, name, scores, targets, weights=None, scale=1.0, shift=0, scratch=None):
    """(loss sum, gradient)"""
    gradient, loss = gpu.full(scores.shape, scores.dtype, shift), gpu.full((), np.float64)
    arrays = [None if array is None else gpu.put(array, shift) for array in (scores, targets, weights)]
    losses.loss_and_gradient(registry.loss(name), *arrays, scale, gradient, loss, scratch)
    return float(gpu.get(loss)), gpu.get(gradient)


def check(gpu, name, scores, targets, weights, scale=1 / 64):
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
    loss, gradient = run(gpu, name, scores, targets, weights, scale)
    assert abs(loss - exact) <= loss_limit
    assert np.abs(gradient - exact_gradient).max(initial=0) <= limit


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", LOSSES)
def test_value_and_gradient_against_the_reference(gpu, name, dtype, rng):
    for rows, outputs in SHAPES:
        scores, values = (array.astype(dtype) for array in sample(name, rows, outputs, rng))
        for targets in targets_of(name, values, rng):
            for weights in (None, rng.uniform(0, 2, rows).astype(dtype)):
                check(gpu, name, scores, targets, weights)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", LOSSES)
def test_extreme_scores(gpu, name, dtype, rng):
    for rows, outputs in [(7, 2), (65, 10)]:
        _, values = (array.astype(dtype) for array in sample(name, rows, outputs, rng))
        far = rng.choice([-1e4, 1e4, 0, -0.0, 88.8, -710], (rows, outputs)).astype(dtype)
        if name in ON_PROBABILITIES:
            far = rng.choice([-0.5, 0, 1e-8, 1e-7, 0.5, 1, 1.5], (rows, outputs)).astype(dtype)
        for targets in targets_of(name, values, rng):
            check(gpu, name, far, targets, rng.uniform(0, 2, rows).astype(dtype))
            assert np.isfinite(run(gpu, name, far, targets)[0])


@pytest.mark.parametrize("dtype", DTYPES)
def test_fused_losses_at_extreme_logits_are_exact(gpu, dtype):
    z = np.array([[1e4, -1e4], [-1e4, 1e4], [1e4, 1e4]], dtype)
    loss, gradient = run(gpu, "softmax_cross_entropy", z[:1], np.array([1]))
    assert loss == 2e4
    np.testing.assert_array_equal(gradient, [[1, -1]])
    loss, gradient = run(gpu, "softmax_cross_entropy", z[1:], np.array([1, 0]))
    np.testing.assert_allclose(loss, np.log(2), rtol=1e-6)
    np.testing.assert_array_equal(gradient, [[0, 0], [-0.5, 0.5]])
    loss, gradient = run(gpu, "sigmoid_cross_entropy", z[:1], np.array([[0, 1]], dtype))
    assert loss == 1e4
    np.testing.assert_array_equal(gradient, [[0.5, -0.5]])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", FUSED)
def test_loss_of_one_row_is_as_accurate_as_the_reference(gpu, name, dtype):
    """Not only against the sum over rows: a small loss at large logits, too, where a difference was reordered."""
    reference, errors, limits = registry.loss(name).loss_and_gradient, [], []
    for shift in (0, 100, 10_000):
        for margin in (0, 1, 3, 8):
            if name == "softmax_cross_entropy":
                scores, targets = np.array([[shift, shift - margin]], dtype), np.array([0])
            else:
                scores, targets = np.array([[margin, margin / 4]], dtype), np.ones((1, 2), dtype)
            exact = reference(scores.astype(np.float64), wide(targets), None, 1.0)[0]
            near, actual = reference(scores, targets, None, 1.0)[0], run(gpu, name, scores, targets)[0]
            errors.append(abs(actual - exact))
            limits.append(2 * abs(near - exact) + 4 * np.finfo(dtype).eps)
    assert max(errors) <= max(limits)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_nan_and_inf_give_what_they_give_in_the_reference(gpu, name, dtype, bad, rng):
    for place in (0, 9):
        scores, values = (array.astype(dtype) for array in sample(name, 7, 10, rng))
        scores[3, place] = bad
        for targets in targets_of(name, values, rng):
            with np.errstate(all="ignore"):
                wanted_loss, wanted = registry.loss(name).loss_and_gradient(scores, targets, None, 1.0)
            loss, gradient = run(gpu, name, scores, targets)
            if np.isnan(bad):
                assert np.isnan(loss)
            assert np.isfinite(loss) == np.isfinite(wanted_loss)
            np.testing.assert_array_equal(np.isnan(gradient), np.isnan(wanted))
            np.testing.assert_array_equal(np.isinf(gradient), np.isinf(wanted))


@pytest.mark.parametrize("name", LOSSES)
def test_rows_without_weight_do_not_count_and_labels_equal_one_hot_rows(gpu, name, rng):
    scores, values = sample(name, 65, 10, rng)
    weights = rng.integers(0, 2, 65).astype(np.float64)
    for targets in targets_of(name, values, rng):
        loss, gradient = run(gpu, name, scores, targets, weights)
        np.testing.assert_array_equal(gradient[weights == 0], 0)
        kept = weights == 1
        np.testing.assert_allclose(loss, run(gpu, name, scores[kept], targets[kept])[0], rtol=1e-13)
        if targets.ndim == 1:
            again = run(gpu, name, scores, np.eye(10)[targets], weights)
            np.testing.assert_allclose(again[0], loss, rtol=1e-14)
            np.testing.assert_allclose(again[1], gradient, rtol=1e-14)


@pytest.mark.parametrize("name", LOSSES)
def test_sum_over_rows_does_not_lose_small_rows_in_float32(gpu, name):
    rows = 2**14
    scores, targets = np.full((rows, 1), 0.3, np.float32), np.ones((rows, 1), np.float32)
    one = run(gpu, name, scores[:1], targets[:1])[0]
    np.testing.assert_allclose(run(gpu, name, scores, targets)[0], rows * one, rtol=1e-12, atol=0)


@pytest.mark.parametrize("name", LOSSES)
def test_each_run_gives_the_same_bits_wherever_arrays_lie_and_inputs_are_not_modified(gpu, name, rng):
    scores, values = (array.astype(np.float32) for array in sample(name, 1100, 10, rng))
    weights = rng.uniform(0, 2, 1100).astype(np.float32)
    for targets in targets_of(name, values, rng):
        given = [scores, targets, weights]
        before = [array.tobytes() for array in given]
        scratch = gpu.full(PARTIALS, np.float64)
        results = [run(gpu, name, *given, shift=shift, scratch=scratch) for shift in (0, 0, 1)]
        assert len({(loss, gradient.tobytes()) for loss, gradient in results}) == 1
        assert [array.tobytes() for array in given] == before


def test_labels_targets_and_weights_of_other_dtypes_are_converted(gpu, rng):
    scores, labels = rng.normal(size=(14, 300)).astype(np.float32), rng.integers(0, 256, 14)
    weights, values = rng.uniform(0, 2, 14), rng.uniform(0, 1, (14, 300))
    for given, wide_targets in [(labels.astype(np.uint8), labels), (values, values.astype(np.float32))]:
        actual = run(gpu, "softmax_cross_entropy", scores, given, weights)
        expected = run(gpu, "softmax_cross_entropy", scores, wide_targets, weights.astype(np.float32))
        assert actual[0] == expected[0]
        np.testing.assert_array_equal(actual[1], expected[1])
        right = measured(gpu, "categorical", scores, given, weights)
        assert right == measured(gpu, "categorical", scores, wide_targets, weights.astype(np.float32))


def test_no_bit_depends_on_the_order_in_which_threads_run(gpu, rng):
    scores, targets = rng.normal(size=(1100, 10)).astype(np.float32), rng.integers(0, 10, 1100)
    dy, db = rng.normal(size=(9000, 2)).astype(np.float32), gpu.full(2, np.float32)
    x, w, dw = (gpu.put(np.ones(shape, np.float32)) for shape in [(9000, 1), (1, 2), (1, 2)])
    results = set()
    for order in compiling.ORDERS:  # a real GPU has its own, another in each run
        with compiling.order(order):
            loss, gradient = run(gpu, "softmax_cross_entropy", scores, targets)
            arrays = gpu.put(dy), x, w, gpu.put(dy)
            dense.backward(*arrays, registry.activation("tanh"), False, arrays[0], None, dw, db)
        results.add((loss, gradient.tobytes(), gpu.get(db).tobytes()))
    assert len(results) == 1


def test_strided_scores_targets_and_weights(gpu, rng):
    name = "softmax_cross_entropy"
    scores, labels, weights = rng.normal(size=(14, 600)), rng.integers(0, 300, 14), rng.uniform(0, 2, 14)
    expected = registry.loss(name).loss_and_gradient(scores[::2, ::2], labels[::2], weights[::2], 0.5)
    gradient, loss = gpu.full((7, 300), np.float64), gpu.full(1, np.float64)
    views = gpu.put(scores)[::2, ::2], gpu.put(labels)[::2], gpu.put(weights)[::2]
    losses.loss_and_gradient(registry.loss(name), *views, 0.5, gradient, loss)
    np.testing.assert_allclose(gpu.get(loss)[0], expected[0], rtol=1e-12)
    np.testing.assert_allclose(gpu.get(gradient), expected[1], rtol=1e-11, atol=1e-15)


# Accuracy


def measured(gpu, kind, scores, targets, weights, *numbers):
    out = gpu.full(1, np.float64)
    arrays = [None if array is None else gpu.put(array) for array in (scores, targets, weights)]
    metrics.total(f"{kind}_accuracy", *arrays, *(numbers or (0.5,)), out)
    return float(gpu.get(out)[0])


def expected_total(kind, scores, targets, weights, threshold=0.5):
    return NumpyBackend().metric(Metric("", f"{kind}_accuracy", threshold), scores, targets, weights)


@pytest.mark.parametrize("dtype", DTYPES)
def test_accuracy_against_the_reference(gpu, dtype, rng):
    for rows, outputs in SHAPES:
        scores = rng.integers(0, 4, (rows, outputs)).astype(dtype)  # many ties
        labels = rng.integers(0, outputs, rows)
        one_hot = np.eye(outputs, dtype=dtype)[labels]
        for weights in (None, rng.uniform(0, 2, rows).astype(dtype)):
            for targets in (labels, one_hot, rng.integers(1, 4, (rows, outputs)).astype(dtype)):
                expected = expected_total("categorical", scores, targets, weights)
                actual = measured(gpu, "categorical", scores, targets, weights)
                np.testing.assert_allclose(actual, expected, rtol=1e-12)
            for threshold in (0.0, 0.5, 1.0):
                expected = expected_total("binary", scores, one_hot, weights, threshold)
                for targets in (one_hot, labels):
                    actual = measured(gpu, "binary", scores, targets, weights, threshold)
                    np.testing.assert_allclose(actual, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("outputs", [1, 3, 40])
def test_accuracy_with_nan_and_inf_is_that_of_the_reference(gpu, outputs, rng):
    scores = rng.choice([0.0, 1.0, np.nan, np.inf, -np.inf], (500, outputs))
    targets = rng.integers(0, outputs, 500)
    expected = expected_total("categorical", scores, targets, None)
    assert measured(gpu, "categorical", scores, targets, None) == expected
    expected = expected_total("categorical", scores, scores[::-1].copy(), None)
    assert measured(gpu, "categorical", scores, scores[::-1].copy(), None) == expected


@pytest.mark.parametrize("label", [-1, 3, 2**40])
def test_a_label_out_of_range_is_never_right_and_reads_nothing(gpu, label):
    for best in range(3):
        assert measured(gpu, "categorical", np.eye(3)[best : best + 1], np.array([label]), None) == 0
    loss, _ = run(gpu, "softmax_cross_entropy", np.eye(3), np.array([label, 0, 1]))
    assert np.isfinite(loss)
