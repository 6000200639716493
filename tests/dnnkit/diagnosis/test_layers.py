"""`fit(diagnose=True)`: the state of the layers is reported, and training is unchanged."""

import struct
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import dnnkit as dk
from dnnkit.backends import Backend
from dnnkit.diagnosis.layers import Diagnosis, Record
from dnnkit.diagnosis.recorder import Recorder
from dnnkit.errors import ConfigurationError, TrainingWarning, UnknownName

RNG = np.random.default_rng(11)
X, LABELS = RNG.normal(size=(90, 6)), RNG.integers(0, 3, 90)


class Twice(dk.Layer):
    def forward(self, xp, x):
        return 2 * x, None

    def backward(self, xp, dy, saved):
        return (2 * dy,)


def network(optimizer: Any = "adam", hidden: str = "relu", depth: int = 1, **more: Any) -> dk.Sequential:
    layers = [dk.Dense(16, activation=hidden, **more) for _ in range(depth)]
    net = dk.Sequential([*layers, dk.Dense(3, activation="softmax")], seed=0, dtype="float64")
    net.compile(optimizer, "sparse_categorical_crossentropy")
    net.build(6)
    return net


def diagnosed(net: dk.Sequential, **how: Any) -> Diagnosis:
    diagnosis = net.fit(X, LABELS, diagnose=True, verbose=0, **how).diagnosis
    assert diagnosis is not None
    return diagnosis


def test_training_is_bit_for_bit_the_same(backend: Backend, capsys: pytest.CaptureFixture[str]) -> None:
    snapshots, histories = [], []
    for diagnose in (True, False):
        layers = [dk.Rescaling(0.5), dk.Dense(16, activation="relu"), dk.Dropout(0.3), Twice(), dk.Dense(8)]
        net = dk.Sequential([*layers, dk.Activation("tanh"), dk.Dense(3, activation="softmax")], seed=0)
        net.compile("adam", "sparse_categorical_crossentropy", ["accuracy"])
        histories.append(net.fit(X, LABELS, epochs=3, batch_size=16, diagnose=diagnose, verbose=0))
        snapshots.append(net.executable.snapshot())
    assert histories[0].history == histories[1].history
    for numbers in ("parameters", "slots"):
        np.testing.assert_equal(getattr(snapshots[0], numbers), getattr(snapshots[1], numbers))
    assert snapshots[0].state == snapshots[1].state
    diagnosis = histories[0].diagnosis
    assert diagnosis is not None
    assert histories[1].diagnosis is None
    assert diagnosis.epochs == (0, 1, 2, 3)
    told = [(layer.name, layer.units, layer.activation) for layer in diagnosis.layers]
    assert told == [("dense", 16, "relu"), ("dense_1", 8, "tanh"), ("dense_2", 3, "softmax")]
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    "optimizer",
    [dk.SGD(0.1, weight_decay=0.01), dk.SGD(0.1, momentum=0.9), dk.Adam(0.01), dk.RMSprop(0.01, global_clipnorm=1e-3)],
    ids=lambda optimizer: optimizer.rule,
)
def test_gradients_and_updates_are_those_of_the_next_step(optimizer: Any, backend: Backend) -> None:
    net = network(optimizer)
    last = {layer.name: layer.last for layer in diagnosed(net, epochs=2, batch_size=32).layers}
    before = {name: np.array(value) for name, value in net.parameters.items()}
    _, gradients = net.get_gradients(X, LABELS)
    net.train_step(X, LABELS)
    for layer, record in last.items():
        names = [f"{layer}/kernel", f"{layer}/bias"]
        weights, gradient, change = (
            np.concatenate([each(name).ravel() for name in names])
            for each in (before.get, gradients.get, lambda name: net.parameters[name] - before[name])
        )
        assert record.gradient == pytest.approx(np.sqrt(np.mean(gradient**2)), rel=1e-9)
        assert record.update == pytest.approx(np.sqrt(np.mean(change**2) / np.mean(weights**2)), rel=1e-6)


def test_dead_units_are_counted_and_named(backend: Backend) -> None:
    net = network()
    net.parameters["dense/bias"] = np.repeat([-100.0, 0.0], [12, 4])
    diagnosis = diagnosed(net)
    assert diagnosis["dense"].first.dead == 12 / 16
    assert any(text.startswith("layer dense: 75% of 16 units are dead from the start") for text in diagnosis.findings)
    assert "leaky_relu" in str(diagnosis)


