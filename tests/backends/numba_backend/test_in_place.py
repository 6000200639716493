"""Inputs read in place have the bits of gathered ones, whenever they can be read so."""

from typing import Any

import numpy as np
import pytest

import dnnkit as dk
from tests.backends.numba_backend.partitions import DIVISIONS, dividing, numbers

pytest.importorskip("numba")


def trained(x: np.ndarray, labels: np.ndarray, layers: list[Any], dtype: Any, batch_size: int) -> dk.Sequential:
    net = dk.Sequential(layers, seed=3, backend="numba", dtype=dtype)
    net.compile(dk.Adam(0.01), "sparse_categorical_crossentropy", ["accuracy"])
    net.build(x.shape[1])
    other = dk.Sequential(layers[-3:], seed=3, backend="numpy", dtype=dtype)
    other.build(x.shape[1])
    net.set_parameters(dict(other.parameters))  # whatever precedes them
    net.fit(x, labels, batch_size=batch_size, epochs=2, verbose=0)
    return net


def in_place(net: dk.Sequential) -> set[bool]:
    """Return whether the schedules that the training team has followed read the data in place."""
    return {key.inputs == "in place" for key in net.executable._training._links}


def dense() -> list[Any]:
    return [dk.Dense(19, activation="tanh"), dk.Dense(33, activation="relu"), dk.Dense(4, activation="softmax")]


@pytest.mark.parametrize("batch_size", [1, 32])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("partition", DIVISIONS)
def test_training_is_that_on_gathered_inputs_bit_for_bit(partition: str, dtype: Any, batch_size: int) -> None:
    rng = np.random.default_rng(0)
    x, labels = rng.normal(size=(90, 37)).astype(dtype), rng.integers(0, 4, 90)
    with dividing(partition):
        here = trained(x, labels, dense(), dtype, batch_size)
        gathered = trained(2 * x, labels, [dk.Rescaling(0.5), *dense()], dtype, batch_size)
    assert in_place(here) == {True}
    assert in_place(gathered) == {False}
    for name, values in numbers(here).items():
        np.testing.assert_array_equal(values, numbers(gathered)[name], err_msg=name)
    assert here.evaluate(x, labels) == gathered.evaluate(2 * x, labels)
    np.testing.assert_array_equal(here.predict(x), gathered.predict(2 * x))
    (loss, gradients), (other, others) = here.get_gradients(x, labels), gathered.get_gradients(2 * x, labels)
    assert loss == other
    for name, gradient in gradients.items():
        np.testing.assert_array_equal(gradient, others[name], err_msg=name)


@pytest.mark.parametrize("partition", DIVISIONS)
def test_inputs_of_few_outputs_are_read_in_place_whatever_their_size(partition: str) -> None:
    rng = np.random.default_rng(0)
    x, labels = rng.normal(size=(16000, 37)).astype("float32"), rng.integers(0, 4, 16000)
    with dividing(partition):
        here = trained(x, labels, dense(), "float32", 8000)
        gathered = trained(2 * x, labels, [dk.Rescaling(0.5), *dense()], "float32", 8000)
    assert in_place(here) == {True}
    for name, values in numbers(here).items():
        np.testing.assert_array_equal(values, numbers(gathered)[name], err_msg=name)


@pytest.mark.filterwarnings("ignore::dnnkit.errors.TrainingWarning")
@pytest.mark.parametrize(
    ("first", "kind", "rows"),
    [
        (dk.Dropout(0.1), "float32", 60),
        (dk.Activation("tanh"), "float32", 60),
        (dk.Rescaling(1 / 255), "float32", 60),
        (dk.Dense(7), "uint8", 60),
        (dk.Dense(70), "float32", 20_000),
    ],
)
def test_converted_or_large_inputs_are_gathered(first: Any, kind: str, rows: int) -> None:
    x, labels = np.ones((rows, 50), kind), np.zeros(rows, np.int64)
    net = dk.Sequential([first, dk.Dense(4, activation="softmax")], seed=0, backend="numba")
    net.compile("sgd", "sparse_categorical_crossentropy")
    with dividing("units/1"):
        net.fit(x, labels, batch_size=rows, verbose=0)
    assert in_place(net) == {False}


@pytest.mark.parametrize("partition", DIVISIONS)
def test_rows_may_come_more_than_once_and_in_any_order(partition: str) -> None:
    rng = np.random.default_rng(0)
    x, labels = rng.normal(size=(23, 9)), rng.integers(0, 3, 23)
    nets = []
    for backend in ("numba", "numpy"):
        net = dk.Sequential([dk.Dense(8, "tanh"), dk.Dense(3, "softmax")], seed=0, backend=backend, dtype="float64")
        net.compile(dk.SGD(0.1), "sparse_categorical_crossentropy")
        with dividing(partition):
            net.fit(x, labels, batch_size=7, steps=11, steps_per_epoch=11, shuffle="with_replacement", verbose=0)
        nets.append(net)
    assert in_place(nets[0]) == {True}
    for name, values in numbers(nets[0]).items():
        np.testing.assert_allclose(values, numbers(nets[1])[name], rtol=1e-12, atol=1e-14)
