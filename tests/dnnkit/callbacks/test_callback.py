"""What a callback hears and when, what it may change, and what it costs."""

import numpy as np
import pytest

import dnnkit as dk
from dnnkit.errors import ConfigurationError

SAMPLES, BATCH = 10, 4  # batches of 4, 4 and 2
STEPS = 3


def data() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(3)
    x = rng.normal(size=(SAMPLES, 5))
    return x, (x[:, 0] > 0).astype(int)


def network() -> dk.Sequential:
    net = dk.Sequential([dk.Dense(6, activation="tanh"), dk.Dense(2, activation="softmax")], seed=0)
    net.compile(dk.SGD(learning_rate=0.5), "sparse_categorical_crossentropy", ["accuracy"])
    net.build(5)
    return net


def fit(net: dk.Sequential, *callbacks: dk.Callback, epochs: int = 1, **options) -> dk.History:
    return net.fit(*data(), batch_size=BATCH, epochs=epochs, callbacks=callbacks, verbose=0, **options)


def assert_same_parameters(one: dk.Sequential, other: dk.Sequential) -> None:
    for name, value in one.parameters.items():
        np.testing.assert_array_equal(value, other.parameters[name])


class EpochRecorder(dk.Callback):
    """Writes down what it hears, with copies of the logs."""

    def __init__(self) -> None:
        self.heard = []
        self.logs = []

    def note(self, *event, logs) -> None:
        self.heard.append(event)
        self.logs.append(dict(logs))

    def on_train_begin(self, logs):
        self.note("train begins", logs=logs)

    def on_train_end(self, logs):
        self.note("train ends", logs=logs)

    def on_epoch_begin(self, epoch, logs):
        self.note("epoch begins", epoch, logs=logs)

    def on_epoch_end(self, epoch, logs):
        self.note("epoch ends", epoch, logs=logs)


class BatchRecorder(EpochRecorder):
    def on_batch_begin(self, batch, logs):
        self.note("batch begins", batch, logs=logs)

    def on_batch_end(self, batch, logs):
        self.note("batch ends", batch, logs=logs)


def test_everything_is_heard_in_order(backend):
    recorder = BatchRecorder()
    fit(network(), recorder, epochs=3, initial_epoch=1)
    batches = [(event, batch) for batch in range(STEPS) for event in ("batch begins", "batch ends")]
    expected = [("train begins",)]
    for epoch in (1, 2):
        expected += [("epoch begins", epoch), *batches, ("epoch ends", epoch)]
    assert recorder.heard == [*expected, ("train ends",)]


def test_logs_are_plain_numbers_and_end_with_the_history(backend):
    recorder = BatchRecorder()
    history = fit(network(), recorder, validation_data=data())
    *_, last_batch, epoch, end = recorder.logs
    assert set(last_batch) == {"loss", "accuracy"}
    assert set(epoch) == {"loss", "accuracy", "val_loss", "val_accuracy"}
    assert epoch == end == {name: values[-1] for name, values in history.history.items()}
    assert all(type(value) is float for value in epoch.values())
    assert last_batch["loss"] == pytest.approx(epoch["loss"])


def test_logs_of_a_batch_are_means_over_the_epoch_so_far():
    recorder = BatchRecorder()
    fit(network(), recorder, shuffle=False)
    ends = [logs for event, logs in zip(recorder.heard, recorder.logs, strict=True) if event[0] == "batch ends"]
    x, y = data()
    net = network()
    losses = [net.train_step(x[first : first + BATCH], y[first : first + BATCH]) for first in (0, 4, 8)]
    means = [losses[0], (losses[0] + losses[1]) / 2, np.average(losses, weights=[4, 4, 2])]
    assert [logs["loss"] for logs in ends] == pytest.approx(means, rel=1e-5)


def test_callbacks_know_network_and_run():
    recorder, net = EpochRecorder(), network()
    fit(net, recorder, epochs=2)
    assert recorder.model is net
    assert recorder.params == {"epochs": 2, "steps": STEPS, "samples": SAMPLES, "batch_size": BATCH}


def test_several_callbacks_hear_in_the_order_they_were_given():
    heard = []

    class Named(dk.Callback):
        def __init__(self, name):
            self.name = name

        def on_epoch_end(self, epoch, logs):
            heard.append(self.name)

    fit(network(), Named("first"), Named("second"))
    assert heard == ["first", "second"]


