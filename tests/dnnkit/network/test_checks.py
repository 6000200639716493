"""Bad input: one clear error that says what was given, what was expected and what to do, and nothing changes."""

import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

import dnnkit as dk
from dnnkit.backends import Backend
from dnnkit.errors import ConfigurationError, DataError, DnnkitError, ShapeError, UnknownName

X = np.random.default_rng(0).normal(size=(6, 4))
LABELS = np.array([0, 1, 2, 0, 1, 2])
ONE_HOT = np.eye(3)[LABELS]


def network(loss: str = "sparse_categorical_crossentropy", units: int = 3) -> dk.Sequential:
    last = {"mean_squared_error": "linear", "binary_crossentropy": "sigmoid"}.get(loss, "softmax")
    net = dk.Sequential([dk.Dense(units, activation=last)], seed=0)
    net.compile(optimizer="sgd", loss=loss)
    net.build(4)
    return net


class Sparse:
    """Like SciPy's sparse matrices: not an array, but convertible to one."""

    def toarray(self) -> np.ndarray:
        return X


class OnDevice:
    """Like CuPy's arrays, which are never converted to NumPy arrays implicitly."""

    def __array__(self, dtype=None, copy=None):
        raise TypeError("use .get()")


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
        (
            X,
            LABELS + np.array([0, 0, 0.5, 0, 0, 0]),
            DataError,
            r"y has 2.5 in row 2: expected whole class numbers from 0 to 2",
        ),
        (X, LABELS + 1.0, DataError, "labels from 1 to 3: expected 0 to 2"),
        (X, LABELS - 1.0, DataError, "labels from -1 to 1: expected 0 to 2"),
        (X, LABELS * np.nan, DataError, "y has NaN or infinite numbers, first in row 0"),
        (X, LABELS * 1e300, DataError, "y has NaN or infinite numbers, first in row 1"),
        (X, LABELS[:, None, None], ShapeError, r"expected class numbers, \(6,\) or \(6, 1\)"),
        (X, ONE_HOT[:, :2], ShapeError, r"y has shape \(6, 2\): expected class numbers"),
        (X, ONE_HOT, ShapeError, "categorical_crossentropy"),
        (with_value(np.nan), LABELS, DataError, "x has NaN or infinite numbers, first in row 3"),
        (with_value(np.inf), LABELS, DataError, "x has NaN or infinite numbers, first in row 3"),
        (X.astype(str), LABELS, DataError, "expected numbers"),
        (X.astype(object), LABELS, DataError, "expected numbers"),
        (X + 1j, LABELS, DataError, "expected numbers"),
        ([[1, 2], [3]], LABELS, DataError, "rows of equal length"),
        (3.0, LABELS, ShapeError, "a single number"),
        (None, LABELS, DataError, "x is missing"),
        ({"a": [1, 2]}, LABELS, DataError, "x is of type dict, not an array"),
        ((row for row in X), LABELS, DnnkitError, "x is of type generator, not an array|x yields batches"),
        (Sparse(), LABELS, DataError, r"x is of type Sparse, not an array: use toarray\(\)"),
        (OnDevice(), LABELS, DataError, r"x cannot be converted to an array: use .get\(\)"),
        (np.ma.masked_array(X, X > 1.0), LABELS, DataError, r"x is a masked array with \d+ masked.*filled\(0\)"),
        ([np.ma.masked_array(row, row > 0) for row in X], LABELS, DataError, "x is a masked array with"),
        (X, np.ma.masked_equal(LABELS, 1), DataError, "y is a masked array with 2 masked values"),
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
        ("mean_squared_error", 1, ONE_HOT, ShapeError, r"y has shape \(6, 3\): expected \(6, 1\)"),
        ("mean_squared_error", 3, LABELS * 1.0, ShapeError, r"y has shape \(6,\): expected \(6, 3\)"),
        ("binary_crossentropy", 1, LABELS, DataError, r"from 0 to 2: .* targets in \[0, 1\]"),
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
        (np.ones((6, 1)), ShapeError, "one number per sample"),
        (-np.ones(6), DataError, "negative"),
        (np.zeros(6), DataError, "0 for every sample"),
        (np.full(6, np.nan), DataError, "NaN"),
        (
            np.full(6, 1e-50),
            DataError,
            r"sample_weight has 1e-50: in float32, weights need to be 0 or from 1e-26 to 3e\+26",
        ),
        (np.full(6, 1e-42), DataError, "sample_weight has 1e-42"),
        ([1, 1, 1, 1, 1, 1e-42], DataError, "multiply all by one number"),
        ([1, 1, 1, 1, 1, 1e30], DataError, r"sample_weight has 1e\+30"),
        (
            np.ma.masked_array(np.ones(6), [0, 0, 1, 0, 0, 0]),
            DataError,
            "sample_weight is a masked array with 1 masked",
        ),
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
        ({"validation_data": X}, "validation_data is invalid"),
        ({"callbacks": [3]}, "callbacks must be"),
        ({"verbose": 5}, "verbose is 5"),
        ({"verbose": np.ones(3)}, "verbose is array"),
        ({"epochs": "3"}, "epochs is '3'"),
        ({"validation_split": "a"}, "validation_split is 'a'"),
        ({"callbacks": 3}, "callbacks is 3"),
        ({"callbacks": np.array(3)}, "callbacks is array"),
        ({"class_weight": "balanced"}, r"class_weight is 'balanced'.*np.bincount"),
        ({"class_weight": [1.0, 2.0, 3.0]}, r"class_weight is \[1.0, 2.0, 3.0\]: expected a mapping"),
        ({"class_weight": {0: "a"}}, r"class_weight\[0\] is 'a': expected a finite number"),
        ({"class_weight": {0: np.nan}}, r"class_weight\[0\] is nan"),
        ({"class_weight": {7: 1.0}}, "class 7: the classes are 0 to 2"),
        ({"steps_per_epoch": 10**9}, r"32,000,000,000 samples, whose order alone would take 238 GiB: expected at most"),
        ({"steps_per_epoch": 10**400}, "samples, whose order"),
        ({"batch_size": 2**62, "steps_per_epoch": 2}, "samples, whose order"),
        ({"batch_size": sys.maxsize, "shuffle": "with_replacement"}, "samples, whose order"),
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
        (lambda: dk.Sequential([dk.Dense(3)]).compile("adam", "mxe"), r"unknown loss 'mxe'.*mean_squared_error"),
    ],
)
def test_unknown_names_list_the_choices(make, message: str) -> None:
    with pytest.raises(UnknownName, match=message):
        make()


