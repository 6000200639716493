"""Confusion matrices: those of scikit-learn, from any results of `predict` and any data."""

import numpy as np
import pytest
import sklearn.metrics as sk
from hypothesis import given, settings
from hypothesis import strategies as st

import dnnkit as dk
from dnnkit.errors import ConfigurationError, DataError, ShapeError
from dnnkit.metrics import confusion_matrix


@settings(max_examples=25)
@given(
    seed=st.integers(0, 2**32 - 1),
    count=st.integers(1, 40),
    classes=st.integers(2, 6),
    weighted=st.booleans(),
    normalize=st.sampled_from([None, "true", "pred", "all"]),
)
def test_it_is_that_of_scikit_learn(seed, count, classes, weighted, normalize):
    rng = np.random.default_rng(seed)
    p, labels = rng.uniform(size=(count, classes)), rng.integers(0, classes, count)
    w = rng.uniform(0.1, 2, count) if weighted else None
    predicted = p.argmax(axis=1)
    expected = sk.confusion_matrix(labels, predicted, labels=np.arange(classes), sample_weight=w, normalize=normalize)
    for y_true in (labels, np.eye(classes)[labels], labels.astype(np.uint8).tolist()):
        for y_pred in (p, np.eye(classes)[predicted]):
            found = confusion_matrix(y_true, y_pred, sample_weight=w, normalize=normalize)
            np.testing.assert_allclose(found, expected, atol=1e-12)
    by_number = confusion_matrix(labels, predicted, sample_weight=w, normalize=normalize, num_classes=classes)
    np.testing.assert_allclose(by_number, expected, atol=1e-12)
    assert found.dtype == (np.int64 if normalize is None and w is None else np.float64)


@pytest.mark.parametrize("column", [False, True])
def test_the_only_output_predicts_class_1_above_the_threshold(column):
    y, p = np.array([0, 0, 1, 1]), np.array([0.1, 0.6, 0.4, 0.9], np.float32)
    given = (y[:, None], p[:, None]) if column else (y, p)
    assert confusion_matrix(*given).tolist() == [[1, 1], [1, 1]]
    assert confusion_matrix(*given, threshold=0.35).tolist() == [[1, 1], [0, 2]]
    assert confusion_matrix(y > 0, p > 0.5).tolist() == [[1, 1], [1, 1]]


def test_a_class_without_predictions_has_a_column():
    assert confusion_matrix([0, 1], [0, 0], num_classes=3).tolist() == [[1, 0, 0], [1, 0, 0], [0, 0, 0]]
    assert confusion_matrix([0, 0], [0, 0]).tolist() == [[2, 0], [0, 0]]


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (([0, 1], [0]), ShapeError, "2 rows but y_pred has 1"),
        (([], []), DataError, "empty"),
        (([-1, 0], [0, 1]), DataError, "labels from -1"),
        ((["a", "b"], [0, 1]), DataError, "expected class numbers"),
        (([0, 1], [0.5, 2.5]), DataError, "0.5 to 2.5: expected class numbers or probabilities"),
        (([0, 1], [np.nan, 1]), DataError, "not NaN"),
        (([0, 1], np.zeros((2, 2, 2))), DataError, r"shape \(2, 2, 2\)"),
        (([[0], [1, 2]], [0, 1]), DataError, "rows of equal length"),
    ],
)
def test_bad_input_is_one_clear_error(arguments, error, message):
    with pytest.raises(error, match=message):
        confusion_matrix(*arguments)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"num_classes": 2}, DataError, "num_classes is 2, but there are labels up to 2"),
        ({"num_classes": 0}, ConfigurationError, "num_classes"),
        ({"normalize": "rows"}, ConfigurationError, "normalize is 'rows'"),
        ({"sample_weight": [1]}, ShapeError, "sample_weight"),
    ],
)
def test_bad_options_are_one_clear_error(options, error, message):
    with pytest.raises(error, match=message):
        confusion_matrix([0, 1, 2], [0, 1, 1], **options)


def test_the_plot_counts_and_names(tmp_path):
    y, predicted = np.array([0, 0, 1, 2, 2, 2]), np.array([0, 1, 1, 2, 2, 0])
    figure = dk.plots.plot_confusion(y, predicted, ["cat", "dog", "eel"], tmp_path / "plot.png")
    (axes,) = figure.axes
    assert [text.get_text() for text in axes.texts] == ["1", "1", "0", "0", "1", "0", "1", "0", "2"]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["cat", "dog", "eel"]
    assert "66.7% of 6 right" in axes.get_title()
    assert (tmp_path / "plot.png").stat().st_size > 1000
    colors = axes.images[0].get_array()
    red, _, blue = np.moveaxis(colors, 2, 0)
    assert (np.diag(blue) > np.diag(red)).all()
    assert red[0, 1] > blue[0, 1]
    assert (colors[1, 0] == 1).all()
    with pytest.raises(DataError, match="num_classes is 2"):
        dk.plots.plot_confusion(y, predicted, ["cat", "dog"])
