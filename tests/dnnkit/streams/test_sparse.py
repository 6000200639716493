"""A sparse matrix trains as the dense one does; it is multiplied as it is, or only a chunk of it becomes dense."""

import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import sparse

import dnnkit as dk
from dnnkit.backends import Backend
from dnnkit.errors import CheckpointError, ConfigurationError, DataError, ShapeError
from dnnkit.kernels.compressed_rows import CompressedRows
from tests.dnnkit.streams.files import BATCH, BUFFER, CLASSES, FEATURES, bits, data, network

OPTIONS: dict[str, Any] = {"batch_size": BATCH, "epochs": 2, "validation_split": 0.2, "verbose": 0}


def thinned(least: float = 1) -> tuple[np.ndarray, np.ndarray]:
    """Return rows a third of whose numbers are not zero: too many to be multiplied as they are; with 2.5, 1 %."""
    x, y = data()
    x[np.abs(x) < least] = 0
    return x, y


def loaded(net: dk.Sequential) -> Any:
    """The samples that the network last trained on."""
    batches = net.executable.epoch.batches
    return batches.data.x if hasattr(batches, "data") else batches._data.x


@pytest.mark.parametrize("form", ["csr_matrix", "coo_array"])
def test_it_trains_as_the_dense_one(backend: Backend, form: str) -> None:
    x, y = thinned()
    matrix = getattr(sparse, form)(x)
    expected, net = network(backend), network(backend)
    assert net.fit(matrix, y, **OPTIONS).history == expected.fit(x, y, **OPTIONS).history
    assert bits(net) == bits(expected)
    np.testing.assert_array_equal(net.predict(matrix), expected.predict(x))
    assert net.evaluate(matrix, y) == expected.evaluate(x, y)
    net.fit(matrix[:400], y[:400], validation_data=(matrix[400:], y[400:]), verbose=0)


@pytest.mark.parametrize(("form", "factor"), [("csr_matrix", 1), ("coo_array", 0.3)])
@pytest.mark.parametrize("others", [{}, {"shuffle": "with_replacement"}, {"class_weight": {0: 2.0}}])
def test_nearly_empty_it_is_multiplied_as_it_is(
    backend: Backend, form: str, factor: float, others: dict[str, Any]
) -> None:
    x, y = thinned(2.5)
    matrix = getattr(sparse, form)(x)
    expected, net = behind(dk.Rescaling(factor), backend), behind(dk.Rescaling(factor), backend)
    dense = expected.fit(x, y, **OPTIONS, **others)
    found = net.fit(matrix, y, **OPTIONS, **others)
    if backend.name in ("numpy", "numba"):
        assert isinstance(loaded(net), CompressedRows)
    for name, values in dense.history.items():
        np.testing.assert_allclose(found.history[name], values, rtol=1e-5)
    np.testing.assert_allclose(net.predict(matrix), expected.predict(x), rtol=1e-4, atol=1e-6)
    assert net.evaluate(matrix, y)["loss"] == pytest.approx(expected.evaluate(x, y)["loss"], rel=1e-5)


def behind(first: dk.Layer, backend: Any) -> dk.Sequential:
    net = dk.Sequential([first, *network().layers], seed=1, backend=backend)
    net.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return net


@pytest.mark.parametrize("first", [dk.Rescaling(0.5, 1.0), dk.Dropout(0.1), dk.Normalization()])
def test_behind_another_layer_it_becomes_dense(backend: Backend, first: dk.Layer) -> None:
    x, y = thinned(2.5)
    nets = [behind(first, backend) for _ in range(2)]
    for net, given in zip(nets, (sparse.csr_array(x), x), strict=True):
        net.fit(given, y, **OPTIONS)
    assert bits(nets[0]) == bits(nets[1])


def test_full_batches_multiply_it(backend: Backend) -> None:
    x, y = thinned(2.5)
    nets = [
        dk.Sequential(
            [dk.Dense(8, activation="tanh"), dk.Dense(4, activation="softmax")],
            seed=1,
            backend=backend,
            dtype="float64",
        )
        for _ in range(2)
    ]
    for net, given in zip(nets, (sparse.csr_array(x), x), strict=True):
        net.compile(dk.LBFGS(), "sparse_categorical_crossentropy")
        net.fit(given, y, epochs=5, verbose=0)
    np.testing.assert_allclose(nets[0].history["loss"], nets[1].history["loss"], rtol=1e-7)
    if backend.name in ("numpy", "numba"):
        assert isinstance(nets[0].executable.epoch.data.x, CompressedRows)


