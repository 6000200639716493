"""Metrics: one name each; thresholds apply to predictions, or to scores with the same meaning."""

import copy
import functools
import json
import pickle

import numpy as np
import pytest
import sklearn.metrics as sk

import dnnkit as dk
from dnnkit import metrics
from dnnkit.backends import Backend
from dnnkit.errors import CheckpointError, ConfigurationError, UnknownName
from dnnkit.metrics import METRICS
from dnnkit.saves.loading import network_of
from dnnkit.saves.saving import files_of
from tests.backends.numba_backend.partitions import DIVIDED, dividing


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
def test_none_one_and_several_are_accepted(given, expected):
    assert compiled(given).metrics == expected


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([lambda: 1, lambda: 2], "two metrics are called '<lambda>'.*__name__"),
        ([named("error"), named("error")], "two metrics are called 'error'"),
        (["accuracy", "accuracy"], "two metrics are called 'accuracy'.*give it once"),
        ([named("loss")], "called 'loss'"),
        ([named("val_error")], "called 'val_error', which in logs is error of the validation data"),
        ([named("epoch")], "called 'epoch'"),
        ([named("accuracy")], "called 'accuracy' like one of dnnkit's.*another __name__"),
        ([named("categorical_accuracy")], "called 'categorical_accuracy'"),
        ([3], "metrics has 3"),
        ([dk.Dense], "metrics has <class"),
        (3, "metrics is 3"),
        (np.array(3), "metrics is array"),
    ],
)
def test_names_that_would_hide_another_are_rejected_at_compile(given, message):
    with pytest.raises(ConfigurationError, match=message):
        compiled(given)


def test_an_unknown_name_is_rejected_at_compile():
    with pytest.raises(UnknownName, match="did you mean 'accuracy'"):
        compiled(["acuracy"])


def test_a_registered_function_may_be_given_itself(monkeypatch, tmp_path):
    monkeypatch.setitem(metrics.METRICS._things, "largest_error", largest_error)
    net = compiled([largest_error])
    x = np.random.default_rng(0).normal(size=(6, 2))
    net.fit(x, np.eye(3)[[0, 1, 2, 0, 1, 2]], verbose=0)
    net.save(tmp_path / "run")
    assert dk.load(tmp_path / "run", backend="numpy").metrics == ("largest_error",)


def test_a_metric_without_a_name_is_named_by_its_class_and_saved(tmp_path):
    net = compiled([functools.partial(largest_error)])
    history = net.fit(np.ones((2, 2)), np.eye(3)[:2], verbose=0)
    assert "partial" in history.history
    net.save(tmp_path / "run")
    again = dk.load(tmp_path / "run", backend="numpy", custom_objects={"partial": largest_error})
    assert again.metrics == (largest_error,)


@pytest.mark.parametrize("loss", ["categorical_crossentropy", "sparse_categorical_crossentropy"])
def test_binary_accuracy_of_a_softmax_is_that_of_its_probabilities(backend: Backend, loss):
    """The loss has absorbed the softmax, and logits are not on the same side of 1/2 as probabilities."""
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


def test_whether_more_is_better_is_known_for_names_and_functions():
    def error(y_true, y_pred):
        return y_pred[:, 0]

    def score(y_true, y_pred):
        return y_pred[:, 0]

    score.higher_is_better = True
    assert metrics.is_better_higher("val_accuracy")
    assert metrics.is_better_higher("val_score", [error, score])
    assert not metrics.is_better_higher("error", [error, score])
    assert not metrics.is_better_higher("val_loss")


