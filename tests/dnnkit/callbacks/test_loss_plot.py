"""LossPlot: as a callback of `fit`, or by hand in a user's loop."""

from pathlib import Path

import numpy as np
import pytest

import dnnkit as dk
from dnnkit.errors import ConfigurationError

PNG = b"\x89PNG\r\n\x1a\n"
DATA = np.random.default_rng(1).normal(size=(20, 3))


def network() -> dk.Sequential:
    net = dk.Sequential([dk.Dense(1)], seed=0)
    net.compile("sgd", "mean_squared_error")
    return net


def assert_is_picture(path: Path) -> None:
    content = path.read_bytes()
    assert content.startswith(PNG)
    assert len(content) > 5_000


@pytest.mark.parametrize("split", [0.0, 0.25], ids=["training alone", "with validation"])
def test_as_a_callback_it_draws_during_training(tmp_path, split):
    path = tmp_path / "loss.png"
    present = []

    class Look(dk.Callback):
        def on_epoch_end(self, epoch, logs):
            present.append(path.exists())

    callbacks = [dk.LossPlot(path, every=2), Look()]
    network().fit(DATA, DATA[:, :1], epochs=3, validation_split=split, callbacks=callbacks, verbose=0)
    assert present == [False, True, True]
    assert_is_picture(path)


def test_without_a_path_it_writes_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    history = network().fit(DATA, DATA[:, :1], epochs=2, callbacks=[dk.LossPlot()], verbose=0)
    assert history.epoch == [0, 1]
    assert list(tmp_path.iterdir()) == []


def test_by_hand_it_is_begun_fed_and_finished(tmp_path):
    path = tmp_path / "loss.png"
    plot = dk.LossPlot(path, every=10)
    plot.init()
    plot.add(1, 0.5)
    plot.add(2, np.float32(0.25), 0.75)
    assert not path.exists()
    plot.finish()
    assert_is_picture(path)


def test_a_plot_of_nothing_is_not_written(tmp_path):
    plot = dk.LossPlot(tmp_path / "loss.png")
    plot.init()
    plot.finish()
    assert list(tmp_path.iterdir()) == []


def test_a_plot_that_is_begun_again_is_empty(tmp_path):
    plot = dk.LossPlot(tmp_path / "loss.png", every=10)
    plot.init()
    plot.add(1, 0.5)
    plot.init()
    plot.finish()
    assert list(tmp_path.iterdir()) == []


def test_a_picture_that_cannot_be_written_is_an_error(tmp_path):
    plot = dk.LossPlot(tmp_path / "loss.nonsense")
    plot.init()
    with pytest.raises(ConfigurationError, match=r"cannot write the plot .*loss\.nonsense"):
        plot.add(1, 0.5)
