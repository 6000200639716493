"""Metrics: one name each, and what is compared with a threshold are predictions, or scores that mean the same."""

import functools

import numpy as np
import pytest

import dnnkit as dk
from dnnkit import metrics
from dnnkit.backends import Backend
from dnnkit.errors import ConfigurationError, UnknownName


def largest_error(y_true, y_pred):
    return np.max(np.abs(y_pred - y_true), axis=1)


def named(name):
    def metric(y_true, y_pred):
        return y_pred[:, 0]

    metric.__name__ = name
    return metric


def compiled(given) -> dk.Sequential:
    net = dk.Sequential([dk.Dense(3, activation="softmax")], seed=0, backend="numpy")
    net.compile("adam", "categorical_crossentropy", given)
    return net


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (None, ()),
        ([], ()),
        ("accuracy", ("accuracy",)),
        (largest_error, (largest_error,)),
        (["accuracy", largest_error], ("accuracy", largest_error)),
        (iter(["accuracy"]), ("accuracy",)),
    ],
)
def test_none_one_and_several_are_taken(given, expected):
    assert compiled(given).metrics == expected


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([lambda: 1, lambda: 2], "two metrics are called '<lambda>'.*__name__"),
        ([named("error"), named("error")], "two metrics are called 'error'"),
        (["accuracy", "accuracy"], "two metrics are called 'accuracy'.*give it once"),
        ([named("loss")], "called 'loss'"),
        ([named("val_error")], "called 'val_error', which is what error of the validation data is"),
        ([named("epoch")], "called 'epoch'"),
        ([named("accuracy")], "called 'accuracy' as one of dnnkit's.*a name of its own"),
        ([named("categorical_accuracy")], "called 'categorical_accuracy'"),
        ([3], "metrics has 3"),
        ([dk.Dense], "metrics has <class"),
        (3, "metrics is 3"),
        (np.array(3), "metrics is array"),
    ],
)
def test_names_that_would_hide_something_are_refused_at_compile(given, message):
    with pytest.raises(ConfigurationError, match=message):
        compiled(given)


def test_an_unknown_name_is_refused_at_compile():
    with pytest.raises(UnknownName, match="did you mean 'accuracy'"):
        compiled(["acuracy"])


def test_a_registered_function_may_be_given_itself(monkeypatch, tmp_path):
    monkeypatch.setitem(metrics.METRICS._things, "largest_error", largest_error)
    net = compiled([largest_error])
    x = np.random.default_rng(0).normal(size=(6, 2))
    net.fit(x, np.eye(3)[[0, 1, 2, 0, 1, 2]], verbose=0)
    net.save(tmp_path / "run")
    assert dk.load(tmp_path / "run", backend="numpy").metrics == ("largest_error",)


def test_a_metric_without_a_name_is_called_by_its_class_and_saved(tmp_path):
    net = compiled([functools.partial(largest_error)])
    history = net.fit(np.ones((2, 2)), np.eye(3)[:2], verbose=0)
    assert "partial" in history.history
    net.save(tmp_path / "run")
    again = dk.load(tmp_path / "run", backend="numpy", custom_objects={"partial": largest_error})
    assert again.metrics == (largest_error,)


@pytest.mark.parametrize("loss", ["categorical_crossentropy", "sparse_categorical_crossentropy"])
def test_binary_accuracy_of_a_softmax_is_that_of_its_probabilities(backend: Backend, loss):
    """The loss has taken the softmax over, and logits are not on the same side of 1/2 as probabilities."""
    rng = np.random.default_rng(0)
    x, labels = rng.normal(size=(40, 4)), rng.integers(0, 3, 40)
    one_hot = np.eye(3)[labels]
    y = labels if loss.startswith("sparse") else one_hot
    net = dk.Sequential([dk.Dense(3, activation="softmax")], seed=0, backend=backend, dtype="float64")
    net.compile("adam", loss, ["binary_accuracy", "accuracy"])
    scores = net.evaluate(x, y)
    predictions = net.predict(x)
    assert scores["binary_accuracy"] == pytest.approx(((predictions > 0.5) == (one_hot > 0.5)).mean())
    assert scores["accuracy"] == pytest.approx((predictions.argmax(axis=1) == labels).mean())
    history = net.fit(x, y, batch_size=40, verbose=0)
    assert history["binary_accuracy"][0] == pytest.approx(scores["binary_accuracy"])


@pytest.mark.parametrize("name", ["accuracy", "binary_accuracy"])
@pytest.mark.parametrize(("activation", "from_logits"), [("sigmoid", False), (None, True), ("hard_sigmoid", False)])
def test_binary_accuracy_of_a_sigmoid_and_of_logits(backend: Backend, name, activation, from_logits):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(40, 4)), rng.integers(0, 2, (40, 1))
    net = dk.Sequential([dk.Dense(1, activation=activation)], seed=0, backend=backend, dtype="float64")
    net.compile("adam", dk.losses.BinaryCrossentropy(from_logits=from_logits), [name])
    half = 0.0 if from_logits else 0.5
    assert net.evaluate(x, y)[name] == pytest.approx(((net.predict(x) > half) == (y > 0.5)).mean())


def test_whether_more_is_better_is_known_of_a_name_and_of_a_function():
    def error(y_true, y_pred):
        return y_pred[:, 0]

    def score(y_true, y_pred):
        return y_pred[:, 0]

    score.higher_is_better = True
    assert metrics.is_better_higher("val_accuracy")
    assert metrics.is_better_higher("val_score", [error, score])
    assert not metrics.is_better_higher("error", [error, score])
    assert not metrics.is_better_higher("val_loss")
