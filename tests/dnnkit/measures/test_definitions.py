"""Metrics by their definitions: those of scikit-learn, on random outputs, targets and weights."""

from typing import Any

import numpy as np
import pytest
import sklearn.metrics as sk
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from dnnkit import metrics
from dnnkit.backends.measures import Loss
from dnnkit.backends.numpy_backend import NumpyBackend
from dnnkit.kernels.metrics.score_histogram import BINS, PER_UNIT

YES_NO = Loss("binary_crossentropy", "values", "mean")
LOGITS = Loss("sigmoid_cross_entropy", "values", "mean")
CLASSES = Loss("categorical_crossentropy", "labels", "mean")
NUMBERS = Loss("mean_squared_error", "values", "mean")
SHARES = {"precision": sk.precision_score, "recall": sk.recall_score, "f1_score": sk.f1_score}
MADE = {"precision": metrics.Precision, "recall": metrics.Recall, "f1_score": metrics.F1Score}
AVERAGES = ["micro", "macro", "weighted"]

seeds, rows = st.integers(0, 2**32 - 1), st.integers(1, 40)


def value(metric: Any, loss: Loss, scores: Any, targets: Any, weights: Any = None, gives: str = "binary") -> float:
    """Compute the metric from sums as a network with that loss does; its scores are its predictions."""
    described = metrics.lower(metric, loss, scores.shape[1], gives=gives)
    sums = np.atleast_1d(NumpyBackend().metric(described, scores, targets, weights)).tolist()
    assert len(sums) == described.sums
    return described.value(sums, float(len(scores) if weights is None else weights.sum()))


def drawn(seed: int, count: int, weighted: bool) -> tuple[np.random.Generator, Any]:
    rng = np.random.default_rng(seed)
    return rng, rng.uniform(0.1, 2, count) if weighted else None


@settings(max_examples=25)
@given(seed=seeds, count=rows, weighted=st.booleans(), average=st.sampled_from([None, *AVERAGES]))
def test_shares_of_one_output(seed, count, weighted, average):
    rng, w = drawn(seed, count, weighted)
    p, y = rng.uniform(size=(count, 1)), rng.integers(0, 2, (count, 1))
    y = y * rng.integers(0, 2)  # at times none is positive
    threshold = rng.choice([0.5, 0.2, 0.9])
    for name, expected in SHARES.items():
        predicted = p[:, 0] > threshold
        wanted = expected(y[:, 0], predicted, average=average or "binary", sample_weight=w, zero_division=0)
        metric = MADE[name](threshold=threshold, average=average)
        assert value(metric, YES_NO, p, y, w) == pytest.approx(wanted, abs=1e-12)
        logits = np.log(p / (1 - p))
        assert value(metric, LOGITS, logits, y, w) == pytest.approx(wanted, abs=1e-12)


@settings(max_examples=25)
@given(seed=seeds, count=rows, outputs=st.integers(2, 5), weighted=st.booleans(), average=st.sampled_from(AVERAGES))
def test_shares_of_several_answers(seed, count, outputs, weighted, average):
    rng, w = drawn(seed, count, weighted)
    p, y = rng.uniform(size=(count, outputs)), rng.integers(0, 2, (count, outputs)) * rng.integers(0, 2, outputs)
    for name, expected in SHARES.items():
        wanted = expected(y, p > 0.5, average=average, sample_weight=w, zero_division=0)
        assert value(MADE[name](average=average), YES_NO, p, y, w) == pytest.approx(wanted, abs=1e-12)
        if average == "micro":  # as in Keras
            assert value(name, YES_NO, p, y, w) == pytest.approx(wanted, abs=1e-12)


