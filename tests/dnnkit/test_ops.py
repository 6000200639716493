"""The kernels as functions, on the current backend."""

import numpy as np
import pytest

import dnnkit as dk
from dnnkit import ops
from dnnkit.backends import Backend
from dnnkit.errors import DataError, ShapeError
from tests.oracles import ACTIVATIONS, LOSSES, central_difference

X = np.array([[-2.0, -0.3, 0.4], [1.1, 2.5, -4.2]])


def test_everything_that_is_promised_is_listed() -> None:
    names = set(dir(ops))
    for activation in ACTIVATIONS:
        assert {activation, f"{activation}_grad"} <= names
    for loss in LOSSES:
        assert {loss, f"{loss}_backward"} <= names
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
    expected = weights * gradient if name != "softmax" else np.einsum("bik,bi->bk", gradient, weights)
    np.testing.assert_allclose(expected, numeric, rtol=1e-7, atol=1e-9)
    from_output = getattr(ops, f"{name}_grad_from_output", None)
    if from_output is not None and name != "softmax":
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


def test_bad_input(backend: Backend) -> None:
    with pytest.raises(AttributeError, match=r"no function 'sigmoyd'; it has .*sigmoid"):
        ops.sigmoyd  # noqa: B018
    with pytest.raises(ShapeError, match=r"\(2,\) but y_pred has \(3,\)"):
        ops.mean_squared_error([1, 2], [1, 2, 3])
    with pytest.raises(DataError, match="labels from 3 to 3"):
        ops.sparse_categorical_crossentropy([3], [[0.1, 0.9]])
    with pytest.raises(DataError, match="whole class numbers"):
        ops.sparse_categorical_crossentropy([0.0], [[0.1, 0.9]])
    with pytest.raises(ShapeError, match="2 labels for 1 rows"):
        ops.sparse_categorical_crossentropy([0, 1], [[0.1, 0.9]])


def test_they_follow_the_current_backend(backend: Backend) -> None:
    assert backend.owns(ops.gelu(X))
    with dk.use_backend("numpy"):
        assert isinstance(ops.gelu(X), np.ndarray)