def test_an_unknown_metric_lists_the_choices() -> None:
    net = dk.Sequential([dk.Dense(3)])
    with pytest.raises(UnknownName, match=r"unknown metric 'acuracy'.*accuracy"):
        net.compile("adam", "mean_squared_error", ["acuracy"])
    assert not net.is_compiled


@pytest.mark.parametrize("units", [0, -1, 2.0, "3", True])
def test_units(units) -> None:
    with pytest.raises(ConfigurationError, match=r"Dense\(units=.*\): expected a whole number, 1 or more"):
        dk.Dense(units)


@pytest.mark.parametrize("rate", [-0.1, 1.0, 2])
def test_dropout_rates(rate: float) -> None:
    with pytest.raises(ConfigurationError, match=r"Dropout\(rate=.*\): expected a number of at least 0 and below 1"):
        dk.Dropout(rate)


def test_images_without_flatten() -> None:
    with pytest.raises(ShapeError, match=r"put Flatten\(\) before this layer"):
        dk.Sequential([dk.Dense(3)]).predict(np.ones((2, 4, 4)))


@given(arrays.arrays(st.sampled_from([np.int8, np.uint8, np.int64, np.float32, np.float64, np.bool_]), (3, 4)))
def test_every_finite_number_is_accepted_and_every_other_is_rejected(x: np.ndarray) -> None:
    net = dk.Sequential([dk.Dense(2)], seed=0, dtype="float64")
    if np.isfinite(x).all():
        with np.errstate(all="ignore"):
            assert net.predict(x).shape == (3, 2)
    else:
        with pytest.raises(DataError, match="NaN or infinite"):
            net.predict(x)


def test_lists_and_strided_and_fortran_arrays_are_accepted() -> None:
    net = network()
    expected = net.predict(X)
    wide = np.zeros((6, 8))
    wide[:, ::2] = X
    for given_x in (X.tolist(), wide[:, ::2], np.asfortranarray(X)):
        np.testing.assert_array_equal(net.predict(given_x), expected)


# Numbers of any origin and any size


def trained(backend: Backend | str, batch_size, weights=None, **options) -> tuple[dk.Sequential, dk.History]:
    net = dk.Sequential([dk.Dense(3, activation="softmax")], seed=0, backend=backend)
    net.compile("adam", "sparse_categorical_crossentropy", ["accuracy"])
    options = {"epochs": 2, "validation_data": (X, LABELS), "sample_weight": weights, "verbose": 0} | options
    return net, net.fit(X, LABELS, batch_size=batch_size, **options)