def test_units_that_die_are_laid_to_the_learning_rate() -> None:
    net = network(dk.SGD(3.0))
    with pytest.warns(TrainingWarning, match="^growing loss"):
        diagnosis = diagnosed(net, epochs=2, batch_size=8)
    died = diagnosis["dense"]
    assert died.first.dead < 0.2 < died.last.dead
    assert any("dead: lower the learning rate" in text for text in diagnosis.findings)


@pytest.mark.parametrize("activation", ["tanh", "sigmoid", "hard_sigmoid", "softsign"])
def test_saturation_is_checked_for_any_bounded_activation(activation: str) -> None:
    net = network(hidden=activation)
    assert diagnosed(net)["dense"].first.at_limits < 0.5
    net.parameters["dense/kernel"] = 1e4 * net.parameters["dense/kernel"]
    diagnosis = diagnosed(net)
    assert diagnosis["dense"].first.at_limits > 0.9
    assert any("at their limits" in text or "dead" in text for text in diagnosis.findings)


def test_a_softmax_that_is_certain_before_training_is_reported() -> None:
    net = network()
    assert diagnosed(net)["dense_1"].first.at_limits < 0.1
    net.parameters["dense_1/kernel"] = 1e3 * net.parameters["dense_1/kernel"]
    assert any(text.startswith("layer dense_1:") and "before training" in text for text in diagnosed(net).findings)


def test_gradients_that_vanish_and_explode() -> None:
    vanishing = diagnosed(network(hidden="sigmoid", depth=8)).findings
    assert any("vanishes in the backward pass" in text for text in vanishing)
    large = dk.initializers.RandomNormal(2.0)
    exploding = diagnosed(network(dk.SGD(1e-12), depth=8, kernel_initializer=large)).findings
    assert any("explodes in the backward pass" in text for text in exploding)


def test_updates_that_are_too_large_or_too_small() -> None:
    assert any("hardly learns" in text for text in diagnosed(network(dk.Adam(1e-9))).findings)
    assert any("an update is" in text for text in diagnosed(network(dk.Adam(0.3))).findings)
    assert diagnosed(network(dk.Adam(1e-3)), epochs=2).findings == ()


def test_many_epochs_have_few_records_and_the_last_one_always() -> None:
    net = network()
    epochs = [epoch for epoch in range(1, 1001) if Recorder.wants(None, epoch)]  # type: ignore[arg-type]
    assert epochs[:20] == list(range(1, 21))
    assert len(epochs) < 200
    assert diagnosed(net, epochs=103).epochs[-2:] == (100, 103)


def test_it_is_shown_in_80_columns_and_to_a_notebook(capsys: pytest.CaptureFixture[str]) -> None:
    net = network(hidden="hard_sigmoid", depth=11)
    history = net.fit(X, LABELS, epochs=2, diagnose=True)
    printed = capsys.readouterr().out
    assert str(history.diagnosis) in printed
    assert "before training → after 2 epochs" in printed
    assert max(map(len, str(history.diagnosis).splitlines())) <= 80
    assert history.diagnosis._repr_html_().count("<tr>") == 13
    layer = replace(
        history.diagnosis.layers[0], name="a_layer_of_a_long_name", activation="one_of_a_long_name", units=10_000
    )
    extreme = Record(0.9, 0.9, 1.0, 1e-200, 1e-200), Record(1.0, 1.0, 1.0, 2e-200, 3e-200)
    wide = replace(history.diagnosis, layers=(replace(layer, records=extreme),))
    assert max(map(len, str(wide).splitlines())) <= 80
    with pytest.raises(UnknownName, match="did you mean 'dense_10'"):
        history.diagnosis["dense_100"]


def test_the_picture_has_a_curve_for_each_layer(tmp_path: Path) -> None:
    diagnosis = diagnosed(network(depth=2), epochs=2)
    figure = diagnosis.plot(tmp_path / "layers.png")
    width, height = struct.unpack(">II", (tmp_path / "layers.png").read_bytes()[16:24])
    assert min(width, height) > 500
    curves = {
        axes.get_title(): len([line for line in axes.lines if line.get_label() != "usual"]) for axes in figure.axes
    }
    assert curves == {
        "dead units": 2, "outputs at their limits": 1, "gradient of the parameters": 3, "update ÷ weights": 3,
    }  # fmt: skip


def test_it_is_no_part_of_saves(tmp_path: Path) -> None:
    net = network()
    diagnosed(net)
    assert "diagnosis" not in net.history.to_json()
    net.save(tmp_path / "run")
    assert dk.load(tmp_path / "run").history == net.history


def test_diagnose_is_a_flag() -> None:
    with pytest.raises(ConfigurationError, match="diagnose is 'yes': expected True or False"):
        network().fit(X, LABELS, diagnose="yes")  # type: ignore[arg-type]
