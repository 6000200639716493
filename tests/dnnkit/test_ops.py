"""The kernels as functions, on the current backend."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import dnnkit as dk
from dnnkit import ops
from dnnkit.backends import Backend
from dnnkit.errors import ConfigurationError, DataError, ShapeError
from dnnkit.kernels import registry
from tests.oracles import ACTIVATIONS, LOSSES, central_difference

STUB = Path(ops.__file__).with_suffix(".pyi")
X = np.array([[-2.0, -0.3, 0.4], [1.1, 2.5, -4.2]])


def test_the_stub_is_current(tmp_path: Path) -> None:
    target = tmp_path / "ops.pyi"
    subprocess.run([sys.executable, "-m", "tests.dnnkit.ops_stub", target], cwd=STUB.parents[1], check=True)
    assert target.read_text() == STUB.read_text(), "run python -m tests.dnnkit.ops_stub"


def test_everything_that_is_promised_is_listed() -> None:
    names = set(dir(ops))
    for activation in ACTIVATIONS:
        assert {activation, f"{activation}_grad"} <= names
    for loss in LOSSES:
        assert {loss, f"{loss}_backward"} <= names
    assert {"binary_accuracy", "categorical_accuracy"} <= names
    assert "sigmoid_grad_from_output" in names
    assert "gelu_grad_from_output" not in names
    for name in names:
        assert getattr(ops, name).__doc__
        assert getattr(ops, name).__name__ == name


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations_and_their_derivatives(backend: Backend, name: str) -> None:
    y = getattr(ops, name)(X)
    assert backend.owns(y)
    assert y.dtype == backend.dtype("float64")
    gradient = backend.to_numpy(getattr(ops, f"{name}_grad")(X))
    weights = np.array([[0.3, -1.2, 2.0], [1.0, 0.5, -0.7]])
    numeric = central_difference(lambda x: float((backend.to_numpy(getattr(ops, name)(x)) * weights).sum()), X)
    elementwise = registry.activation(name).elementwise
    expected = weights * gradient if elementwise else np.einsum("bik,bi->bk", gradient, weights)
    np.testing.assert_allclose(expected, numeric, rtol=1e-7, atol=1e-9)
    from_output = getattr(ops, f"{name}_grad_from_output", None)
    if from_output is not None and elementwise:
        np.testing.assert_allclose(backend.to_numpy(from_output(y)), gradient, rtol=1e-9)


def test_softmax_takes_an_axis(backend: Backend) -> None:
    np.testing.assert_allclose(backend.to_numpy(ops.softmax(X)).sum(axis=1), 1)
    np.testing.assert_allclose(backend.to_numpy(ops.softmax(X, axis=0)).sum(axis=0), 1)


def test_numbers_lists_and_dtypes(backend: Backend) -> None:
    assert float(ops.sigmoid(0)) == 0.5
    assert float(ops.relu(-3)) == 0.0
    assert ops.tanh([1, 2]).dtype == backend.dtype("float64")
    assert ops.tanh(np.float32([1, 2])).dtype == backend.dtype("float32")


@pytest.mark.parametrize("name", LOSSES)
def test_losses_and_their_gradients(backend: Backend, name: str) -> None:
    y_pred = np.array([[0.2, 0.5, 0.3], [0.6, 0.3, 0.1]])
    y_true = np.array([1, 0]) if name.startswith("sparse") else np.array([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0]])
    gradient = backend.to_numpy(getattr(ops, f"{name}_backward")(y_true, y_pred))
    numeric = central_difference(lambda p: float(getattr(ops, name)(y_true, p)), y_pred)
    np.testing.assert_allclose(gradient, numeric, rtol=1e-7, atol=1e-9)


def test_known_values(backend: Backend) -> None:
    t = np.eye(10)[2]
    y = np.array([0.1, 0.05, 0.6, 0.0, 0.05, 0.1, 0.0, 0.1, 0.0, 0.0])
    assert float(ops.sum_squared_error(t, y)) == pytest.approx(0.0975, abs=1e-12)
    assert float(ops.categorical_cross_entropy_loss(t, y)) == pytest.approx(-np.log(0.6), rel=1e-12)
    assert float(ops.sparse_categorical_crossentropy(2, y)) == pytest.approx(-np.log(0.6), rel=1e-12)
    assert float(ops.binary_cross_entropy_loss([1, 0], [0.9, 0.2])) == pytest.approx(-np.log([0.9, 0.8]).mean())
    np.testing.assert_allclose(
        backend.to_numpy(ops.binary_cross_entropy_loss_backward([1, 0], [0.9, 0.2])), [-0.5 / 0.9, 0.5 / 0.8]
    )


def test_options_of_a_loss_are_those_of_its_class(backend: Backend) -> None:
    logits, labels, rows = X, np.array([1, 0]), np.array([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0]])
    p = backend.to_numpy(ops.softmax(logits))
    expected = -np.log(p[[0, 1], labels]).mean()
    assert float(ops.sparse_categorical_crossentropy(labels, logits, from_logits=True)) == pytest.approx(expected)
    assert float(ops.categorical_cross_entropy_loss(rows, logits, from_logits=True)) == pytest.approx(expected)
    gradient = backend.to_numpy(ops.categorical_crossentropy_backward(rows, logits, from_logits=True))
    np.testing.assert_allclose(gradient, (p - rows) / 2, rtol=1e-12, atol=1e-15)
    binary = float(ops.binary_crossentropy([1.0, 0.0], [2.0, -3.0], from_logits=True))
    assert binary == pytest.approx(np.log1p(np.exp([-2.0, -3.0])).mean())
    assert float(ops.categorical_crossentropy(rows, p, epsilon=1e-3)) == pytest.approx(
        -np.log(p[[0, 1], labels] + 1e-3).mean(), rel=1e-12
    )


def test_other_options_are_an_error() -> None:
    for name, option in (("mean_squared_error", "epsilon"), ("sparse_categorical_crossentropy", "eps")):
        for ending in ("", "_backward"):
            with pytest.raises(TypeError, match=f"'{option}'"):
                getattr(ops, name + ending)([1], [[0.5, 0.5]], **{option: 1e-7})
    with pytest.raises(ConfigurationError, match="epsilon=2"):
        ops.categorical_crossentropy([0.0, 1.0], [0.5, 0.5], epsilon=2)


def test_options_are_forgotten_by_the_next_call(backend: Backend) -> None:
    t, p = np.eye(3)[:2], np.array([[0.2, 0.5, 0.3], [0.6, 0.3, 0.1]])
    before = float(ops.categorical_crossentropy(t, p))
    assert float(ops.categorical_crossentropy(t, p, epsilon=0.1)) != before
    assert float(ops.categorical_crossentropy(t, p)) == before


@pytest.mark.parametrize(
    ("y_true", "y_pred", "share"),
    [
        ([1.0, 0.0, 1.0, 0.0], [0.9, 0.2, 0.4, 0.7], 0.5),
        ([1.0], [0.51], 1.0),
        ([1.0], [0.5], 0.0),  # the threshold itself is not above it
        ([0.0], [0.5], 1.0),
        ([0.51, 0.5], [1.0, 1.0], 0.5),  # soft targets: which side of one half
        ([[1.0], [0.0], [1.0]], [[0.9], [0.8], [0.7]], 2 / 3),
        ([[1.0, 0.0], [1.0, 1.0]], [[0.9, 0.8], [0.7, 0.2]], 0.5),
        (1.0, 0.9, 1.0),
        (np.zeros((2, 3, 4)), np.zeros((2, 3, 4)), 1.0),
    ],
)
def test_binary_accuracy_is_a_share_of_numbers(backend: Backend, y_true, y_pred, share: float) -> None:
    accuracy = ops.binary_accuracy(y_true, y_pred)
    assert type(accuracy) is float
    assert accuracy == pytest.approx(share, rel=1e-12)
    single = ops.binary_accuracy(np.asarray(y_true, np.float32), np.asarray(y_pred, np.float32))
    assert single == pytest.approx(share, rel=1e-12)


def test_binary_accuracy_takes_a_threshold(backend: Backend) -> None:
    y_true, scores = [1.0, 0.0, 1.0, 0.0], [0.3, -0.2, -0.1, 0.1]
    expected = {0.0: 0.5, 0.2: 0.75, 5.0: 0.5, -5.0: 0.5, -0.15: 0.75}
    assert {threshold: ops.binary_accuracy(y_true, scores, threshold) for threshold in expected} == expected
    assert ops.binary_accuracy(y_true, scores, threshold=0.2) == 0.75


@pytest.mark.parametrize("dtype", [np.int64, np.uint8, np.bool_])
def test_binary_accuracy_takes_whole_numbers_and_truth_values(backend: Backend, dtype) -> None:
    assert ops.binary_accuracy(np.array([1, 0, 1], dtype), [0.9, 0.2, 0.4]) == pytest.approx(2 / 3)
    assert ops.binary_accuracy([1.0, 0.0, 1.0], np.array([1, 0, 0], dtype)) == pytest.approx(2 / 3)


@pytest.mark.parametrize("dtype", [np.int64, np.int32, np.uint8])
def test_categorical_accuracy_is_a_share_of_rows(backend: Backend, dtype) -> None:
    y_pred = np.array([[0.2, 0.5, 0.3], [0.6, 0.3, 0.1], [0.1, 0.1, 0.8], [0.4, 0.35, 0.25]])
    labels = np.array([1, 2, 2, 0], dtype)
    for targets in (labels, labels.tolist(), np.eye(3)[labels], np.eye(3, dtype=dtype)[labels]):
        accuracy = ops.categorical_accuracy(targets, y_pred)
        assert type(accuracy) is float
        assert accuracy == 0.75
    assert ops.categorical_accuracy(labels, np.float32(y_pred)) == 0.75
    assert ops.categorical_accuracy(0.8 * np.eye(3)[labels] + 0.1, y_pred) == 0.75  # soft rows: their largest entry
    assert ops.categorical_accuracy([0], [[2, 1]]) == 1.0  # scores need not be probabilities, nor floats


@settings(max_examples=30)
@given(rows=st.integers(1, 40), classes=st.integers(1, 6), seed=st.integers(0, 2**32 - 1))
def test_accuracies_count_right_predictions(rows: int, classes: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    scores, labels = rng.normal(size=(rows, classes)), rng.integers(0, classes, rows)
    assert ops.categorical_accuracy(labels, scores) == pytest.approx(np.mean(scores.argmax(axis=1) == labels))
    targets = rng.integers(0, 2, (rows, classes))
    assert ops.binary_accuracy(targets, scores, 0.0) == pytest.approx(np.mean((scores > 0) == (targets == 1)))


def test_accuracies_are_those_that_training_reports(backend: Backend) -> None:
    rng = np.random.default_rng(0)
    x, labels = rng.normal(size=(40, 3)), rng.integers(0, 4, 40)
    net = dk.Sequential([dk.Dense(4, activation="softmax")], seed=0, backend=backend)
    net.compile("sgd", "sparse_categorical_crossentropy", ["accuracy"])
    assert ops.categorical_accuracy(labels, net.predict(x)) == pytest.approx(net.evaluate(x, labels)["accuracy"])
    binary = dk.Sequential([dk.Dense(2, activation="sigmoid")], seed=0, backend=backend)
    binary.compile("sgd", "binary_crossentropy", ["accuracy"])
    y = np.stack([labels > 1, labels % 2], axis=1).astype(float)
    assert ops.binary_accuracy(y, binary.predict(x)) == pytest.approx(binary.evaluate(x, y)["accuracy"])


def test_accuracies_of_shapes_that_do_not_fit(backend: Backend) -> None:
    with pytest.raises(ShapeError, match=r"y_true has shape \(2,\) but y_pred has \(2, 1\): expected the same"):
        ops.binary_accuracy([1.0, 0.0], [[0.9], [0.2]])
    for y_true, y_pred in [
        ([1], [[0.1, 0.9], [0.5, 0.5]]),
        ([[0, 1, 0], [1, 0, 0]], [[0.1, 0.9], [0.5, 0.5]]),
        ([1, 0], [0.9, 0.2]),
        (1, [0.1, 0.9]),
    ]:
        with pytest.raises(ShapeError, match=r"expected \(N,\) or \(N, C\) for predictions \(N, C\)"):
            ops.categorical_accuracy(y_true, y_pred)


@pytest.mark.parametrize(
    ("accuracy", "y_true", "y_pred"),
    [
        (ops.binary_accuracy, np.zeros(0), np.zeros(0)),
        (ops.categorical_accuracy, np.zeros(0, int), np.zeros((0, 3))),
    ],
    ids=["binary", "categorical"],
)
def test_accuracies_of_nothing_are_an_error_in_words(accuracy, y_true, y_pred) -> None:
    with pytest.raises((DataError, ShapeError)):
        accuracy(y_true, y_pred)


def test_bad_input(backend: Backend) -> None:
    with pytest.raises(AttributeError, match=r"no function 'sigmoyd': did you mean 'sigmoid'"):
        ops.sigmoyd  # noqa: B018
    with pytest.raises(ShapeError, match=r"\(2,\) but y_pred has \(3,\)"):
        ops.mean_squared_error([1, 2], [1, 2, 3])
    with pytest.raises(DataError, match="labels from 3 to 3"):
        ops.sparse_categorical_crossentropy([3], [[0.1, 0.9]])
    with pytest.raises(DataError, match="whole class numbers"):
        ops.sparse_categorical_crossentropy([0.5], [[0.1, 0.9]])
    with pytest.raises(ShapeError, match="2 labels for 1 rows"):
        ops.sparse_categorical_crossentropy([0, 1], [[0.1, 0.9]])


def test_they_follow_the_current_backend(backend: Backend) -> None:
    assert backend.owns(ops.gelu(X))
    with dk.use_backend("numpy"):
        assert isinstance(ops.gelu(X), np.ndarray)
