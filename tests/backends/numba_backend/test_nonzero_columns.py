"""Columns that are zero in a whole batch are left out of products, and no bit of a result changes."""

from typing import Any

import numpy as np
import pytest

import dnnkit as dk
from dnnkit.backends.numba_backend import data
from dnnkit.kernels.nonzero_columns.reference import nonzero_columns
from tests.backends.numba_backend.partitions import DIVISIONS, check_close, check_same, dividing

pytest.importorskip("numba")


def images(samples: int = 90, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Draw bytes (N, 150), most of them zero; some columns always, some rows completely; and labels."""
    rng = np.random.default_rng(seed)
    x = rng.integers(1, 256, (samples, 150)) * (rng.random((samples, 150)) < rng.random(150) ** 4)
    x[:, 70:80] = 0
    x[3] = 0
    return x.astype(np.uint8), rng.integers(0, 4, samples)


def network(first: dk.Layer | None = None, backend: str = "numba", dtype: Any = "float32", **more: Any) -> Any:
    layers = [dk.Dense(70, activation="tanh"), dk.Dense(33, activation="relu"), dk.Dense(4, activation="softmax")]
    net = dk.Sequential([first, *layers] if first else layers, seed=3, backend=backend, dtype=dtype)
    net.compile(dk.Adam(0.01, **more), "sparse_categorical_crossentropy", ["accuracy"])
    return net


def bits_of(net: dk.Sequential) -> Any:
    """The columns of the data last trained on."""
    return net.executable.epoch.batches.data.bits


@pytest.fixture
def every_column(monkeypatch):
    """From this call on, every column is multiplied."""
    return lambda: monkeypatch.setattr(data, "MOSTLY", -1.0)


@pytest.mark.parametrize("batch_size", [1, 8, 90])
@pytest.mark.parametrize("more", [{}, {"global_clipnorm": 0.1}])
@pytest.mark.parametrize("kind", ["uint8", "float32", "float64"])
@pytest.mark.parametrize("partition", DIVISIONS)
def test_no_bit_of_training_changes(partition: str, kind: Any, more: Any, batch_size: int, every_column) -> None:
    x, labels = images()
    dtype, first = ("float32", dk.Rescaling(1 / 255)) if kind == "uint8" else (kind, None)
    x = x if first else x.astype(dtype) / 255
    nets = []
    with dividing(partition):
        for _ in range(2):
            net = network(first, dtype=dtype, **more)
            net.fit(x, labels, batch_size=batch_size, epochs=2, validation_data=(x[:80], labels[:80]), verbose=0)
            nets.append((net, net.predict(x), net.evaluate(x, labels), net.get_gradients(x, labels)))
            every_column()
    (some, *seen), (every, *expected) = nets
    assert len(bits_of(some)) == 90
    assert bits_of(every) is None
    check_same(some, every)
    np.testing.assert_array_equal(seen[0], expected[0])
    assert seen[1] == expected[1]
    assert seen[2][0] == expected[2][0]
    for name, gradient in seen[2][1].items():
        np.testing.assert_array_equal(gradient, expected[2][1][name], err_msg=name)
    assert some.history["val_loss"] == every.history["val_loss"]


@pytest.mark.parametrize("partition", DIVISIONS)
def test_training_is_that_of_the_numpy_backend(partition: str) -> None:
    x, labels = images()
    x = x / 255
    nets = [network(backend=backend, dtype="float64") for backend in ("numba", "numpy")]
    with dividing(partition):
        for net in nets:
            net.fit(x, labels, batch_size=8, epochs=2, verbose=0)
    assert len(bits_of(nets[0])) == 90
    check_close(*nets)


def test_the_last_batch_multiplied_the_columns_that_its_rows_use() -> None:
    x, labels = images(64)
    net = network()
    with dividing("units/2"):
        net.fit(x / np.float32(255), labels, batch_size=8, shuffle=False, verbose=0)
    team, expected = net.executable._training, nonzero_columns(bits_of(net), np.arange(56, 64))
    assert 0 < len(expected) < 150
    for columns in team._columns:
        np.testing.assert_array_equal(columns[: len(expected)], expected)
    assert {key.inputs for key in team._links} == {"in place"}


@pytest.mark.parametrize("partition", ["units/1", "units/2"])
def test_data_with_and_without_zeros_take_turns(partition: str, every_column) -> None:
    x, labels = images()
    sparse, full = x / np.float32(255), x / np.float32(255) + 1
    nets = []
    with dividing(partition):
        for _ in range(2):
            net = network()
            for data in (sparse, full, sparse):
                net.fit(data, labels, batch_size=8, verbose=0)
            nets.append(net)
            every_column()
    check_same(*nets)


@pytest.mark.filterwarnings("ignore::dnnkit.errors.TrainingWarning")
@pytest.mark.parametrize(
    ("x", "first"),
    [
        (np.ones((90, 150), np.float32), None),
        (np.zeros((90, 50), np.float32), None),
        (np.zeros((90, 150), np.uint8), dk.Rescaling(1 / 255, offset=-0.5)),
        (np.zeros((90, 150), np.float32), dk.Dropout(0.5)),
    ],
)
def test_where_it_gains_nothing_nobody_looks(x: np.ndarray, first: Any) -> None:
    """No zeros, few columns, zeros that are rescaled to something else, another layer before the products."""
    net = network(first)
    net.fit(x, np.zeros(90, np.int64), batch_size=8, verbose=0)
    assert bits_of(net) is None


def test_of_blank_rows_only_the_bias_learns() -> None:
    x, labels = np.zeros((8, 150), np.float32), np.ones(8, np.int64)
    net = dk.Sequential([dk.Dense(70, activation="softmax")], seed=3, backend="numba")
    net.compile(dk.Adam(0.01), "sparse_categorical_crossentropy")
    net.build(150)
    before = {name: np.array(value) for name, value in net.parameters.items()}
    net.fit(x, labels, batch_size=8, epochs=3, verbose=0)
    assert len(bits_of(net)) == 8
    np.testing.assert_array_equal(net.parameters["dense/kernel"], before["dense/kernel"])
    assert (net.parameters["dense/bias"] != before["dense/bias"]).all()