def yes_or_no(backend, metrics, *, outputs=1, rows=70, **options) -> tuple:
    """A network, samples, targets and weights."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(rows, 4))
    y = (x[:, :outputs] + rng.normal(size=(rows, outputs)) > 0.5).astype(float)
    layers = [dk.Dense(5, activation="tanh"), dk.Dense(outputs, activation="sigmoid")]
    net = dk.Sequential(layers, seed=0, backend=backend, dtype="float64", **options)
    net.compile(dk.Adam(0.05), "binary_crossentropy", metrics)
    return net, x, y, rng.uniform(0.1, 2, rows)


OF_ANSWERS = ["accuracy", "precision", "recall", "f1_score", "auc", "mean_absolute_error", "r2_score"]


@pytest.mark.parametrize("outputs", [1, 3])
def test_evaluate_and_validation_give_scikit_learns_numbers(backend: Backend, outputs):
    """The epoch's own values are those of the predictions before each update: here, where nothing is learned, the
    same."""
    net, x, y, w = yes_or_no(backend, OF_ANSWERS, outputs=outputs)
    p, average = net.predict(x), "binary" if outputs == 1 else "micro"
    expected = {
        "accuracy": np.average(((p > 0.5) == y).mean(axis=1), weights=w),
        "precision": sk.precision_score(y, p > 0.5, average=average, sample_weight=w),
        "recall": sk.recall_score(y, p > 0.5, average=average, sample_weight=w),
        "f1_score": sk.f1_score(y, p > 0.5, average=average, sample_weight=w),
        "auc": sk.roc_auc_score(y, p, sample_weight=w),
        "mean_absolute_error": sk.mean_absolute_error(y, p, sample_weight=w),
        "r2_score": sk.r2_score(y, p, sample_weight=w),
    }
    net.optimizer.learning_rate = 0.0
    history = net.fit(x, y, batch_size=16, sample_weight=w, validation_data=(x, y, w), verbose=0)
    measured = net.evaluate(x, y, sample_weight=w, batch_size=32)
    for name, value in expected.items():
        assert measured[name] == pytest.approx(value, rel=1e-12), name
        assert history[f"val_{name}"][0] == pytest.approx(value, rel=1e-12), name
        assert history[name][0] == pytest.approx(value, rel=0.02 if name == "auc" else 1e-12), name
    assert history.plan.details["estimated while training"] == "auc; exact in validation and evaluate"
    if net.backend.name == "numba":
        assert history.plan.reason is None


def test_metrics_of_classes_on_every_backend(backend: Backend):
    rng = np.random.default_rng(0)
    x, labels = rng.normal(size=(60, 4)), rng.integers(0, 4, 60)
    top = dk.metrics.TopKCategoricalAccuracy(k=2)
    given = ["accuracy", top, dk.metrics.Precision(average="macro"), "balanced_accuracy", "auc"]
    for loss, y in (("sparse_categorical_crossentropy", labels), ("categorical_crossentropy", np.eye(4)[labels])):
        net = dk.Sequential([dk.Dense(4, activation="softmax")], seed=1, backend=backend, dtype="float64")
        net.compile(dk.SGD(0.0), loss, given)
        p = net.predict(x)
        expected = {
            "top_k_categorical_accuracy": sk.top_k_accuracy_score(labels, p, k=2),
            "precision": sk.precision_score(labels, p.argmax(axis=1), average="macro", zero_division=0),
            "balanced_accuracy": sk.balanced_accuracy_score(labels, p.argmax(axis=1)),
            "auc": sk.roc_auc_score(labels, p, multi_class="ovr"),
        }
        history, measured = net.fit(x, y, batch_size=16, verbose=0), net.evaluate(x, y)
        for name, value in expected.items():
            assert measured[name] == pytest.approx(value, rel=1e-12), name
            assert history[name][0] == pytest.approx(value, rel=0.05 if name == "auc" else 1e-12), name


@pytest.mark.parametrize("partition", DIVIDED)
def test_in_every_partition_the_sums_are_those_of_all_rows(partition):
    histories = []
    for backend in ("numpy", "numba"):
        with dividing(partition):
            net, x, y, w = yes_or_no(backend, OF_ANSWERS, outputs=3)
            histories.append(net.fit(x, y, batch_size=16, epochs=2, sample_weight=w, validation_data=(x, y), verbose=0))
            again, *_ = yes_or_no(backend, OF_ANSWERS, outputs=3)
            assert (
                again.fit(x, y, batch_size=16, epochs=2, sample_weight=w, validation_data=(x, y), verbose=0).history
                == histories[-1].history
            )
    for name, series in histories[0].history.items():
        assert histories[1][name] == pytest.approx(series, rel=1e-3 if name == "auc" else 1e-9), name


SOFTMAX = [dk.Dense(10, activation="softmax")]
SIGMOIDS = [dk.Dense(3, activation="sigmoid")]
SPARSE = "sparse_categorical_crossentropy"


@pytest.mark.parametrize(
    ("layers", "loss", "metric", "message"),
    [
        (SOFTMAX, SPARSE, "precision", "with 10 classes.*dk.metrics.Precision\\(average='macro'\\)"),
        (SOFTMAX, SPARSE, dk.metrics.F1Score(average="binary"), "F1Score\\(average='macro'\\)"),
        (SOFTMAX, SPARSE, dk.metrics.Recall(threshold=0.2, average="micro"), "leave out the threshold"),
        (SOFTMAX, SPARSE, "r2_score", "the targets are class labels: use 'accuracy'"),
        (SOFTMAX, SPARSE, "mean_squared_error", "the targets are class labels"),
        (SOFTMAX, SPARSE, dk.metrics.TopKCategoricalAccuracy(k=10), "k=10 for 10 classes is always right"),
        (
            SIGMOIDS,
            "binary_crossentropy",
            "top_k_categorical_accuracy",
            "needs outputs that are classes, but they are not: use 'binary_accuracy'",
        ),
        (SIGMOIDS, "binary_crossentropy", "balanced_accuracy", "Recall\\(average='macro'\\)"),
        (
            SIGMOIDS,
            "binary_crossentropy",
            dk.metrics.Precision(average="binary"),
            "with 3 outputs does not support average='binary'",
        ),
        (SIGMOIDS, "binary_crossentropy", dk.metrics.Recall(threshold=1), "a probability between 0 and 1"),
        ([dk.Dense(4)], dk.losses.SparseCategoricalCrossentropy(from_logits=True), "auc", "logits of classes: use"),
    ],
)
def test_a_metric_unsuited_to_the_outputs_is_an_error_at_compile_or_build(layers, loss, metric, message):
    net = dk.Sequential([dk.Dense(2), *layers], seed=0, backend="numpy")
    with pytest.raises(ConfigurationError, match=message):
        net.compile("adam", loss, [metric])
    assert not net.is_compiled
    unknown = dk.Sequential([*layers, Through()], seed=0, backend="numpy")
    unknown.compile("adam", loss, [metric])
    with pytest.raises(ConfigurationError):
        unknown.build(3)


class Through(dk.Layer):
    """A layer whose number of outputs is unknown to dnnkit before it is built."""

    def forward(self, xp, x):
        return x, None

    def backward(self, xp, dy, saved):
        return (dy,)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: dk.metrics.Precision(average="mean"), "expected 'binary', 'micro', 'macro', 'weighted' or None"),
        (lambda: dk.metrics.Precision(threshold="half"), "threshold='half'"),
        (lambda: dk.metrics.TopKCategoricalAccuracy(k=0), "k=0"),
        (lambda: compiled([dk.metrics.AUC(), "auc"]), "two metrics are called 'auc'"),
        (lambda: compiled([dk.metrics.AUC, dk.metrics.AUC()]), r"two metrics are called 'auc'.*AUC\(name=...\)"),
        (lambda: compiled([dk.metrics.AUC(name="val_auc")]), "called 'val_auc'"),
    ],
)
def test_bad_settings_of_a_metric_are_rejected_at_once(make, message):
    with pytest.raises(ConfigurationError, match=message):
        make()


def test_metrics_with_settings_and_names_are_saved_and_loaded(tmp_path):
    given = ["accuracy", dk.metrics.Precision(threshold=0.3, name="at_30"), dk.metrics.Precision, dk.metrics.AUC()]
    net, x, y, _ = yes_or_no("numpy", given)
    history = net.fit(x, y, verbose=0, steps=2)
    assert list(history.history) == ["loss", "accuracy", "at_30", "precision", "auc"]
    net.save(tmp_path)
    again = dk.load(tmp_path, backend="numpy")
    assert again.metrics == net.metrics
    assert pickle.loads(pickle.dumps(net)).metrics == copy.copy(net).metrics == net.metrics
    assert again.evaluate(x, y) == net.evaluate(x, y)
    described = json.loads(next(tmp_path.glob("versions/*/architecture.json")).read_text())["metrics"]
    assert described[:2] == ["accuracy", {"type": "Precision", "name": "at_30", "threshold": 0.3, "average": None}]


@pytest.mark.parametrize("metric", [3, {"type": "Dense", "units": 3}, {"type": "Precision", "k": 3}, {"threshold": 1}])
def test_a_save_that_describes_no_metric_is_damaged(tmp_path, metric):
    net, x, y, _ = yes_or_no("numpy", [dk.metrics.Precision()])
    net.fit(x, y, verbose=0)
    files = files_of(net)
    architecture = json.loads(files["architecture.json"])
    files["architecture.json"] = json.dumps({**architecture, "metrics": [metric]}).encode()
    with pytest.raises(CheckpointError):
        network_of(files, "the save", "numpy")


def test_estimates_are_shown_as_such(capsys):
    net, x, y, _ = yes_or_no("numpy", ["auc", "precision"])
    net.fit(x, y, validation_data=(x, y), verbose=2)
    shown = capsys.readouterr().out
    assert " - auc ≈ 0." in shown
    assert " - precision: 0." in shown
    assert " - val_auc: 0." in shown


def test_a_metric_says_whether_more_of_it_is_better():
    lower = {"mean_absolute_error", "mean_squared_error", "root_mean_squared_error"}
    for name in METRICS.names():
        assert metrics.is_better_higher(f"val_{name}") == (name not in lower), name
    named = [dk.metrics.MeanAbsoluteError(name="accuracy"), dk.metrics.Recall(name="found")]
    assert metrics.is_better_higher("val_found", named)
    assert not metrics.is_better_higher("accuracy", named)


def test_a_custom_metric_keeps_its_sum_next_to_metrics_of_many(backend: Backend):
    def error(y_true, y_pred):
        return abs(y_pred - y_true)

    net, x, y, _ = yes_or_no(backend, ["auc", error, "f1_score"])
    net.optimizer.learning_rate = 0.0
    expected = np.abs(net.predict(x) - y).mean()
    history = net.fit(x, y, batch_size=16, verbose=0)
    assert history["error"][0] == pytest.approx(expected, rel=1e-12)
    assert net.evaluate(x, y)["error"] == pytest.approx(expected, rel=1e-12)
    assert history["f1_score"][0] == pytest.approx(net.evaluate(x, y)["f1_score"], rel=1e-12)


@pytest.mark.parametrize("partition", ["units/2", "rows/2"])
def test_an_epoch_resumed_from_a_save_has_the_sums_of_the_whole(backend: Backend, tmp_path, partition):
    """Sums of many numbers, bit for bit, also in the middle of an epoch."""
    options = {"batch_size": 16, "verbose": 0}
    with dividing(partition):
        net, x, y, w = yes_or_no(backend, OF_ANSWERS)
        whole, *_ = yes_or_no(backend, OF_ANSWERS)
        whole.fit(x, y, steps=9, sample_weight=w, **options)
        net.fit(x, y, steps=2, sample_weight=w, **options)
        net.save(tmp_path)
        net = dk.load(tmp_path, backend=backend)
        net.fit(x, y, steps=7, sample_weight=w, **options)
    assert net.history.history == whole.history.history
    assert net.executable.snapshot().state == whole.executable.snapshot().state
