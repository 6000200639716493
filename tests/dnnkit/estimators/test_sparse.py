"""Wide, nearly empty rows of a CSR matrix are multiplied as they are: like dense rows, within rounding."""

from typing import Any

import numpy as np
import pytest
import scipy.sparse

import dnnkit as dk
from dnnkit.backends import Backend
from dnnkit.estimators import sparse

ROWS, COLUMNS = 120, 2100
rng = np.random.default_rng(0)
PLACES = np.stack([np.repeat(np.arange(ROWS), 9), rng.integers(0, COLUMNS, 9 * ROWS)])
X = scipy.sparse.csr_matrix((rng.normal(size=9 * ROWS), PLACES), shape=(ROWS, COLUMNS))
Y = rng.integers(0, 3, ROWS)


def network(backend: Any, **options: Any) -> dk.Sequential:
    layers = [dk.Dense(8, activation="tanh", kernel_regularizer="l2", **options), dk.Dense(3, activation="softmax")]
    net = dk.Sequential(layers, seed=3, backend=backend, dtype="float64")
    net.compile(dk.Adam(0.01), "sparse_categorical_crossentropy", metrics=["accuracy"])
    return net


@pytest.mark.parametrize("use_bias", [True, False])
def test_it_trains_as_on_dense_rows(backend: Backend, use_bias: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    dense, net = network(backend, use_bias=use_bias), network(backend, use_bias=use_bias)
    options: dict[str, Any] = {"batch_size": 16, "epochs": 3, "verbose": 0}
    expected = dense.fit(X.toarray(), Y, validation_data=(X[:20].toarray(), Y[:20]), **options)

    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("rows were made dense")

    with monkeypatch.context() as patch:
        patch.setattr(scipy.sparse.csr_matrix, "toarray", refuse)
        found = sparse.fit(net, X, Y, validation_data=(X[:20], Y[:20]), **options)
    for name, values in expected.history.items():
        np.testing.assert_allclose(found[name], values, rtol=1e-9)
    for name, value in dense.parameters.items():
        np.testing.assert_allclose(net.parameters[name], value, rtol=1e-8, atol=1e-10)


def test_gradients_equal_those_of_dense_rows_and_are_zero_elsewhere() -> None:
    net, places = network("numpy"), [5, 80, 3, 110]
    net.build(COLUMNS)
    trained = dk.Sequential(sparse.first_layers(net, (X[:70], X[70:])), seed=0, backend="numpy", dtype="float64")
    assert isinstance(trained.descriptions[0], sparse.DenseOfRows)
    trained.compile("sgd", "sparse_categorical_crossentropy")
    trained.build(2)
    trained.parameters = dict(net.parameters)
    loss, expected = net.get_gradients(X[places].toarray(), Y[places])
    found, gradients = trained.get_gradients(sparse.row_numbers(0, ROWS)[places], Y[places])
    assert found == pytest.approx(loss, rel=1e-12)
    for name, value in expected.items():
        np.testing.assert_allclose(gradients[name], value, rtol=1e-10, atol=1e-14)
    of_loss = gradients["dense/kernel"] - 2 * 0.01 * net.parameters["dense/kernel"]
    assert np.abs(np.delete(of_loss, np.unique(X[places].indices), axis=0)).max() < 1e-15


@pytest.mark.parametrize(("columns", "share"), [(2000, 0.001), (2100, 0.1)])
def test_narrow_or_fuller_rows_are_made_dense_a_batch_at_a_time(columns: int, share: float) -> None:
    net = network("numpy")
    net.build(columns)
    matrix = scipy.sparse.random(50, columns, share, format="csr", random_state=0)
    assert isinstance(sparse.first_layers(net, (matrix,))[0], sparse.RowsOf)
