"""EarlyStopping: when it stops, and what it restores."""

import numpy as np
import pytest

import dnnkit as dk
from dnnkit.errors import ConfigurationError

DATA = np.random.default_rng(1).normal(size=(20, 3))
TARGETS = DATA @ np.array([[1.0], [-2.0], [0.5]])


def network() -> dk.Sequential:
    net = dk.Sequential([dk.Dense(1)], seed=0)
    net.compile(dk.SGD(learning_rate=0.1), "mean_squared_error")
    net.build(3)
    return net


def watch(stopper: dk.EarlyStopping, values: list[float], monitor: str = "val_loss") -> dk.Sequential:
    """A network whose bias is the number of the epoch and whose measurements are these, until it is stopped."""
    net = network()
    stopper.model = net
    stopper.on_train_begin({})
    for epoch, value in enumerate(values):
        net.parameters["dense/bias"] = [epoch]
        stopper.on_epoch_end(epoch, {monitor: value})
        if net.stop_training:
            break
    stopper.on_train_end({})
    return net


@pytest.mark.parametrize(
    ("patience", "values", "best_epoch", "stopped_epoch"),
    [
        (0, [3, 2, 2.5, 1], 1, 2),
        (1, [3, 2, 2.5, 1], 1, 2),
        (2, [3, 2, 2.5, 2.5, 1], 1, 3),
        (2, [3, 2, 2.5, 1, 2, 2, 2], 3, 5),
        (3, [3, 2, 2.5, 2.5], 1, None),
        (2, [3, 2, 2, 2, 1], 1, 3),
        (1, [3, 2, 1, 0.5], 3, None),
    ],
)
def test_it_stops_after_patience_epochs_without_improvement(patience, values, best_epoch, stopped_epoch):
    stopper = dk.EarlyStopping(patience=patience)
    net = watch(stopper, values)
    assert (stopper.best_epoch, stopper.stopped_epoch) == (best_epoch, stopped_epoch)
    assert stopper.best == values[best_epoch]
    assert net.parameters["dense/bias"] == best_epoch


def test_the_last_weights_stay_on_request():
    net = watch(dk.EarlyStopping(patience=2, restore_best_weights=False), [1, 2, 3, 4])
    assert net.parameters["dense/bias"] == 2


@pytest.mark.parametrize("min_delta", [0.5, -0.5])
def test_an_improvement_below_min_delta_counts_as_none(min_delta):
    stopper = dk.EarlyStopping(patience=2, min_delta=min_delta)
    watch(stopper, [3, 2.75, 2.625, 2])
    assert (stopper.best_epoch, stopper.stopped_epoch) == (0, 2)


@pytest.mark.parametrize(
    ("monitor", "mode", "best_epoch"),
    [
        ("val_loss", "auto", 2),
        ("val_accuracy", "auto", 1),
        ("loss", "max", 1),
        ("accuracy", "min", 2),
    ],
)
def test_more_or_less_may_be_better(monitor, mode, best_epoch):
    stopper = dk.EarlyStopping(monitor, mode=mode, patience=10)
    watch(stopper, [0.5, 0.75, 0.25], monitor)
    assert stopper.best_epoch == best_epoch


def test_a_number_that_is_none_is_never_the_best():
    stopper = dk.EarlyStopping(patience=2)
    watch(stopper, [float("nan"), 2.0, float("nan"), float("nan"), 1.0])
    assert (stopper.best_epoch, stopper.stopped_epoch) == (1, 3)


class Spoil(dk.Callback):
    """From the fourth epoch on the parameters are bad, and stay so."""

    def on_epoch_begin(self, epoch, logs):
        if epoch >= 3:
            self.model.optimizer.learning_rate = 0.0
            self.model.parameters["dense/kernel"] = np.full((3, 1), 10.0)


@pytest.mark.parametrize(("patience", "stopped_epoch"), [(2, 4), (100, None)], ids=["stopped", "ran to the end"])
def test_the_best_weights_come_back_after_fit(backend, patience, stopped_epoch):
    net, stopper = network(), dk.EarlyStopping(patience=patience)
    history = net.fit(DATA, TARGETS, epochs=8, validation_data=(DATA, TARGETS), callbacks=[Spoil(), stopper], verbose=0)
    assert (stopper.best_epoch, stopper.stopped_epoch) == (2, stopped_epoch)
    assert len(history.epoch) == (8 if stopped_epoch is None else stopped_epoch + 1)
    unspoiled = network()
    unspoiled.fit(DATA, TARGETS, epochs=3, verbose=0)
    for name, value in net.parameters.items():
        np.testing.assert_array_equal(value, unspoiled.parameters[name])
    assert net.evaluate(DATA, TARGETS)["loss"] == pytest.approx(min(history["val_loss"]))


def test_every_fit_starts_over():
    stopper = dk.EarlyStopping("loss", patience=1)
    watch(stopper, [1, 2], "loss")
    net = watch(stopper, [9, 8, 7], "loss")
    assert (stopper.best_epoch, stopper.stopped_epoch) == (2, None)
    assert net.parameters["dense/bias"] == 2


def test_a_monitor_that_is_not_measured_is_an_error_naming_the_rest():
    with pytest.raises(ConfigurationError, match=r"'val_loss' is not measured; these are: loss.*validation_data"):
        network().fit(DATA, TARGETS, callbacks=[dk.EarlyStopping()], verbose=0)


@pytest.mark.parametrize("options", [{"mode": "biggest"}, {"patience": -1}, {"patience": 1.5}])
def test_an_option_that_cannot_work_is_rejected_when_given(options):
    with pytest.raises(ConfigurationError, match=next(iter(options))):
        dk.EarlyStopping(**options)


@pytest.mark.parametrize(
    ("options", "values", "best_epoch", "stopped_epoch"),
    [
        ({"baseline": 1.0, "patience": 2}, [3, 2, 1.5, 0.5], 1, 1),
        ({"baseline": 2.5, "patience": 2}, [3, 2, 2.2, 2.4, 1], 1, 3),
        ({"baseline": 0.1}, [3, 2], 1, 1),  # as in Keras, never after the first epoch
        ({"start_from_epoch": 2, "patience": 1}, [1, 2, 3, 2.5, 2.6, 0], 3, 4),
    ],
)
def test_baseline_and_first_epochs_are_those_of_keras(options, values, best_epoch, stopped_epoch):
    stopper = dk.EarlyStopping(**options)
    watch(stopper, values)
    assert (stopper.best_epoch, stopper.stopped_epoch) == (best_epoch, stopped_epoch)


def test_arguments_have_the_order_of_keras_and_verbose_prints(capsys):
    stopper = dk.EarlyStopping("val_accuracy", 0.1, 1, 1, "max", 0.3, True, 0)
    watch(stopper, [0.5, 0.55, 0.9], "val_accuracy")
    assert (stopper.best_epoch, stopper.stopped_epoch) == (0, 1)
    assert capsys.readouterr().out.splitlines() == [
        "Epoch 2: early stopping",
        "Restoring model weights from the end of the best epoch: 1.",
    ]


def test_an_epoch_that_is_not_validated_counts_for_nothing():
    stopper = dk.EarlyStopping(patience=1)
    stopper.params = {"metrics": ["loss", "val_loss"]}
    stopper.model = network()
    stopper.on_train_begin({})
    for epoch, logs in enumerate([{"val_loss": 1.0}, {}, {}, {"val_loss": 0.5}, {}, {"val_loss": 0.7}]):
        assert not stopper.model.stop_training
        stopper.on_epoch_end(epoch, logs)
    assert (stopper.best_epoch, stopper.stopped_epoch) == (3, 5)
