"""Sparse rows are multiplied as they are; where dense products are computed in tiles, no bit of a result changes."""

from typing import Any

import numpy as np
import pytest
from scipy import sparse

import dnnkit as dk
from dnnkit.kernels.compressed_rows import CompressedRows
from tests.backends.numba_backend.partitions import DIVISIONS, check_close, check_same, dividing

pytest.importorskip("numba")


def matrix(samples: int = 90, features: int = 150) -> tuple[Any, np.ndarray]:
    """Draw a matrix whose rows have 0 to 14 nonzero numbers, with an empty column and an empty row; and labels."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(samples, features)) * (rng.random((samples, features)) < 0.1 * rng.random((samples, 1)))
    x[:, 70:80] = 0
    x[3] = 0
    return sparse.csr_array(x.astype(np.float32)), rng.integers(0, 4, samples)


def network(backend: str = "numba", dtype: Any = "float32", frozen: bool = False, **more: Any) -> Any:
    first = dk.Dense(70, activation="tanh", trainable=not frozen)
    layers = [first, dk.Dense(33, activation="relu"), dk.Dropout(0.1), dk.Dense(4, activation="softmax")]
    net = dk.Sequential(layers, seed=3, backend=backend, dtype=dtype)
    net.compile(dk.Adam(0.01, **more), "sparse_categorical_crossentropy", ["accuracy"])
    return net


def trained_on(net: dk.Sequential) -> Any:
    return net.executable.epoch.batches.data.x


@pytest.mark.parametrize("batch_size", [1, 8, 90])
@pytest.mark.parametrize(("dtype", "more"), [("float32", {}), ("float64", {"global_clipnorm": 0.1})])
@pytest.mark.parametrize("partition", DIVISIONS)
def test_no_bit_of_training_changes(partition: str, dtype: str, more: Any, batch_size: int) -> None:
    (x, labels), nets = matrix(), []
    weights, options = np.linspace(0.5, 2, 90), {"batch_size": batch_size, "epochs": 2, "verbose": 0}
    with dividing(partition):
        for given in (x, x.toarray()):
            net = network(dtype=dtype, **more)
            held_out = (given[:80], labels[:80])
            history = net.fit(given, labels, sample_weight=weights, validation_data=held_out, **options).history
            nets.append((net, history, net.predict(given), net.evaluate(given, labels)))
    (some, *seen), (every, *expected) = nets
    assert isinstance(trained_on(some), CompressedRows)
    assert isinstance(trained_on(every), np.ndarray)
    check_same(some, every)
    np.testing.assert_array_equal(seen[1], expected[1])
    assert (seen[0], seen[2]) == (expected[0], expected[2])


@pytest.mark.parametrize("more", [{"frozen": True}, {"global_clipnorm": 0.1}, {}])
@pytest.mark.parametrize("partition", ["units/1", "units/2", "rows/2"])
def test_training_is_that_of_the_numpy_backend(partition: str, more: Any) -> None:
    (x, labels), nets = matrix(features=3000), []
    with dividing(partition):
        for backend in ("numba", "numpy"):
            nets.append(network(backend, "float64", **more))
            nets[-1].fit(x, labels, batch_size=8, epochs=2, verbose=0)
    assert isinstance(trained_on(nets[0]), CompressedRows)
    check_close(*nets)


def test_rows_that_are_stored_and_rows_that_are_not_take_turns() -> None:
    (x, labels), nets = matrix(), []
    for forms in ((x, x.toarray(), x), (x.toarray(),) * 3):
        nets.append(network())
        for given in forms:
            nets[-1].fit(given, labels, batch_size=8, verbose=0)
            nets[-1].fit(given[:8], labels[:8], batch_size=8, epochs=3, shuffle=False, verbose=0)
    check_same(*nets)
