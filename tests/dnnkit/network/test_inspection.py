"""`net.inspect()`: every part is listed, the network does not change, and what cannot be inspected says why."""

from typing import Any

import numpy as np
import pytest

import dnnkit as dk
from dnnkit.backends import Backend
from dnnkit.errors import DataError, NotReady, ShapeError
from dnnkit.losses import LOSSES


def network(backend: Any, outputs: int = 3, **more: Any) -> dk.Sequential:
    layers = [dk.Rescaling(0.5), dk.Flatten(), dk.Dense(64, activation="relu"), dk.Dropout(0.2)]
    net = dk.Sequential([*layers, dk.Dense(outputs, activation="softmax")], seed=0, backend=backend, **more)
    net.compile("adam", "sparse_categorical_crossentropy", ["accuracy"])
    return net


def data(samples: int = 90) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.normal(size=(samples, 4, 5)), rng.integers(0, 3, samples)


def test_every_part_of_a_step_is_measured(backend: Backend) -> None:
    net, (x, y) = network(backend), data()
    net.fit(x, y, verbose=0)
    found = net.inspect(x, y, batch_size=16)
    names = [part.name for part in found.step.parts]
    expected = ["inputs", "dense (20 → 64, relu)", "dropout (0.2)", "dense_1 (64 → 3, linear)", "loss and metrics"]
    assert names[:5] == expected
    assert found.batch_size == 16
    assert found.step.measured > 0
    assert all(part.measured is not None and part.measured >= 0 for part in found.step.parts)
    assert all(part.measured > 0 for part in found.step.parts[:5])
    assert found.parameters == {"dense": 20 * 64 + 64, "dense_1": 64 * 3 + 3}


def test_the_network_stays_as_it_is(backend: Backend) -> None:
    net, (x, y) = network(backend), data()
    net.fit(x, y, verbose=0)
    before, state, history = dict(net.parameters), net.executable.state.step, dict(net.history.history)
    net.inspect()
    net.inspect(x, y)
    np.testing.assert_equal(dict(net.parameters), before)
    assert (net.executable.state.step, dict(net.history.history)) == (state, history)


@pytest.mark.parametrize("partition", ["units/1", "units/2", "rows/2"])
def test_a_partition_is_described_and_predicted(partition: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("numba")
    monkeypatch.setenv("DNNKIT_PARTITION", partition)
    net, (x, y) = network("numba"), data()
    net.build(x.shape[1:])
    found = net.inspect(x, y)
    hidden = next(part for part in found.step.parts if part.name.startswith("dense ("))
    told = {"units/1": "", "units/2": "32 outputs each", "rows/2": "own rows"}
    assert hidden.partition == told[partition]
    assert found.step.predicted == pytest.approx(sum(part.predicted or 0 for part in found.step.parts))
    waits = [part.name for part in found.step.parts if part.name.startswith("exchanges")]
    assert len(waits) == (partition != "units/1")
    assert ("worker" in found.title, "begin" in found.step.schedule) == (True, True)


def test_the_table_fits_a_terminal_and_a_notebook_shows_it(backend: Backend) -> None:
    net = network(backend)
    net.build((4, 5))
    found = net.inspect(batch_size=8)
    lines = str(found).splitlines()
    assert max(len(line) for line in lines[1:]) <= 80
    assert lines[-1].split()[:2] == ["a", "step"]
    assert "1,539" in lines[-1]
    assert found._repr_html_().count("<tr>") == len(found.rows()) + 1


@pytest.mark.parametrize("loss", LOSSES.names())
def test_without_data_random_data_serve_every_loss(loss: str) -> None:
    last = "sigmoid" if "binary" in loss else None if "hinge" in loss else "softmax"
    net = dk.Sequential([dk.Dense(3, activation=last)], seed=0)
    net.compile("sgd", loss)
    net.build(4)
    assert net.inspect(batch_size=4).step.measured > 0


def test_a_custom_layer_is_a_part_too(backend: Backend) -> None:
    class Twice(dk.Layer):
        def forward(self, xp, x):
            return 2 * x, None

        def backward(self, xp, dy, saved):
            return (2 * dy,)

    net = dk.Sequential([dk.Dense(4), Twice(), dk.Dense(3, activation="softmax")], seed=0, backend=backend)
    net.compile("sgd", "sparse_categorical_crossentropy")
    net.build(5)
    found = net.inspect(batch_size=8)
    own = [part for part in found.step.parts if part.name.lower().startswith("twice")]
    assert len(own) == 1, found
    assert own[0].measured > 0
    assert found.reason is None or "Twice" in found.reason


def test_what_cannot_be_inspected_says_what_to_do() -> None:
    net = network(None)
    with pytest.raises(NotReady, match="call compile"):
        net.inspect()
    net.build((4, 5))
    x, y = data()
    with pytest.raises(DataError, match="x without y"):
        net.inspect(x)
    with pytest.raises(ShapeError, match="expected"):
        net.inspect(x[:, :2], y)
    with pytest.raises(dk.errors.ConfigurationError, match="batch_size"):
        net.inspect(batch_size=0)
