"""Compiled accuracy against the reference: ties, weights, labels and rows."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dnnkit.backends.numba_backend import NumbaBackend
from dnnkit.backends.program import Metric
from tests.kernels.metrics import test_reference as reference


class cpu:  # noqa: N801 - stands where the compiled functions stood
    """Compiled accuracies, as the Numba backend calls them."""

    @staticmethod
    def categorical(scores, targets, weights):
        return NumbaBackend().metric(Metric("", "categorical_accuracy"), scores, targets, weights)

    @staticmethod
    def binary(scores, targets, weights, threshold):
        return NumbaBackend().metric(Metric("", "binary_accuracy", threshold), scores, targets, weights)


DTYPES = ["float32", "float64"]


@pytest.mark.parametrize("dtype", DTYPES)
@settings(max_examples=50)
@given(rows=st.integers(0, 65), classes=st.integers(1, 11), weighted=st.booleans(), seed=st.integers(0, 2**32 - 1))
def test_categorical_against_the_reference(dtype, rows, classes, weighted, seed):
    rng = np.random.default_rng(seed)
    scores = rng.integers(0, 4, (rows, classes)).astype(dtype)  # many ties
    labels = rng.integers(0, classes, rows)
    weights = rng.uniform(0, 2, rows).astype(dtype) if weighted else None
    for targets in (labels, np.eye(classes, dtype=dtype)[labels], rng.integers(1, 4, (rows, classes)).astype(dtype)):
        expected = reference.categorical(scores, targets, weights)
        np.testing.assert_allclose(cpu.categorical(scores, targets, weights), expected, rtol=1e-12)


@pytest.mark.parametrize("dtype", DTYPES)
@settings(max_examples=50)
@given(
    rows=st.integers(0, 65),
    outputs=st.integers(1, 11),
    weighted=st.booleans(),
    threshold=st.sampled_from([0.0, 0.5, 1.0, 1.5]),
    seed=st.integers(0, 2**32 - 1),
)
def test_binary_against_the_reference(dtype, rows, outputs, weighted, threshold, seed):
    rng = np.random.default_rng(seed)
    scores = (rng.integers(0, 5, (rows, outputs)) / 2).astype(dtype)  # many at the threshold itself
    targets = (rng.integers(0, 5, (rows, outputs)) / 4).astype(dtype)
    weights = rng.uniform(0, 2, rows).astype(dtype) if weighted else None
    expected = reference.binary(scores, targets, weights, threshold)
    np.testing.assert_allclose(cpu.binary(scores, targets, weights, threshold), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("row", [[-1.0, -2.0, -3.0], [-3.0, -1.0, -2.0], [0.0, 0.0, 0.0], [-1.0, 0.0, -1.0]])
@pytest.mark.parametrize("best", [0, 1, 2])
def test_the_class_of_target_rows_that_are_not_positive(row, best):
    scores, targets = np.eye(3)[best : best + 1], np.array([row])
    assert cpu.categorical(scores, targets, None) == reference.categorical(scores, targets, None)


@pytest.mark.parametrize("label", [-1, 3, 2**40])
def test_a_label_out_of_range_is_never_right(label):
    for best in range(3):
        assert cpu.categorical(np.eye(3)[best : best + 1], np.array([label]), None) == 0


@pytest.mark.parametrize("dtype", [np.uint8, np.int32])
def test_dtype_of_labels(dtype):
    scores = np.zeros((2, 300))
    scores[0, 200] = scores[1, 201] = 1
    assert cpu.categorical(scores, np.array([200, 200]).astype(dtype), None) == 1


def test_strided_scores(rng):
    scores, targets = rng.normal(size=(14, 6)), rng.normal(size=(14, 6))
    expected = reference.categorical(scores[::2, ::2], targets[::2, ::2], None)
    share = reference.binary(scores[::2, ::2], targets[::2, ::2], None, 0.0)
    views = scores[::2, ::2], targets[::2, ::2]
    assert cpu.categorical(*views, None) == expected
    np.testing.assert_allclose(cpu.binary(*views, None, 0.0), share, rtol=1e-12)
