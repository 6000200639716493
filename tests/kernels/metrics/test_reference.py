"""Accuracy: ties, weights, labels and rows, thresholds."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dnnkit.backends.measures import Metric
from dnnkit.backends.operations import Operations


class On(Operations):
    """The operations of base.py on any library."""

    def __init__(self, xp):
        self._xp = xp

    @property
    def xp(self):
        return self._xp


def categorical(scores, targets, weights, xp=np):
    return On(xp).metric(Metric("", "categorical_accuracy"), scores, targets, weights)


def binary(scores, targets, weights, threshold, xp=np):
    return On(xp).metric(Metric("", "binary_accuracy", threshold), scores, targets, weights)


def test_counts_the_rows_whose_largest_score_is_their_class():
    scores = np.array([[0.1, 0.9], [0.8, 0.2], [0.3, 0.7]])
    assert categorical(scores, np.array([1, 0, 0]), None) == 2


@pytest.mark.parametrize(("label", "right"), [(0, 1), (1, 0), (2, 0)])
def test_the_first_maximum_wins_a_tie(label, right):
    assert categorical(np.array([[0.4, 0.4, 0.2]]), np.array([label]), None) == right
    assert categorical(np.zeros((1, 3)), np.array([label]), None) == right


@settings(deadline=None)
@given(rows=st.integers(0, 65), classes=st.integers(1, 11), weighted=st.booleans(), seed=st.integers(0, 2**32 - 1))
def test_categorical_against_a_loop(rows, classes, weighted, seed):
    rng = np.random.default_rng(seed)
    scores = rng.integers(0, 4, (rows, classes)).astype(np.float32)  # many ties
    labels = rng.integers(0, classes, rows)
    weights = rng.uniform(0, 2, rows) if weighted else None
    right = [row.tolist().index(max(row)) == label for row, label in zip(scores, labels, strict=True)]
    expected = sum(r * w for r, w in zip(right, weights if weighted else [1] * rows, strict=True))
    np.testing.assert_allclose(categorical(scores, labels, weights), expected, rtol=1e-12)
    one_hot = np.eye(classes, dtype=np.float32)[labels]
    np.testing.assert_allclose(categorical(scores, one_hot, weights), expected, rtol=1e-12)


@pytest.mark.parametrize("dtype", [np.uint8, np.int32, np.int64])
def test_dtype_of_labels(dtype):
    scores = np.zeros((2, 300))
    scores[0, 200] = scores[1, 201] = 1
    assert categorical(scores, np.array([200, 200]).astype(dtype), None) == 1


def test_weights_count_rows_and_zero_removes_them():
    scores, labels = np.array([[1, 0], [1, 0], [0, 1]]), np.array([0, 1, 1])
    assert categorical(scores, labels, np.array([3.0, 5.0, 0.0])) == 3
    assert binary(np.ones((3, 1)), np.array([[1], [0], [1]]), np.array([3.0, 5.0, 0.0]), 0.5) == 3


@pytest.mark.parametrize(("score", "said"), [(0.3, 0), (0.5, 0), (np.nextafter(0.5, 1), 1), (0.7, 1)])
@pytest.mark.parametrize("target", [0, 1])
def test_the_threshold_itself_is_no(score, said, target):
    assert binary(np.array([[score]]), np.array([[target]]), None, 0.5) == (said == target)


@pytest.mark.parametrize(("threshold", "expected"), [(0.0, 0.5), (0.25, 1), (0.75, 0.5)])
def test_threshold_is_obeyed(threshold, expected):
    assert binary(np.array([[0.2, 0.5]]), np.array([[0.0, 1.0]]), None, threshold) == expected


def test_a_row_of_several_outputs_counts_by_its_share():
    scores = np.array([[0.9, 0.1, 0.9, 0.9], [0.1, 0.1, 0.1, 0.1]])
    targets = np.array([[1, 0, 1, 0], [1, 1, 1, 0]])
    assert binary(scores, targets, None, 0.5) == 1
    assert binary(scores, targets, np.array([2.0, 4.0]), 0.5) == 2.5


def test_a_logit_at_threshold_zero_equals_its_probability_at_one_half(rng):
    logits, targets = rng.normal(size=(65, 3)), rng.integers(0, 2, (65, 3))
    on_probabilities = binary(1 / (1 + np.exp(-logits)), targets, None, 0.5)
    assert binary(logits, targets, None, 0.0) == on_probabilities


def test_no_rows_count_nothing():
    assert categorical(np.empty((0, 3)), np.empty(0, np.int64), None) == 0
    assert binary(np.empty((0, 1)), np.empty((0, 1)), None, 0.5) == 0


def test_the_sum_is_float64_whatever_the_scores(rng):
    weights = np.full(10, 0.1, np.float32)
    total = categorical(np.ones((10, 1), np.float32), np.zeros(10, np.int64), weights)
    assert total.dtype == np.float64
    np.testing.assert_allclose(total, 10 * np.float64(np.float32(0.1)), rtol=1e-15)