@pytest.mark.parametrize("weights", [None, np.arange(1.0, 7.0)])
@pytest.mark.parametrize("batch_size", [7, 2**31, 2**53 + 1, 2**54 + 3, sys.maxsize, 10**30])
def test_a_batch_larger_than_the_data_is_all_of_the_data(backend: Backend, batch_size, weights):
    net, history = trained(backend, batch_size, weights)
    whole, expected = trained(backend, len(X), weights)
    assert history.history == expected.history
    for name, value in whole.parameters.items():
        np.testing.assert_array_equal(net.parameters[name], value)
    for options in ({}, {"sample_weight": weights}):
        scores = net.evaluate(X, LABELS, batch_size=batch_size, **options)
        assert scores == net.evaluate(X, LABELS, batch_size=len(X), **options)
    np.testing.assert_array_equal(net.predict(X, batch_size=batch_size), net.predict(X, batch_size=len(X)))


def test_counted_steps_show_rows_again(backend: Backend):
    """Batches with every sample twice: the same result as the samples themselves."""
    net = dk.Sequential([dk.Dense(3, activation="softmax")], seed=0, backend=backend, dtype="float64")
    net.compile(dk.SGD(0.0), "sparse_categorical_crossentropy", ["accuracy"])
    history = net.fit(X, LABELS, batch_size=12, steps_per_epoch=3, verbose=0)
    scores = net.evaluate(X, LABELS)
    assert net.executable.state.step == 3
    assert history["loss"][0] == pytest.approx(scores["loss"])
    assert history["accuracy"][0] == pytest.approx(scores["accuracy"])


def test_numpy_scalars_are_accepted_everywhere(backend: Backend, tmp_path):
    hidden = dk.Dense(np.int64(4), activation="relu")
    net = dk.Sequential(
        [dk.Rescaling(1 / X.max()), hidden, dk.Dropout(np.float32(0.25)), dk.Dense(3)],
        seed=np.uint32(7),
        num_threads=np.array(1),
        backend=backend,
    )
    schedule = dk.schedules.PiecewiseConstantDecay(np.array([1, 3]), np.array([0.1, 0.05, 0.01], np.float32))
    net.compile(dk.SGD(schedule, momentum=np.float32(0.5)), dk.losses.SparseCategoricalCrossentropy(np.bool_(True)))
    net.fit(
        X,
        LABELS,
        batch_size=np.int32(2),
        epochs=np.array(2),
        initial_epoch=np.uint8(0),
        validation_split=np.float32(0.34),
        class_weight={np.int64(0): np.float32(2), 1: np.array(0.5)},
        callbacks=[dk.EarlyStopping(min_delta=np.float32(0.1), patience=np.int64(3))],
        verbose=np.int64(0),
    )
    net.save(tmp_path / "run")
    again = dk.load(tmp_path / "run", backend="numpy")
    assert again.layers == net.layers
    assert again.optimizer == net.optimizer
    assert again.loss == net.loss


@pytest.mark.parametrize("scale", [1e-20, 1e20])
def test_small_and_large_weights_train_as_ones_do(backend: Backend, scale):
    """In a mean only their ratios count."""
    net, history = trained(backend, 2, np.full(6, scale))
    plain, expected = trained(backend, 2, np.ones(6))
    np.testing.assert_allclose(history["loss"], expected["loss"], rtol=1e-5)
    for name, value in plain.parameters.items():
        np.testing.assert_allclose(net.parameters[name], value, rtol=1e-4, atol=1e-6)


def test_a_masked_array_with_nothing_masked_is_a_plain_one(backend: Backend):
    net, _ = trained(backend, 2)
    mask = np.ma.masked_array
    assert net.evaluate(mask(X), mask(LABELS), sample_weight=mask(np.ones(6))) == net.evaluate(X, LABELS)
    np.testing.assert_array_equal(net.predict(mask(X)), net.predict(X))
    net.parameters["dense/bias"] = mask(np.ones(3))
    with pytest.raises(DataError, match="parameter 'dense/bias' is a masked array with 1 masked"):
        net.parameters["dense/bias"] = mask(np.ones(3), [True, False, False])


@pytest.mark.parametrize("rows", [1, 6])
def test_a_masked_array_is_rejected_by_predict_too(backend: Backend, rows):
    net = dk.Sequential([dk.Dense(2)], seed=0, backend=backend)
    x = np.ones((rows, 4), np.float32)
    net.predict(x)
    with pytest.raises(DataError, match="x is a masked array with 4 masked values"):
        net.predict(np.ma.masked_array(x, np.arange(4 * rows).reshape(rows, 4) < 4))


