"""ReduceLROnPlateau and LearningRateScheduler: the rate of each epoch, and what History records."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some

import dnnkit as dk
from dnnkit.callbacks import LearningRateScheduler, ReduceLROnPlateau
from dnnkit.errors import ConfigurationError

DATA = np.random.default_rng(1).normal(size=(20, 3))
TARGETS = DATA @ np.array([[1.0], [-2.0], [0.5]])


def network(rate: float | dk.schedules.ExponentialDecay = 0.1) -> dk.Sequential:
    net = dk.Sequential([dk.Dense(1)], seed=0, dtype="float64")
    net.compile(dk.SGD(rate), "mean_squared_error")
    net.build(3)
    return net


def fit(net: dk.Sequential, *callbacks: dk.Callback | str, epochs: int = 4) -> dk.History:
    return net.fit(DATA, TARGETS, epochs=epochs, validation_data=(DATA, TARGETS), callbacks=callbacks, verbose=0)


def watch(callback: ReduceLROnPlateau, values: list[float], monitor: str = "val_loss") -> list[float]:
    """Return the rate after each epoch with these measurements; it starts at 1."""
    callback.model = net = network(1.0)
    callback.on_train_begin({})
    rates = []
    for epoch, value in enumerate(values):
        logs = {monitor: value}
        before = net.optimizer.learning_rate
        callback.on_epoch_end(epoch, logs)
        assert logs == {monitor: value, "learning_rate": before}
        rates.append(net.optimizer.learning_rate)
    return rates


def as_keras_counts(values, factor, patience, mode, min_delta, cooldown, min_lr) -> list[float]:
    """Return the rates by Keras's counting, written from its documentation and code, in plain numbers."""
    rate, wait, counter, rates = 1.0, 0, 0, []
    best = np.inf if mode == "min" else -np.inf
    for value in values:
        if counter > 0:
            counter -= 1
            wait = 0
        improves = value < best - min_delta if mode == "min" else value > best + min_delta
        if improves:
            best, wait = value, 0
        elif counter <= 0:
            wait += 1
            if wait >= patience and rate > min_lr:
                rate, counter, wait = max(rate * factor, min_lr), cooldown, 0
        rates.append(rate)
    return rates


@given(
    values=some.lists(some.sampled_from([0.5, 0.9, 1.0, 1.05, 1.1, 2.0, np.nan, np.inf]), max_size=30),
    factor=some.sampled_from([0.0, 0.1, 0.5]),
    patience=some.integers(0, 4),
    mode=some.sampled_from(["min", "max"]),
    min_delta=some.sampled_from([0.0, 0.07]),
    cooldown=some.integers(0, 3),
    min_lr=some.sampled_from([0.0, 0.01, 0.3]),
)
def test_it_counts_as_keras_does(**arguments):
    values = arguments.pop("values")
    expected = as_keras_counts(values, **arguments)
    assert watch(ReduceLROnPlateau(**arguments), values) == expected


def test_whether_more_is_better_is_the_metrics_to_say():
    values = [0.5, 0.6, 0.7]
    assert watch(ReduceLROnPlateau("accuracy", 0.5, 1), values, "accuracy") == [1.0, 1.0, 1.0]
    assert watch(ReduceLROnPlateau("loss", 0.5, 1), values, "loss") == [1.0, 0.5, 0.25]


def test_training_continues_at_the_reduced_rate_and_history_has_it(backend):
    net, by_hand = network(), network()
    history = fit(net, ReduceLROnPlateau(factor=0.5, patience=1, min_delta=1e9), epochs=4)
    rates = [0.1, 0.1, 0.05, 0.025]  # the first is the best for ever
    assert history["learning_rate"] == net.history["learning_rate"] == rates
    for epoch, rate in enumerate(rates):
        by_hand.optimizer.learning_rate = rate
        by_hand.fit(DATA, TARGETS, epochs=epoch + 1, initial_epoch=epoch, verbose=0)
    for name, value in net.parameters.items():
        np.testing.assert_array_equal(value, by_hand.parameters[name])


@pytest.mark.parametrize(
    ("schedule", "rates"),
    [
        (lambda epoch: 0.1 / (epoch + 1), [0.1, 0.05, 0.1 / 3]),
        (lambda epoch, rate: rate / 2, [0.05, 0.025, 0.0125]),
        (lambda epoch, lr=None: np.float32(lr), [np.float32(0.1).item()] * 3),
        ([0.3, 0.2, 0.1].__getitem__, [0.3, 0.2, 0.1]),
    ],
    ids=["of the epoch", "of the rate", "with a default", "a method in C"],
)
def test_a_schedule_sets_the_rate_of_each_epoch(schedule, rates, backend):
    net = network()
    assert fit(net, LearningRateScheduler(schedule), epochs=3)["learning_rate"] == rates
    assert type(net.optimizer.learning_rate) is float


def test_an_error_in_a_schedule_is_the_users_to_see():
    def schedule(epoch, rate):
        raise TypeError("a bug of the user's own")

    with pytest.raises(TypeError, match="own"):
        fit(network(), LearningRateScheduler(schedule))


def test_without_them_history_has_no_rate():
    assert "learning_rate" not in fit(network(), dk.EarlyStopping(patience=3)).history


def test_verbose_prints_changes(capsys):
    fit(network(), ReduceLROnPlateau(factor=0.5, patience=1, min_delta=1e9, verbose=1), epochs=2)
    fit(network(), LearningRateScheduler(lambda epoch: 0.25, verbose=1), epochs=1)
    assert capsys.readouterr().out.splitlines() == [
        "Epoch 2: ReduceLROnPlateau reducing learning rate to 0.05.",
        "Epoch 1: LearningRateScheduler setting learning rate to 0.25.",
    ]


@pytest.mark.parametrize("make", [ReduceLROnPlateau, lambda: LearningRateScheduler(lambda epoch: 0.1)])
def test_a_schedule_in_the_optimizer_is_rejected_before_training(make):
    net = network(dk.schedules.ExponentialDecay(0.1, 10, 0.5))
    with pytest.raises(ConfigurationError, match=r"sets the learning rate, but ExponentialDecay.* as SGD\("):
        fit(net, make())
    assert net.executable.state.step == 0


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ReduceLROnPlateau(factor=1.0), "factor is 1.0: expected a number of at least 0 and below 1"),
        (lambda: ReduceLROnPlateau(min_lr=-1), "min_lr is -1"),
        (lambda: ReduceLROnPlateau(cooldown=-1), "cooldown is -1"),
        (lambda: LearningRateScheduler(0.1), "expected a function of epoch"),
        (lambda: LearningRateScheduler(lambda: 0.1), "expected a function of epoch"),
        (lambda: LearningRateScheduler(dk.schedules.ExponentialDecay(0.1, 10, 0.5)), "counts updates"),
        (lambda: fit(network(), LearningRateScheduler(lambda epoch: -1.0)), r"schedule\(0\) returns -1.0: expected"),
        (lambda: fit(network(), LearningRateScheduler(lambda epoch: None)), r"schedule\(0\) returns None: expected"),
        (lambda: fit(network(), "LearningRateScheduler"), "needs arguments, so pass an object"),
    ],
)
def test_invalid_settings_are_rejected(make, message):
    with pytest.raises(ConfigurationError, match=message):
        make()