@settings(max_examples=25)
@given(seed=seeds, count=rows, classes=st.integers(2, 6), weighted=st.booleans(), average=st.sampled_from(AVERAGES))
def test_shares_of_classes(seed, count, classes, weighted, average):
    rng, w = drawn(seed, count, weighted)
    p, labels = rng.uniform(size=(count, classes)), rng.integers(0, classes, count)
    one_hot = Loss("categorical_crossentropy", "values", "mean")
    for name, expected in SHARES.items():
        options = {"sample_weight": w, "zero_division": 0}
        wanted = expected(labels, p.argmax(axis=1), average=average, **options)
        metric = MADE[name](average=average)
        assert value(metric, CLASSES, p, labels, w) == pytest.approx(wanted, abs=1e-12)
        assert value(metric, one_hot, p, np.eye(classes)[labels], w) == pytest.approx(wanted, abs=1e-12)
        if classes == 2:
            wanted = expected(labels, p.argmax(axis=1), **options)
            assert value(name, CLASSES, p, labels, w) == pytest.approx(wanted, abs=1e-12)


@settings(max_examples=25)
@given(seed=seeds, count=rows, classes=st.integers(2, 6), weighted=st.booleans())
def test_accuracies_of_classes(seed, count, classes, weighted):
    rng, w = drawn(seed, count, weighted)
    p, labels = rng.permuted(np.tile(np.arange(classes) / 7, (count, 1)), axis=1), rng.integers(0, classes, count)
    predicted, all_of_them = p.argmax(axis=1), np.arange(classes)
    wanted = sk.recall_score(labels, predicted, labels=np.unique(labels), average="macro", sample_weight=w)
    assert value("balanced_accuracy", CLASSES, p, labels, w) == pytest.approx(wanted, abs=1e-12)
    for k in range(1, classes):
        top = metrics.TopKCategoricalAccuracy(k=k)
        shares = np.average((np.argsort(-p, axis=1)[:, :k] == labels[:, None]).any(axis=1), weights=w)
        assert value(top, CLASSES, p, labels, w) == pytest.approx(shares, abs=1e-12)
        if classes > 2:
            wanted = sk.top_k_accuracy_score(labels, p, k=k, labels=all_of_them, sample_weight=w)
            assert shares == pytest.approx(wanted, abs=1e-12)
    accuracy = value("categorical_accuracy", CLASSES, p, labels, w)
    assert value(metrics.TopKCategoricalAccuracy(k=1), CLASSES, p, labels, w) == accuracy


@settings(max_examples=25)
@given(seed=seeds, count=rows, weighted=st.booleans())
def test_balanced_accuracy_of_one_output(seed, count, weighted):
    rng, w = drawn(seed, count, weighted)
    p, y = rng.uniform(size=(count, 1)), rng.integers(0, 2, (count, 1))
    occurring = np.unique(y)
    wanted = sk.recall_score(y, p > 0.5, labels=occurring, average="macro", sample_weight=w)
    assert value("balanced_accuracy", YES_NO, p, y, w) == pytest.approx(wanted, abs=1e-12)


@settings(max_examples=25)
@given(
    seed=seeds,
    count=st.integers(2, 40),
    outputs=st.integers(1, 4),
    weighted=st.booleans(),
    mean=st.sampled_from([0, 1e4]),
)
def test_errors_and_determination(seed, count, outputs, weighted, mean):
    rng, w = drawn(seed, count, weighted)
    y, t = rng.normal(mean, 1, (count, outputs)), rng.normal(mean, 1, (count, outputs))
    if not weighted and rng.integers(0, 2):  # an output that never changes
        t[:, 0] = mean + 3
    wanted = {
        "mean_absolute_error": sk.mean_absolute_error(t, y, sample_weight=w),
        "mean_squared_error": sk.mean_squared_error(t, y, sample_weight=w),
        "root_mean_squared_error": np.sqrt(sk.mean_squared_error(t, y, sample_weight=w)),
        "r2_score": sk.r2_score(t, y, sample_weight=w),
    }
    # The targets' variance is a difference of sums, whose relative error is in the kernel's contract.
    squares = np.average(t**2, axis=0, weights=w)
    variances = np.average((t - np.average(t, axis=0, weights=w)) ** 2, axis=0, weights=w)
    assume(((variances > 1e-10 * squares) | (variances < 1e-20)).all())  # nearly equal targets count as equal
    errors = np.average((y - t) ** 2, axis=0, weights=w)
    with np.errstate(divide="ignore", invalid="ignore"):
        lost = np.where(variances > 0, errors / variances * (squares / variances), 0).mean()
    for name, expected in wanted.items():
        bound = 1e-10 + (8 * np.finfo(np.float64).eps * float(lost) if name == "r2_score" else 0.0)
        assert value(name, NUMBERS, y, t, w, gives="values") == pytest.approx(expected, rel=1e-12, abs=bound), name


