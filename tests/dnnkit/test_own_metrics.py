"""Custom metrics: both forms give the same numbers, and a result that is not a value per row is rejected."""

import copy
import functools
import pickle
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import dnnkit as dk
from dnnkit.backends import Backend
from dnnkit.errors import ConfigurationError, ShapeError
from dnnkit.metrics import METRICS
from dnnkit.network import lowering
from dnnkit.own_metrics import own_metric

ROWS, BATCH = 26, 8
"""The last batch is smaller."""


def largest_error(y_true, y_pred):
    return np.max(np.abs(y_true - y_pred), axis=1)


def old_largest_error(xp, targets, predictions):
    return xp.max(xp.abs(targets - predictions), axis=1)


def absolute_errors(y_true, y_pred):
    return abs(y_true - y_pred)


def network(metrics: Any, backend: Backend | str = "numpy", outputs: int = 3) -> dk.Sequential:
    """Its predictions do not change in a fit, so that the metrics of an epoch are those of its predictions."""
    net = dk.Sequential([dk.Dense(outputs, activation="tanh")], seed=3, backend=backend, dtype="float64")
    net.compile(dk.SGD(0.0), "mean_squared_error", metrics)
    return net


def data(outputs: int = 3) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Samples, targets and weights, some of which are 0."""
    rng = np.random.default_rng(5)
    return rng.normal(size=(ROWS, 4)), rng.uniform(-1, 1, (ROWS, outputs)), rng.integers(0, 4, ROWS) / 2


# -- the numbers -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("weighted", [False, True])
def test_both_forms_give_the_mean_over_rows(backend: Backend, weighted: bool) -> None:
    x, y, weights = data()
    options = {"sample_weight": weights} if weighted else {}
    held_out = (x[:11], y[:11], weights[:11]) if weighted else (x[:11], y[:11])
    found = []
    for metric in (largest_error, old_largest_error):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            net = network(metric, backend)
        logs = net.fit(x, y, batch_size=BATCH, validation_data=held_out, verbose=0, **options).history
        measured = net.evaluate(x, y, batch_size=BATCH, **options)
        name = metric.__name__
        found.append((logs[name][0], logs[f"val_{name}"][0], measured[name]))
        errors = np.abs(net.predict(x) - y).max(axis=1)
    used = weights if weighted else np.ones(ROWS)
    whole, part = np.average(errors, weights=used), np.average(errors[:11], weights=used[:11])
    assert found[0] == found[1]
    assert found[0] == pytest.approx((whole, part, whole), rel=1e-12)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(
    "metric", [absolute_errors, lambda y_true, y_pred: np.mean(np.abs(y_true - y_pred), axis=1, keepdims=True)]
)
def test_a_value_per_output_counts_as_the_mean_over_outputs(backend: Backend, metric: Any, weighted: bool) -> None:
    x, y, weights = data()
    net = network(metric, backend)
    measured = net.evaluate(x, y, batch_size=BATCH, sample_weight=weights if weighted else None)
    errors = np.abs(net.predict(x) - y).mean(axis=1)
    expected = np.average(errors, weights=weights if weighted else None)
    assert measured[metric.__name__] == pytest.approx(expected, rel=1e-12)


def test_one_number_for_a_batch_counts_for_each_of_its_rows(backend: Backend) -> None:
    x, y, _ = data()

    def mean_error(y_true, y_pred):
        return np.mean(np.abs(y_true - y_pred))

    net = network(mean_error, backend)
    logs = net.fit(x, y, batch_size=BATCH, validation_data=(x[:11], y[:11]), verbose=0).history
    errors = np.abs(net.predict(x) - y)
    assert logs["mean_error"][0] == pytest.approx(errors.mean(), rel=1e-12)
    assert logs["val_mean_error"][0] == pytest.approx(errors[:11].mean(), rel=1e-12)


@pytest.mark.parametrize("weighted_by", ["sample_weight", "class_weight"])
def test_one_number_per_batch_is_rejected_where_rows_have_weights(backend: Backend, weighted_by: str) -> None:
    """The function cannot know the weights, and a row of weight 0 would count."""
    x, y, weights = data()
    net = network(lambda y_true, y_pred: np.mean(np.abs(y_true - y_pred)), backend)
    given = weights if weighted_by == "sample_weight" else {0: 1.0, 1: 2.0, 2: 0.5}
    with pytest.raises(ShapeError, match=r"'<lambda>' returned one number.*return one value per row, \(26,\)"):
        net.fit(x, y, verbose=0, **{weighted_by: given})


@pytest.mark.parametrize("value", [3, 0.25, np.float32(0.5), True, np.arange(ROWS), np.ones(ROWS, bool), [1.0] * ROWS])
def test_any_numbers_are_accepted(value: Any) -> None:
    x, y, _ = data()
    measured = network(lambda y_true, y_pred: value).evaluate(x, y)
    assert measured["<lambda>"] == np.mean(value)


# -- its arguments ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("loss", "outputs", "y", "shape"),
    [
        ("sparse_categorical_crossentropy", 3, np.arange(ROWS) % 3, (ROWS,)),
        ("categorical_crossentropy", 3, np.eye(3)[np.arange(ROWS) % 3], (ROWS, 3)),
        ("mean_squared_error", 1, np.ones((ROWS, 1)), (ROWS, 1)),
    ],
)
def test_it_gets_predictions_and_targets_as_the_loss_takes_them(
    backend: Backend, loss: str, outputs: int, y: np.ndarray, shape: tuple[int, ...]
) -> None:
    seen = []

    def look(y_true, y_pred):
        seen.append((y_true, y_pred))
        return y_pred[:, 0]

    net = dk.Sequential([dk.Dense(outputs, activation="softmax" if outputs > 1 else None)], seed=0, backend=backend)
    net.compile("sgd", loss, [look])
    x = data()[0]
    net.evaluate(x, y)
    ((y_true, y_pred),) = seen
    assert y_true.shape == shape
    np.testing.assert_array_equal(backend.to_numpy(y_true), y)
    np.testing.assert_allclose(backend.to_numpy(y_pred), net.predict(x), rtol=1e-6)


# -- what is rejected ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("metric", "shape"),
    [
        (lambda y_true, y_pred: y_pred[1:], (ROWS - 1, 3)),
        (lambda y_true, y_pred: y_pred[:, :2], (ROWS, 2)),
        (lambda y_true, y_pred: np.mean(np.abs(y_true - y_pred), axis=0), (3,)),
        (lambda y_true, y_pred: y_true[:, 0] - y_pred[:, :1], (ROWS, ROWS)),
        (lambda y_true, y_pred: y_pred[None], (1, ROWS, 3)),
    ],
)
def test_another_shape_is_rejected_by_name(metric: Any, shape: tuple[int, ...]) -> None:
    """Also that of an accidental broadcast."""
    x, y, _ = data()
    with pytest.raises(ShapeError) as caught:
        network(metric).fit(x, y, batch_size=ROWS, verbose=0)
    assert str(caught.value).startswith(
        f"the metric '<lambda>' returned an array of shape {shape} for y_true of shape (26"
    )
    assert "expected one value per row, (26,), one per output, (26, 3), or one number" in str(caught.value)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (None, "NoneType"),
        ("much", "str"),
        ([[1.0], [1.0, 2.0]], "list"),
        (1j * np.ones(ROWS), "ndarray of complex128"),
        ({}, "dict"),
    ],
)
def test_results_that_are_not_numbers_are_rejected_by_name(backend: Backend, value: Any, words: str) -> None:
    x, y, _ = data()
    with pytest.raises(ConfigurationError, match=f"'<lambda>' returned {words}: expected real numbers"):
        network(lambda y_true, y_pred: value, backend).evaluate(x, y)


# -- which form it is ------------------------------------------------------------------------------------------------


class Called:
    def __call__(self, y_true, y_pred):
        return y_pred[:, 0]

    def method(self, y_true, y_pred):
        return y_pred[:, 0]

    def old_method(self, xp, targets, predictions):
        return predictions[:, 0]


class OldCalled:
    def __call__(self, xp, targets, predictions):
        return predictions[:, 0]


def passed_on(function):
    @functools.wraps(function)
    def outer(*arguments):
        return function(*arguments)

    return outer


def adapted(function):
    """As users may have written against the old form."""

    @functools.wraps(function)
    def outer(y_true, y_pred):
        return function(np, y_true, y_pred)

    return outer


FORMS: list[tuple[Any, bool]] = [
    (largest_error, False),
    (Called(), False),
    (Called().method, False),
    (functools.partial(largest_error), False),
    (functools.partial(old_largest_error, np), False),
    (passed_on(largest_error), False),
    (adapted(old_largest_error), False),
    (lambda y_true, y_pred, axis=1: y_pred[:, 0], False),
    (lambda y_true, y_pred, *, axis=1: y_pred[:, 0], False),
    (lambda y_true, y_pred, *rest: y_pred[:, 0], False),
    (lambda y_true, y_pred, **options: y_pred[:, 0], False),
    (old_largest_error, True),
    (OldCalled(), True),
    (Called().old_method, True),
    (functools.partial(old_largest_error), True),
    (passed_on(old_largest_error), True),
    (lambda np, t, p: p[:, 0], True),
    (lambda xp, t, p, scale=2: p[:, 0], True),
]


@pytest.mark.parametrize(("function", "is_old"), FORMS)
def test_the_signature_determines_the_form_of_the_call(function: Any, is_old: bool) -> None:
    x, y, _ = data()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        net = network(function)
        measured = net.evaluate(x, y)
    assert [warning.category for warning in caught] == [DeprecationWarning] * is_old
    assert np.isfinite(list(measured.values())).all()


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (lambda *arguments: 1, "the signature (*arguments)"),
        (lambda: 1, "the signature ()"),
        (lambda y_pred: 1, "the signature (y_pred)"),
        (lambda y_true, y_pred, *, axis: 1, "the signature (y_true, y_pred, *, axis)"),
        (lambda a=1, b=2, c=3: 1, "the signature (a=1, b=2, c=3)"),
        (lambda y_true, y_pred, weights: 1, "the signature (y_true, y_pred, weights)"),
        (lambda xp, targets, predictions=None: 1, "the signature (xp, targets, predictions=None)"),
        (lambda a, b, c, d: 1, "the signature (a, b, c, d)"),
        (passed_on(lambda *arguments: 1), "the signature (*arguments)"),
        (max, "no introspectable signature"),
    ],
)
def test_an_ambiguous_signature_gets_an_error_with_the_cure(function: Any, words: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        network(function)
    assert f"{function.__name__!r} has {words}: expected (y_true, y_pred)" in str(caught.value)
    assert "write def your_metric(y_true, y_pred)" in str(caught.value)


# -- the old form ----------------------------------------------------------------------------------------------------


def test_the_old_form_warns_once_at_compile_and_names_the_new_one() -> None:
    x, y, _ = data()
    with pytest.warns(DeprecationWarning, match="a function") as caught:
        net = network([largest_error, old_largest_error])
    (warning,) = caught
    assert "'old_largest_error' is a function (xp, targets, predictions)" in str(warning.message)
    assert "write it as (y_true, y_pred)" in str(warning.message)
    assert warning.filename == __file__
    net.fit(x, y, verbose=0)  # a warning would be an error here, and below
    net.to("numba").evaluate(x, y)
    assert copy.deepcopy(net).evaluate(x, y) == net.evaluate(x, y)
    assert pickle.loads(pickle.dumps(net)).evaluate(x, y) == net.evaluate(x, y)


@pytest.mark.parametrize("function", [largest_error, old_largest_error])
def test_a_registered_one_of_either_form_goes_by_its_name(monkeypatch: pytest.MonkeyPatch, function: Any) -> None:
    monkeypatch.setattr(METRICS, "_things", dict(METRICS._things))
    dk.register("metric", "registered_error", function)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        net = network("registered_error")
    said = [str(warning.message).partition(" is ")[0] for warning in caught]
    assert said == ["the metric 'registered_error'"] * (function is old_largest_error)
    x, y, _ = data()
    assert net.evaluate(x, y)["registered_error"] == network(largest_error).evaluate(x, y)["largest_error"]


# -- programs and saves ----------------------------------------------------------------------------------------------


def program(net: dk.Sequential) -> Any:
    return lowering.lower(
        net.layers,
        (4,),
        loss=net.loss,
        metrics=net.metrics,
        optimizer=net.optimizer,
        dtype="float64",
        seed=0,
        num_threads=None,
    )


def test_programs_of_the_same_function_are_equal_and_of_others_not() -> None:
    first, second = (program(network(largest_error)) for _ in range(2))
    assert first == second
    assert hash(first) == hash(second)
    assert first != program(network(absolute_errors))
    assert own_metric("error", largest_error) != own_metric("error", absolute_errors)


def test_a_save_knows_it_by_its_name(backend: Backend, tmp_path: Path) -> None:
    x, y, _ = data()
    net = network([largest_error, absolute_errors], backend)
    net.fit(x, y, verbose=0)
    net.save(tmp_path / "run")
    known = {"largest_error": largest_error, "absolute_errors": absolute_errors}
    again = dk.load(tmp_path / "run", backend=backend.name, custom_objects=known)
    assert again.metrics == (largest_error, absolute_errors)
    assert again.evaluate(x, y) == net.evaluate(x, y)


def test_loading_one_of_the_old_form_warns_too(tmp_path: Path) -> None:
    x, y, _ = data()
    net = network(largest_error)
    net.fit(x, y, verbose=0)
    net.save(tmp_path / "run")
    known = {"largest_error": old_largest_error}
    with pytest.warns(DeprecationWarning, match="old_largest_error"):
        again = dk.load(tmp_path / "run", backend="numpy", custom_objects=known)
    assert again.evaluate(x, y)["old_largest_error"] == net.evaluate(x, y)["largest_error"]
    with pytest.raises(DeprecationWarning, match="old_largest_error"):  # as itself, where warnings are errors
        dk.load(tmp_path / "run", backend="numpy", custom_objects=known)
