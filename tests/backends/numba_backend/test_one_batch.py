"""Where every step has the same rows they are taken once, and no bit of a result changes."""

import ctypes
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import dnnkit as dk
from tests.backends.numba_backend.partitions import DIVISIONS, check_same, dividing, numbers

compiled_epoch = pytest.importorskip("dnnkit.backends.numba_backend.executable")
ROWS = 24


def network(layers: list[dk.Layer], dtype: Any = "float32", **more: Any) -> dk.Sequential:
    net = dk.Sequential([*layers, dk.Dense(4, activation="softmax")], seed=3, backend="numba", dtype=dtype)
    net.compile(dk.Adam(0.01, **more), "sparse_categorical_crossentropy", ["accuracy"])
    return net


def data(kind: Any, features: int = 70) -> tuple[np.ndarray, np.ndarray]:
    """Most of x is zero."""
    rng = np.random.default_rng(0)
    x = rng.integers(1, 256, (ROWS, features)) * (rng.random((ROWS, features)) < 0.1)
    return x.astype(kind), rng.integers(0, 4, ROWS)


def takes_once(net: dk.Sequential) -> set[bool]:
    """Of the schedule that was followed last; others may have been compiled ahead."""
    team = net.executable._training
    followed = team.run_structure.schedule
    return {key.one_batch for key, linked in team._links.items() if ctypes.addressof(linked) == followed}


@pytest.mark.parametrize("more", [{}, {"global_clipnorm": 0.1}])
@pytest.mark.parametrize("kind", ["uint8", "float32", "float64"])
@pytest.mark.parametrize("partition", DIVISIONS)
def test_no_bit_of_training_changes(partition: str, kind: Any, more: Any, monkeypatch) -> None:
    x, labels = data(kind)
    first = dk.Rescaling(1 / 255) if kind == "uint8" else dk.Activation("tanh") if kind == "float64" else None
    dtype = "float32" if kind == "uint8" else kind
    hidden = [dk.Dense(19, activation="relu"), dk.Dropout(0.2), dk.Dense(33, activation="tanh")]
    nets = []
    with dividing(partition):
        for _ in range(2):
            net = network([first, *hidden] if first else hidden, dtype, **more)
            net.fit(x, labels, sample_weight=labels + 0.5, batch_size=ROWS, steps=7, steps_per_epoch=5, shuffle=False)
            nets.append(net)
            monkeypatch.setattr(compiled_epoch, "_is_one_batch", lambda order, batch_size: False)
    assert [takes_once(net) for net in nets] == [{True}, {False}]
    check_same(*nets)
    assert nets[0].history["loss"] == nets[1].history["loss"]


@pytest.mark.parametrize("partition", DIVISIONS)
def test_stretches_of_an_epoch_are_the_same_as_a_whole_one(partition: str) -> None:
    class Hears(dk.Callback):
        def on_batch_end(self, batch: int, logs: Any) -> None:
            pass

    x, labels = data("float32")
    nets = []
    with dividing(partition):
        for callbacks in ([], [Hears()]):
            net = network([dk.Dense(19, activation="relu")])
            options = {"batch_size": ROWS, "steps": 6, "steps_per_epoch": 6, "shuffle": False, "verbose": 0}
            net.fit(x, labels, callbacks=callbacks, **options)
            nets.append(net)
    check_same(*nets)


def test_other_data_are_taken_in_the_next_call() -> None:
    x, labels = data("float32")
    nets = [network([dk.Dense(19, activation="relu")]) for _ in range(2)]
    for turn in range(3):
        nets[0].fit(x + turn, labels, batch_size=ROWS, steps=4, steps_per_epoch=4, shuffle=False, verbose=0)
        for _ in range(4):
            nets[1].train_step(x + turn, labels)
    for name, values in numbers(nets[0]).items():
        np.testing.assert_array_equal(values, numbers(nets[1])[name], err_msg=name)


@given(st.lists(st.integers(0, 2), min_size=1, max_size=12), st.integers(1, 13))
def test_one_batch_is_several_that_are_all_the_same(rows: list[int], batch_size: int) -> None:
    batches = [rows[start : start + batch_size] for start in range(0, len(rows), batch_size)]
    expected = len(batches) > 1 and all(batch == batches[0] for batch in batches)
    assert compiled_epoch._is_one_batch(np.array(rows), batch_size) == expected
    assert compiled_epoch._is_one_batch(np.array(rows * 2), len(rows))
