"""CUDA losses and metrics: what a GPU promises beyond the conformance suite."""

import numpy as np
import pytest

from dnnkit.kernels import registry
from dnnkit.kernels._cuda import losses, metrics
from dnnkit.kernels._cuda.launch import PARTIALS
from dnnkit.kernels.dense import gpu as dense
from dnnkit.testing.cases import Case, loss_arrays, target_kinds
from tests.cuda_on_cpu import compiling


def run(gpu, name, scores, targets, weights=None, scale=1.0, shift=0, scratch=None):
    """Return (loss sum, gradient)."""
    gradient, loss = gpu.full(scores.shape, scores.dtype, shift), gpu.full((), np.float64)
    arrays = [None if array is None else gpu.put(array, shift) for array in (scores, targets, weights)]
    losses.loss_and_gradient(registry.loss(name), *arrays, scale, gradient, loss, scratch)
    return float(gpu.get(loss)), gpu.get(gradient)


@pytest.mark.parametrize("name", registry.names("loss"))
def test_the_bits_are_the_same_wherever_arrays_lie(gpu, name):
    for kind in target_kinds(name):
        given = loss_arrays(Case(name, "float32", (1100, 10), targets=kind, weighted=True))
        scratch = gpu.full(PARTIALS, np.float64)
        results = [run(gpu, name, *given, shift=shift, scratch=scratch) for shift in (0, 0, 1)]
        assert len({(loss, gradient.tobytes()) for loss, gradient in results}) == 1


def test_labels_targets_and_weights_of_other_dtypes_are_converted(gpu, rng):
    scores, labels = rng.normal(size=(14, 300)).astype(np.float32), rng.integers(0, 256, 14)
    weights, values = rng.uniform(0, 2, 14), rng.uniform(0, 1, (14, 300))
    for given, wide_targets in [(labels.astype(np.uint8), labels), (values, values.astype(np.float32))]:
        actual = run(gpu, "softmax_cross_entropy", scores, given, weights)
        expected = run(gpu, "softmax_cross_entropy", scores, wide_targets, weights.astype(np.float32))
        assert actual[0] == expected[0]
        np.testing.assert_array_equal(actual[1], expected[1])
        right = measured(gpu, "categorical_accuracy", scores, given, weights)
        assert right == measured(gpu, "categorical_accuracy", scores, wide_targets, weights.astype(np.float32))


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


def measured(gpu, name, scores, targets, weights, *numbers):
    out = gpu.full(1, np.float64)
    arrays = [None if array is None else gpu.put(array) for array in (scores, targets, weights)]
    metrics.total(name, *arrays, *(numbers or (0.5,)), out)
    return float(gpu.get(out)[0])


@pytest.mark.parametrize("label", [-1, 3, 2**40])
def test_a_label_out_of_range_is_never_right_and_reads_nothing(gpu, label):
    for best in range(3):
        assert measured(gpu, "categorical_accuracy", np.eye(3)[best : best + 1], np.array([label]), None) == 0
    loss, _ = run(gpu, "softmax_cross_entropy", np.eye(3), np.array([label, 0, 1]))
    assert np.isfinite(loss)


@pytest.mark.parametrize("rows", [14, 300])
@pytest.mark.parametrize(("name", "metric"), losses.with_metric())
def test_sums_of_loss_and_metric_of_a_step_are_those_apart(gpu, rng, name, metric, rows):
    """With one block and several, added to earlier sums; the clock advances, and counts no NaN as a number."""
    scores, weights = rng.uniform(0.05, 0.95, (rows, 10)).astype(np.float32), rng.uniform(0, 2, rows)
    labels = registry.loss(name).takes_labels
    targets = rng.integers(0, 10, rows) if labels else rng.uniform(0, 1, (rows, 10)).astype(np.float32)
    loss, gradient = run(gpu, name, scores, targets, weights, 0.25)
    share = measured(gpu, metric, scores, targets, weights)
    arrays = [gpu.put(array) for array in (scores, targets, weights.astype(np.float32))]
    numbers, found = gpu.put(np.array([0.25, 7], np.float32)), set()
    for order in compiling.ORDERS:
        with compiling.order(order):
            clock, totals = gpu.put(np.array([3, 0, 0, 2])), gpu.put(np.array([100.0, 7.0]))
            out = gpu.full(scores.shape, np.float32)
            for _ in range(2):
                losses.end_step(registry.loss(name), (metric, 0.5), *arrays, out, numbers, clock, totals)
        np.testing.assert_array_equal(gpu.get(out), gradient)
        assert gpu.get(clock).tolist() == [5, 0, 0, 4]
        found.add(gpu.get(totals).tobytes())
    assert gpu.get(totals).tolist() == [100 + loss + loss, 7 + share + share]
    assert len(found) == 1
    arrays[0] = gpu.put(np.full_like(scores, np.nan))
    losses.end_step(registry.loss(name), (metric, 0.5), *arrays, out, numbers, clock, totals)
    assert gpu.get(clock).tolist() == [6, 0, 0, 4]


def test_a_metric_is_added_to_earlier_sums(gpu, rng):
    for rows in (14, 3000):
        scores, targets = rng.normal(size=(rows, 10)), rng.integers(0, 10, rows)
        out = gpu.put(np.array([5.0]))
        for _ in range(2):
            metrics.total("categorical_accuracy", gpu.put(scores), gpu.put(targets), None, 0.5, out, adds=True)
        assert gpu.get(out).tolist() == [5 + 2 * measured(gpu, "categorical_accuracy", scores, targets, None)]