def test_a_checkpoint_of_it_goes_on(tmp_path: Path) -> None:
    x, y = thinned(2.5)
    matrix, whole = sparse.csr_array(x), network("numba")
    whole.fit(matrix, y, batch_size=BATCH, steps=66, verbose=0)
    for steps in (40, 66):  # in the middle of the second epoch
        net = network("numba")
        net.fit(matrix, y, batch_size=BATCH, steps=steps, verbose=0, checkpoint=tmp_path)
    assert bits(net) == bits(whole)
    with pytest.raises(CheckpointError, match="data"):
        network("numba").fit(sparse.csr_array(x[::-1]), y, batch_size=BATCH, steps=66, verbose=0, checkpoint=tmp_path)


def test_many_networks_train_on_one() -> None:
    x, y = thinned()
    matrix, options = sparse.csr_array(x), {"batch_size": BATCH, "verbose": 0}
    nets, expected = [network("numpy"), network("numpy")], network("numpy")
    dk.fit_many(nets, matrix, y, **options)
    expected.fit(x, y, **options)
    assert bits(nets[1]) == bits(expected)
    found = dk.cross_validate(network("numpy"), matrix, y, folds=2, **options)
    assert found.predictions.shape == (len(x), CLASSES)
    with pytest.raises(ConfigurationError, match="only by the fit of one network"):
        dk.fit_many(nets, dk.streams.open(matrix, y, buffer=BUFFER), None, **options)


def test_chunk_by_chunk_it_has_the_bits_of_the_dense_rows_in_the_same_order(backend: Backend) -> None:
    x, y = thinned()
    chunks: dict[str, Any] = {"buffer": BUFFER, "block_rows": 7}
    expected, net = network(backend), network(backend)
    dense = expected.fit(dk.streams.open(x, y, **chunks), **OPTIONS)
    assert net.fit(dk.streams.open(sparse.csr_array(x), y, **chunks), **OPTIONS).history == dense.history
    assert bits(net) == bits(expected)


def test_it_is_never_dense_as_a_whole() -> None:
    rng = np.random.default_rng(1)
    numbers, columns = rng.normal(size=(4000, 20)).astype(np.float32), rng.integers(0, 20_000, (4000, 20))
    places = np.repeat(np.arange(4000), 20), columns.ravel()
    matrix = sparse.csr_array((numbers.ravel(), places), shape=(4000, 20_000))
    net = dk.Sequential([dk.Dense(4, activation="relu"), dk.Dense(2, activation="softmax")], seed=0, backend="numpy")
    net.compile("sgd", "sparse_categorical_crossentropy")
    y = np.arange(4000) % 2
    fresh, *many = (net.copy() for _ in range(3))
    for train in (
        lambda: net.fit(dk.streams.open(matrix, y, buffer=8), verbose=0),
        lambda: dk.fit_many(many, matrix, y, validation_data=(matrix[:2000], y[:2000]), verbose=0),
        lambda: dk.cross_validate(fresh, matrix, y, folds=2, verbose=0),
    ):
        tracemalloc.start()
        train()
        assert tracemalloc.get_traced_memory()[1] < 60e6  # 320 MB if it were dense
        tracemalloc.stop()


def test_errors_of_sparse_matrices_are_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = thinned()
    with pytest.raises(DataError, match=r"sparse matrix of shape .* and dtype complex64: expected real numbers"):
        network("numpy").fit(sparse.csr_array(x.astype(np.complex64)), y, verbose=0)
    for least in (1, 2.5):
        x, y = thinned(least)
        x[7, 3] = np.nan
        with pytest.raises(DataError, match=r"x has NaN or infinite numbers, first in row 7 \(as float32\)"):
            network("numpy").fit(sparse.csr_array(x), y, verbose=0)
    trained = network("numpy")
    trained.build(FEATURES)
    with pytest.raises(ShapeError, match=r"x has shape \(523, 11\): expected \(samples, 12\)"):
        trained.predict(sparse.csr_array(thinned(2.5)[0][:, 1:]))
    with pytest.raises(DataError, match="toarray"):
        network("numpy").get_gradients(sparse.csr_array(x), np.zeros((len(x), CLASSES)))
    monkeypatch.setattr("dnnkit.many.loading.LARGEST_DENSE", 1000)
    for least, first, words in (
        (1, dk.Rescaling(0.5), "up to 0.02"),
        (2.5, dk.Dropout(0.1), "only a first Dense layer"),
    ):
        matrix, nets = sparse.csr_array(thinned(least)[0]), [network("numpy"), behind(first, "numpy")]
        with pytest.raises(ConfigurationError, match=rf"networks\[[01]\]: x is .*dense array of 24.5 KiB.*{words}"):
            dk.fit_many(nets, matrix, y, verbose=0)
