"""History: what `fit` returns and a network stores, as JSON and as a plot."""

import json

import numpy as np
import pytest

import dnnkit as dk
from dnnkit.errors import DataError

DATA = np.random.default_rng(1).normal(size=(40, 3))
LABELS = (DATA[:, 0] > 0).astype(int)


def network() -> dk.Sequential:
    net = dk.Sequential([dk.Dense(2, activation="softmax")], seed=11)
    net.compile("adam", "sparse_categorical_crossentropy", ["accuracy"])
    net.build(3)
    return net


def fit(net: dk.Sequential, epochs: int = 2, **options) -> dk.History:
    return net.fit(DATA, LABELS, epochs=epochs, verbose=0, **options)


def test_every_epoch_has_its_numbers(backend):
    history = fit(network(), epochs=3, validation_split=0.25)
    assert history.epoch == [0, 1, 2]
    assert list(history.history) == ["loss", "accuracy", "val_loss", "val_accuracy"]
    assert all(len(values) == 3 for values in (*history.history.values(), history.seconds))
    assert history["loss"] is history.history["loss"]


def test_it_says_how_to_repeat_the_run(backend):
    history = fit(network())
    assert history.seed == 11
    assert history.plan.backend == backend.name


def test_fit_returns_its_own_epochs_and_the_network_keeps_all():
    net = network()
    first, second = fit(net, epochs=2), fit(net, epochs=3, initial_epoch=2)
    assert (first.epoch, second.epoch, net.history.epoch) == ([0, 1], [2], [0, 1, 2])
    assert net.history["loss"] == first["loss"] + second["loss"]


def test_json_and_back_is_the_same_history():
    history = fit(network(), validation_split=0.25)
    assert dk.History.from_json(json.loads(json.dumps(history.to_json()))) == history


@pytest.mark.parametrize("name", ["curves.png", "curves.svg", "curves.pdf"])
def test_the_suffix_decides_the_format_of_a_plot(tmp_path, name):
    fit(network(), validation_split=0.25).plot(tmp_path / name)
    start = {"png": b"\x89PNG", "svg": b"<?xml", "pdf": b"%PDF"}[name.rpartition(".")[2]]
    assert (tmp_path / name).read_bytes().startswith(start)


def test_plot_has_a_panel_a_quantity_and_a_curve_a_part():
    figure = fit(network(), epochs=3, validation_split=0.25).plot()
    assert [axes.get_title() for axes in figure.axes] == ["loss", "accuracy"]
    for axes in figure.axes:
        assert [line.get_label() for line in axes.lines] == ["training", "validation"]
        assert all(list(line.get_xdata()) == [1, 2, 3] for line in axes.lines)


def test_plot_writes_nothing_by_default(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert fit(network()).plot().axes
    assert list(tmp_path.iterdir()) == []


def test_plot_of_several_fits_continues_to_the_right():
    net = network()
    for _ in range(3):
        fit(net, epochs=1)
    (curve,) = net.history.plot().axes[0].lines
    assert np.all(np.diff(curve.get_xdata()) > 0)


def test_validation_is_drawn_at_the_epochs_that_had_it():
    net = network()
    fit(net, epochs=2, validation_split=0.25)
    fit(net, epochs=4, initial_epoch=2)
    _, validation = net.history.plot().axes[0].lines
    points = zip(validation.get_xdata(), validation.get_ydata(), strict=True)
    drawn = {x: y for x, y in points if not np.isnan(y)}
    assert drawn == dict(zip([1, 2], net.history["val_loss"][:2], strict=True))


def test_plot_of_nothing_is_an_error(tmp_path):
    with pytest.raises(DataError, match="nothing to plot"):
        network().history.plot(tmp_path / "curves.png")
    assert list(tmp_path.iterdir()) == []
