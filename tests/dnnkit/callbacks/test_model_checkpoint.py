"""ModelCheckpoint: the saves it writes, and that they are the network of that epoch."""

import numpy as np
import pytest

import dnnkit as dk
from dnnkit.errors import ConfigurationError

DATA = np.random.default_rng(1).normal(size=(20, 3))
TARGETS = DATA @ np.array([[1.0], [-2.0], [0.5]])


class Record(dk.Callback):
    """Records the network's predictions after every epoch; spoils the network before the fourth."""

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
def test_only_the_best_is_kept_on_request(tmp_path, mode, best):
    record = Record()
    fit(record, dk.ModelCheckpoint(tmp_path / "best", save_best_only=True, mode=mode))
    np.testing.assert_array_equal(dk.load(tmp_path / "best").predict(DATA), record.predictions[best])


def test_only_improvements_are_saved(tmp_path):
    fit(Record(), dk.ModelCheckpoint(tmp_path / "{epoch}", "loss", save_best_only=True))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["1", "2", "3"]


@pytest.mark.parametrize("pattern", ["{nonsense}", "{loss:d}", "{}", "{epoch"])
def test_a_path_with_unknown_fields_is_an_error_naming_the_known(tmp_path, pattern):
    with pytest.raises(ConfigurationError, match="may contain the fields epoch, loss, val_loss"):
        fit(dk.ModelCheckpoint(tmp_path / pattern))
    assert list(tmp_path.iterdir()) == []


def test_a_monitor_that_is_not_measured_is_an_error(tmp_path):
    with pytest.raises(ConfigurationError, match="'val_accuracy' is not measured"):
        fit(dk.ModelCheckpoint(tmp_path / "run", "val_accuracy", save_best_only=True))


def test_an_unknown_mode_is_rejected_when_given(tmp_path):
    with pytest.raises(ConfigurationError, match="mode is 'most'"):
        dk.ModelCheckpoint(tmp_path, mode="most")


def test_weights_alone_may_be_saved(backend, tmp_path):
    net = dk.Sequential([dk.Dense(1)], seed=0)
    net.compile(dk.SGD(learning_rate=0.1), "mean_squared_error")
    path = tmp_path / "deep" / "{epoch:02d}-{loss:.2f}.safetensors"
    history = net.fit(DATA, TARGETS, epochs=2, verbose=0, callbacks=dk.ModelCheckpoint(path, save_weights_only=True))
    names = [f"{epoch:02d}-{loss:.2f}.safetensors" for epoch, loss in enumerate(history["loss"], 1)]
    assert sorted(file.name for file in (tmp_path / "deep").iterdir()) == names
    other = dk.Sequential([dk.Dense(1)], seed=5)
    other.build(3)
    other.load_weights(tmp_path / "deep" / names[-1])
    np.testing.assert_array_equal(other.predict(DATA), net.predict(DATA))


def test_batches_may_say_when(backend, tmp_path):
    """Two batches per epoch: after the third, the sixth, ..., counted across epochs."""
    net = dk.Sequential([dk.Dense(1)], seed=0)
    net.compile(dk.SGD(learning_rate=0.1), "mean_squared_error")
    saver = dk.ModelCheckpoint(tmp_path / "{epoch}-{batch}", save_freq=3)
    net.fit(DATA, TARGETS, batch_size=10, epochs=4, callbacks=saver, verbose=0)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["2-1", "3-2"]
    loaded = dk.load(tmp_path / "2-1")
    assert loaded.executable.state.step == 3
    loaded.fit(DATA, TARGETS, batch_size=10, steps=5, verbose=0)
    np.testing.assert_array_equal(loaded.predict(DATA), net.predict(DATA))


def test_a_threshold_replaces_a_first_save(tmp_path, capsys):
    fit(Record(), dk.ModelCheckpoint(tmp_path / "best", "loss", 1, True, initial_value_threshold=1e-9), epochs=1)
    assert list(tmp_path.iterdir()) == []
    fit(Record(), dk.ModelCheckpoint(tmp_path / "best", "loss", 1, True), epochs=1)
    first, second = capsys.readouterr().out.splitlines()
    assert first == "Epoch 1: loss did not improve from 1e-09"
    assert second.startswith("Epoch 1: loss improved from None to ")
    assert second.endswith(f", saving model to {tmp_path / 'best'}")


@pytest.mark.parametrize("save_freq", ["batch", 0, 1.5])
def test_an_unknown_frequency_is_rejected(save_freq, tmp_path):
    with pytest.raises(ConfigurationError, match="save_freq is"):
        dk.ModelCheckpoint(tmp_path, save_freq=save_freq)