def exact(scores: Any, targets: Any, weights: Any, loss: Loss = YES_NO) -> float:
    described = metrics.lower("auc", loss, scores.shape[1], gives="binary")
    assert described.exact is not None
    return described.exact(targets, scores, weights)


@settings(max_examples=25)
@given(seed=seeds, count=st.integers(4, 60), outputs=st.integers(1, 4), weighted=st.booleans(), ties=st.booleans())
def test_area_under_the_curve(seed, count, outputs, weighted, ties):
    """Over all predictions it is scikit-learn's, and so is the estimate, where no bin has two different scores."""
    rng, w = drawn(seed, count, weighted)
    bins = rng.integers(0, 9 if ties else BINS, (count, outputs))
    logits = (bins - BINS // 2 + 0.5) / PER_UNIT
    p, y = 1 / (1 + np.exp(-logits)), rng.integers(0, 2, (count, outputs))
    y[0], y[1] = 0, 1
    wanted = sk.roc_auc_score(y, p, sample_weight=w)
    assert exact(p, y, w) == pytest.approx(wanted, abs=1e-12)
    for loss, scores in ((YES_NO, p), (LOGITS, logits)):
        assert value("auc", loss, scores, y, w) == pytest.approx(wanted, abs=1e-12)


@settings(max_examples=25)
@given(seed=seeds, count=st.integers(6, 60), weighted=st.booleans())
def test_area_of_classes_is_that_of_each_against_the_rest(seed, count, weighted):
    rng, w = drawn(seed, count, weighted)
    p, labels = rng.dirichlet(np.ones(3), count), np.append([0, 1, 2], rng.integers(0, 3, count - 3))
    wanted = sk.roc_auc_score(labels, p, multi_class="ovr", average="macro", sample_weight=w)
    assert exact(p, labels, w, CLASSES) == pytest.approx(wanted, abs=1e-12)
    assert value("auc", CLASSES, p, labels, w, gives="categorical") == pytest.approx(wanted, abs=0.1)


def test_the_estimate_distinguishes_small_probabilities():
    """For an event with a rate of one in a thousand, no probability is above 1 %: bins of equal width would have all
    in one."""
    rng = np.random.default_rng(0)
    z = rng.normal(-6, 1, (4000, 1))
    p = 1 / (1 + np.exp(-z))
    y = rng.uniform(size=z.shape) < p
    assert p.max() < 0.1
    assert value("auc", YES_NO, p, y) == pytest.approx(exact(p, y, None), abs=5e-3)
    assert abs(value("auc", YES_NO, p, y) - 0.5) > 0.1


@pytest.mark.parametrize("y", [np.zeros((4, 1)), np.ones((4, 1))])
def test_the_area_is_not_a_number_where_one_kind_is_missing(y):
    p = np.array([[0.1], [0.4], [0.4], [0.9]])
    assert np.isnan(exact(p, y, None))
    assert np.isnan(value("auc", YES_NO, p, y))


def test_keras_has_the_same_shares_of_several_answers():
    """The example of Keras's documentation of Precision: both outputs of all rows together."""
    assert value("precision", YES_NO, np.array([[0.0, 1, 1, 1]]), np.array([[0, 1, 1, 1]])) == 1
    assert value("precision", YES_NO, np.array([[1.0, 0, 1, 1]]), np.array([[0, 1, 1, 1]])) == pytest.approx(2 / 3)
    assert value("recall", YES_NO, np.array([[1.0, 0, 1, 1]]), np.array([[0, 1, 1, 1]])) == pytest.approx(2 / 3)
