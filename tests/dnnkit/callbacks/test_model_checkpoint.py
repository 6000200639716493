"""ModelCheckpoint: which saves it leaves, and that they are the network of that epoch."""

import numpy as np
import pytest

import dnnkit as dk
from dnnkit.errors import ConfigurationError

DATA = np.random.default_rng(1).normal(size=(20, 3))
TARGETS = DATA @ np.array([[1.0], [-2.0], [0.5]])


class Record(dk.Callback):
    """Keeps what the network predicted after every epoch; spoils the network before the fourth."""

    def __init__(self) -> None:
        self.predictions = []

    def on_epoch_begin(self, epoch, logs):
        if epoch == 3:
            self.model.parameters["dense/kernel"] = np.full((3, 1), 10.0)
            self.model.optimizer.learning_rate = 0.0

    def on_epoch_end(self, epoch, logs):
        self.predictions.append(self.model.predict(DATA))


def fit(*callbacks: dk.Callback, epochs: int = 4) -> dk.History:
    net = dk.Sequential([dk.Dense(1)], seed=0)
    net.compile(dk.SGD(learning_rate=0.1), "mean_squared_error")
    return net.fit(DATA, TARGETS, epochs=epochs, validation_data=(DATA, TARGETS), callbacks=callbacks, verbose=0)


def test_every_epoch_has_its_save_where_the_path_names_it(backend, tmp_path):
    record = Record()
    history = fit(record, dk.ModelCheckpoint(tmp_path / "{epoch:03d}-{val_loss:.3f}"))
    names = [f"{epoch:03d}-{loss:.3f}" for epoch, loss in enumerate(history["val_loss"], 1)]
    assert sorted(path.name for path in tmp_path.iterdir()) == names
    for number, name in enumerate(names):
        loaded = dk.load(tmp_path / name)
        np.testing.assert_array_equal(loaded.predict(DATA), record.predictions[number])
        assert loaded.history.epoch == list(range(number + 1))


def test_the_same_path_is_replaced_by_each_epoch(tmp_path):
    record = Record()
    fit(record, dk.ModelCheckpoint(str(tmp_path / "run")))
    np.testing.assert_array_equal(dk.load(tmp_path / "run").predict(DATA), record.predictions[-1])


@pytest.mark.parametrize(("mode", "best"), [("auto", 2), ("min", 2), ("max", 3)])
def test_only_the_best_is_kept_if_asked(tmp_path, mode, best):
    record = Record()
    fit(record, dk.ModelCheckpoint(tmp_path / "best", save_best_only=True, mode=mode))
    np.testing.assert_array_equal(dk.load(tmp_path / "best").predict(DATA), record.predictions[best])


def test_only_improvements_are_saved(tmp_path):
    fit(Record(), dk.ModelCheckpoint(tmp_path / "{epoch}", "loss", save_best_only=True))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["1", "2", "3"]


@pytest.mark.parametrize("pattern", ["{nonsense}", "{loss:d}", "{}", "{epoch"])
def test_a_path_that_cannot_be_filled_in_is_an_error_that_names_what_can(tmp_path, pattern):
    with pytest.raises(ConfigurationError, match="may name epoch, loss, val_loss"):
        fit(dk.ModelCheckpoint(tmp_path / pattern))
    assert list(tmp_path.iterdir()) == []


def test_a_monitor_that_is_not_measured_is_an_error(tmp_path):
    with pytest.raises(ConfigurationError, match="'val_accuracy' is not measured"):
        fit(dk.ModelCheckpoint(tmp_path / "run", "val_accuracy", save_best_only=True))


def test_an_unknown_mode_is_refused_when_it_is_given(tmp_path):
    with pytest.raises(ConfigurationError, match="mode is 'most'"):
        dk.ModelCheckpoint(tmp_path, mode="most")
