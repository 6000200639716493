"""Bad input: one clear error that says what was given, what was expected and what to do, and nothing is changed."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

import dnnkit as dk
from dnnkit.errors import ConfigurationError, DataError, DnnkitError, ShapeError, UnknownName

X = np.random.default_rng(0).normal(size=(6, 4))
LABELS = np.array([0, 1, 2, 0, 1, 2])
ONE_HOT = np.eye(3)[LABELS]


def network(loss: str = "sparse_categorical_crossentropy", units: int = 3) -> dk.Sequential:
    net = dk.Sequential([dk.Dense(units)], seed=0)
    net.compile(optimizer="sgd", loss=loss)
    net.build(4)
    return net


def with_value(value: float) -> np.ndarray:
    x = X.copy()
    x[3, 1] = value
    return x


@pytest.mark.parametrize(
    ("x", "y", "error", "message"),
    [
        (X[:, :3], LABELS, ShapeError, r"x has shape \(6, 3\): expected \(samples, 4\)"),
        (X[0], LABELS, ShapeError, r"x\[None, :\]"),
        (X.reshape(6, 2, 2), LABELS, ShapeError, r"use x.reshape\(-1, 4\)"),
        (X[:0], LABELS[:0], DataError, "x is empty"),
        ([], [], DataError, "x is empty"),
        (X, LABELS[:5], ShapeError, "x has 6 samples but y has 5"),
        (X, None, DataError, "y is missing"),
        (X, LABELS + 1, DataError, "labels from 1 to 3: expected 0 to 2"),
        (X, LABELS - 1, DataError, "labels from -1 to 1: expected 0 to 2"),
        (X, LABELS.astype(float), DataError, "whole class numbers"),
        (X, LABELS[:, None], ShapeError, r"y.reshape\(-1\)"),
        (X, ONE_HOT, ShapeError, "categorical_crossentropy"),
        (with_value(np.nan), LABELS, DataError, "x has NaN or infinite numbers, first in row 3"),
        (with_value(np.inf), LABELS, DataError, "x has NaN or infinite numbers, first in row 3"),
        (X.astype(str), LABELS, DataError, "expected numbers"),
        (X.astype(object), LABELS, DataError, "expected numbers"),
        (X + 1j, LABELS, DataError, "expected numbers"),
        ([[1, 2], [3]], LABELS, DataError, "rows of equal length"),
        (3.0, LABELS, ShapeError, "a single number"),
    ],
)
def test_samples_and_labels(x, y, error: type[DnnkitError], message: str) -> None:
    net = network()
    before = net.parameters["dense/kernel"]
    for ask in (net.fit, net.evaluate, net.train_step, net.get_gradients):
        with pytest.raises(error, match=message):
            ask(x, y)
    np.testing.assert_array_equal(net.parameters["dense/kernel"], before)
    assert net.history.epoch == []


@pytest.mark.parametrize(
    ("loss", "units", "y", "error", "message"),
    [
        ("mean_squared_error", 1, LABELS * 1.0, ShapeError, r"y has shape \(6,\): expected \(6, 1\).*y\[:, None\]"),
        ("mean_squared_error", 3, ONE_HOT[:, :2], ShapeError, r"\(6, 2\): expected \(6, 3\)"),
        ("mean_squared_error", 1, np.full((6, 1), np.nan), DataError, "y has NaN"),
        ("categorical_crossentropy", 3, LABELS, ShapeError, "sparse_categorical_crossentropy"),
        ("binary_crossentropy", 1, LABELS[:, None], DataError, r"from 0 to 2: .* targets in \[0, 1\]"),
    ],
)
def test_targets(loss: str, units: int, y, error: type[DnnkitError], message: str) -> None:
    with pytest.raises(error, match=message):
        network(loss, units).fit(X, y)


@pytest.mark.parametrize(
    ("weights", "error", "message"),
    [
        (np.ones(5), ShapeError, "sample_weight has 5"),
        (np.ones((6, 1)), ShapeError, "one number a sample"),
        (-np.ones(6), DataError, "negative"),
        (np.zeros(6), DataError, "0 for every sample"),
        (np.full(6, np.nan), DataError, "NaN"),
    ],
)
def test_weights(weights, error: type[DnnkitError], message: str) -> None:
    with pytest.raises(error, match=message):
        network().fit(X, LABELS, sample_weight=weights)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_size": 0}, "batch_size is 0: expected a whole number, 1 or more"),
        ({"batch_size": 2.5}, "batch_size is 2.5"),
        ({"epochs": 0}, "epochs is 0"),
        ({"initial_epoch": -1}, "initial_epoch is -1"),
        ({"validation_split": 1.0}, "validation_split is 1.0"),
        ({"validation_data": X}, "validation_data is not"),
        ({"callbacks": [3]}, "callbacks must be"),
        ({"verbose": 5}, "verbose is 5"),
    ],
)
def test_options(options, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        network().fit(X, LABELS, **options)


def test_a_split_that_leaves_a_side_empty() -> None:
    with pytest.raises(DataError, match="one side empty"):
        network().fit(X, LABELS, validation_split=0.1, verbose=0) and network().fit(
            X[:1], LABELS[:1], validation_split=0.5
        )


def test_validation_data_are_checked_before_training() -> None:
    net = network()
    with pytest.raises(DataError, match="labels from 0 to 9"):
        net.fit(X, LABELS, validation_data=(X, LABELS * 0 + np.array([0, 9, 0, 0, 0, 0])))
    assert net.executable.state.step == 0


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: dk.Dense(3, activation="relo"),
            r"unknown activation 'relo': did you mean 'relu'\?",
        ),
        (lambda: dk.Dense(3, activation="../relu"), "unknown activation"),
        (lambda: dk.Dense(3, activation="update"), "unknown activation"),
        (lambda: dk.Dense(3, kernel_initializer="x"), r"unknown initializer 'x': choose one of .*glorot_uniform"),
        (lambda: dk.Sequential([dk.Dense(3)]).compile("adm", "mean_squared_error"), r"unknown optimizer.*adam"),
        (lambda: dk.Sequential([dk.Dense(3)]).compile("adam", "mse"), r"unknown loss 'mse'.*mean_squared_error"),
    ],
)
def test_unknown_names_list_the_choices(make, message: str) -> None:
    with pytest.raises(UnknownName, match=message):
        make()


def test_an_unknown_metric_lists_the_choices() -> None:
    net = dk.Sequential([dk.Dense(3)])
    net.compile("adam", "mean_squared_error", ["acuracy"])
    with pytest.raises(UnknownName, match=r"unknown metric 'acuracy'.*accuracy"):
        net.build(3)


@pytest.mark.parametrize("units", [0, -1, 2.0, "3", True])
def test_units(units) -> None:
    with pytest.raises(ConfigurationError, match="Dense needs a whole number of units"):
        dk.Dense(units)


@pytest.mark.parametrize("rate", [-0.1, 1.0, 2])
def test_dropout_rates(rate: float) -> None:
    with pytest.raises(ConfigurationError, match="dropout rate"):
        dk.Dropout(rate)


def test_images_without_flatten() -> None:
    with pytest.raises(ShapeError, match=r"put Flatten\(\) before it"):
        dk.Sequential([dk.Dense(3)]).predict(np.ones((2, 4, 4)))


@given(arrays.arrays(st.sampled_from([np.int8, np.uint8, np.int64, np.float32, np.float64, np.bool_]), (3, 4)))
def test_whatever_is_finite_is_taken_and_whatever_is_not_is_refused(x: np.ndarray) -> None:
    net = dk.Sequential([dk.Dense(2)], seed=0, dtype="float64")
    if np.isfinite(x).all():
        with np.errstate(all="ignore"):
            assert net.predict(x).shape == (3, 2)
    else:
        with pytest.raises(DataError, match="NaN or infinite"):
            net.predict(x)


def test_lists_and_strided_and_fortran_arrays_are_taken() -> None:
    net = network()
    expected = net.predict(X)
    wide = np.zeros((6, 8))
    wide[:, ::2] = X
    for given_x in (X.tolist(), wide[:, ::2], np.asfortranarray(X)):
        np.testing.assert_array_equal(net.predict(given_x), expected)