def test_watching_changes_nothing(backend):
    watched, alone = network(), network()
    watched_history = fit(watched, BatchRecorder(), epochs=3)
    assert watched_history.history == fit(alone, epochs=3).history
    assert_same_parameters(watched, alone)


@pytest.mark.parametrize("verbose", [0, 2])
def test_without_batch_methods_an_epoch_is_one_call(backend, monkeypatch, verbose):
    calls = count_calls(net := network(), monkeypatch)
    net.fit(*data(), batch_size=BATCH, epochs=3, callbacks=[EpochRecorder()], verbose=verbose)
    assert calls == [(0, STEPS)] * 3


def test_with_batch_methods_a_step_is_one_call(backend, monkeypatch):
    calls = count_calls(net := network(), monkeypatch)
    fit(net, BatchRecorder(), EpochRecorder())
    assert calls == [(0, 1), (1, 2), (2, 3)]


def count_calls(net: dk.Sequential, monkeypatch) -> list[tuple[int, int]]:
    """The steps of every call of `run_steps` from now on."""
    calls = []
    run_steps = net.executable.run_steps

    def counting(first, last, hyperparameters):
        calls.append((first, last))
        return run_steps(first, last, hyperparameters)

    monkeypatch.setattr(net.executable, "run_steps", counting)
    return calls


class FreezeAfterEpoch(dk.Callback):
    def on_epoch_end(self, epoch, logs):
        self.model.optimizer.learning_rate = 0.0


class FreezeAfterBatch(dk.Callback):
    def on_batch_end(self, batch, logs):
        self.model.optimizer.learning_rate = 0.0


def test_a_learning_rate_that_is_changed_after_an_epoch_holds_from_the_next(backend):
    frozen, once = network(), network()
    fit(frozen, FreezeAfterEpoch(), epochs=3)
    fit(once, epochs=1)
    assert_same_parameters(frozen, once)


def test_a_learning_rate_that_is_changed_after_a_batch_holds_from_the_next(backend):
    frozen, once = network(), network()
    fit(frozen, FreezeAfterBatch(), shuffle=False)
    once.train_step(*(part[:BATCH] for part in data()))
    assert_same_parameters(frozen, once)


class StopAt(dk.Callback):
    def __init__(self, epoch: int) -> None:
        self.epoch = epoch

    def on_epoch_end(self, epoch, logs):
        self.model.stop_training = epoch == self.epoch


class StopAtBatch(dk.Callback):
    def on_batch_end(self, batch, logs):
        if batch == 1:
            self.model.stop_training = True


def test_training_stops_after_the_epoch_that_says_so(backend):
    recorder, net = EpochRecorder(), network()
    history = fit(net, StopAt(1), recorder, epochs=5)
    assert history.epoch == [0, 1]
    assert recorder.heard[-2:] == [("epoch ends", 1), ("train ends",)]


def test_training_stops_after_the_batch_that_says_so(backend):
    recorder, net = EpochRecorder(), network()
    history = fit(net, StopAtBatch(), recorder, epochs=5)
    assert net.executable.state.step == 2
    assert history.epoch == [0]
    assert recorder.heard[-2:] == [("epoch ends", 0), ("train ends",)]


def test_a_network_that_was_stopped_trains_on():
    net = network()
    fit(net, StopAt(0), epochs=5)
    assert fit(net, epochs=2).epoch == [0, 1]


def test_parameters_may_be_set_by_a_callback(backend):
    class Zero(dk.Callback):
        def on_epoch_end(self, epoch, logs):
            self.model.parameters["dense/kernel"] = np.zeros((5, 6))

    net = network()
    fit(net, Zero(), epochs=2)
    assert not net.parameters["dense/kernel"].any()
    assert net.parameters["dense_1/bias"].any()


def test_an_error_in_a_callback_is_the_users_to_see():
    class Broken(dk.Callback):
        def on_epoch_end(self, epoch, logs):
            raise LookupError("a bug of the user's own")

    recorder, net = EpochRecorder(), network()
    with pytest.raises(LookupError, match="own"):
        fit(net, Broken(), recorder, epochs=3)
    assert ("train ends",) not in recorder.heard
    assert fit(net).epoch == [0]


@pytest.mark.parametrize("wrong", [print, dk.EarlyStopping, 3, None])
def test_what_is_no_callback_is_refused_before_training(wrong):
    net = network()
    with pytest.raises(ConfigurationError, match="class Callback"):
        fit(net, wrong)
    assert net.executable.state.step == 0