# Invalid layer lists, sizes and paths


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: dk.Sequential(None), "layers is None: expected a list of layers"),
        (lambda: dk.Sequential(3), "layers is 3"),
        (lambda: dk.Sequential(np.array(3)), "layers is array"),
        (lambda: dk.Sequential(dk.Dense(3)), r"single layer Dense.*write Sequential\(\[Dense"),
        (lambda: dk.Sequential([dk.Dense]), "layers must be objects of class Layer"),
        (lambda: dk.Sequential(["relu"]), "layers must be objects of class Layer"),
        (lambda: dk.Sequential([dk.Dense(3)], dtype="float16"), "dtype is 'float16'"),
        (lambda: dk.Sequential([dk.Dense(3)], dtype=np.int64), "dtype is <class"),
        (lambda: dk.Sequential([dk.Dense(3)], dtype=None), "dtype is None"),
        (lambda: dk.Sequential([dk.Dense(3)]).build(()), r"input_shape is \(\): expected at least one size"),
        (lambda: dk.Sequential([dk.Dense(3)]).build(None), "a size in input_shape is None"),
        (lambda: dk.Sequential([dk.Dense(3)]).build("3"), "a size in input_shape is '3'"),
        (lambda: dk.Sequential([dk.Dense(3)]).build(10**30), "parameters of .* GiB, but this machine has"),
        (lambda: dk.Sequential([dk.Dense(3)]).build(10**400), "but this machine has"),
        (lambda: dk.Sequential([dk.Dense(10**30)]).build(4), "but this machine has"),
        (lambda: dk.Sequential([dk.Dense(3), dk.Rescaling(1e-50)]).build(4), r"Rescaling\(scale=1e-50\) cannot be"),
        (lambda: dk.Sequential([dk.Rescaling(1, 1e50), dk.Dense(3)]).build(4), r"Rescaling\(offset=1e\+50\) cannot"),
        (
            lambda: dk.Sequential([dk.Dense(3, bias_initializer=dk.initializers.Constant(1e50))]).build(4),
            "not finite in float32",
        ),
    ],
)
def test_invalid_layers_of_a_network(make, message):
    with pytest.raises(ConfigurationError, match=message):
        make()


def test_numpys_dtypes_are_names_of_dtypes():
    for given_dtype in (np.float64, np.dtype("float64"), float):
        assert dk.Sequential([dk.Dense(3)], dtype=given_dtype).dtype == "float64"


@pytest.mark.parametrize("name", [3, False, [], np.ones(2)])
def test_a_backend_has_a_name(name):
    with pytest.raises(dk.errors.BackendUnavailable, match="expected a name"):
        dk.Sequential([dk.Dense(3)], backend=name).build(4)


def test_a_build_that_fails_leaves_the_network_to_be_built():
    net = dk.Sequential([dk.Dense(3)], seed=0, backend="numpy")
    with pytest.raises(ShapeError):
        net.build((2, 2))
    assert net.predict(np.ones((1, 5))).shape == (1, 3)


@pytest.mark.parametrize("path", [None, 3, b"x", "\0", [], 1.5])
def test_invalid_paths(path):
    net = network()
    for ask in (net.save, net.save_weights, net.load_weights, net.to_numpy_source, dk.load, dk.CSVLogger):
        with pytest.raises(ConfigurationError, match="path is"):
            ask(path)


def test_a_name_that_is_too_long_or_none_cannot_be_written_to():
    net = network()
    for ask in (net.save, net.save_weights):
        with pytest.raises(dk.errors.CheckpointError, match="cannot write"):
            ask("a" * 5000)
    with pytest.raises(dk.errors.CheckpointError, match="it is a folder; name a file"):
        net.save_weights("")


def test_callbacks_may_be_none() -> None:
    network().fit(X, LABELS, callbacks=None, verbose=0)


# Parameters


def test_parameters_are_assigned_all_or_none(backend: Backend):
    net = dk.Sequential([dk.Dense(2), dk.Dense(2)], seed=0, backend=backend)
    net.build(3)
    other = dk.Sequential([dk.Dense(2), dk.Dense(2)], seed=1, backend=backend)
    other.build(3)
    before = dict(net.parameters)
    with pytest.raises(ShapeError):
        net.set_parameters({"dense/bias": np.ones(2), "dense_1/bias": np.ones(3)})
    np.testing.assert_array_equal(net.parameters["dense/bias"], before["dense/bias"])
    net.parameters = other.parameters
    for name, value in other.parameters.items():
        np.testing.assert_array_equal(net.parameters[name], value)


@pytest.mark.parametrize(
    ("assign", "error", "message"),
    [
        (lambda net: setattr(net, "parameters", "a"), ConfigurationError, "a mapping of names to arrays"),
        (lambda net: net.set_parameters(None), ConfigurationError, "a mapping of names to arrays"),
        (lambda net: net.parameters.__setitem__("dense/bias", "a"), DataError, "array of numbers"),
        (lambda net: net.parameters.__setitem__("dense/bias", [1, 2j, 3]), DataError, "array of numbers"),
        (lambda net: net.parameters.__setitem__("dense/bias", [[1], 2, 3]), DataError, "array of numbers"),
        (lambda net: net.parameters[[1]], UnknownName, "no parameter"),
    ],
)
def test_invalid_parameters(assign, error, message):
    with pytest.raises(error, match=message):
        assign(network())
