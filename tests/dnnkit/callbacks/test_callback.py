"""What a callback is called with and when, what it may change, and what it costs."""

import threading

import numpy as np
import pytest

import dnnkit as dk
from dnnkit.callbacks import LambdaCallback
from dnnkit.callbacks.callback_list import HOOKS
from dnnkit.errors import ConfigurationError, UnknownName

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
    """Records its calls, with copies of the logs."""

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


def test_all_methods_are_called_in_order(backend):
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
    fit(net, recorder, epochs=2, validation_data=data())
    assert recorder.model is net
    measured = ["loss", "accuracy", "val_loss", "val_accuracy"]
    assert recorder.params == {
        "epochs": 2, "steps": STEPS, "samples": SAMPLES, "batch_size": BATCH, "verbose": 0, "metrics": measured
    }  # fmt: skip


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
    """Record the steps of every call of `run_steps` from now on."""
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


def test_a_learning_rate_changed_after_an_epoch_holds_from_the_next(backend):
    frozen, once = network(), network()
    fit(frozen, FreezeAfterEpoch(), epochs=3)
    fit(once, epochs=1)
    assert_same_parameters(frozen, once)


def test_a_learning_rate_changed_after_a_batch_holds_from_the_next(backend):
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


def test_training_stops_after_the_epoch_that_requests_it(backend):
    recorder, net = EpochRecorder(), network()
    history = fit(net, StopAt(1), recorder, epochs=5)
    assert history.epoch == [0, 1]
    assert recorder.heard[-2:] == [("epoch ends", 1), ("train ends",)]


def test_training_stops_after_the_batch_that_requests_it(backend):
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


class Duck:
    """A class outside dnnkit, with a method that dnnkit would call."""

    def on_epoch_end(self, epoch, logs=None):
        pass


@pytest.mark.parametrize(
    ("wrong", "cure"),
    [
        (print, r"LambdaCallback\(on_epoch_end=function\)"),
        (dk.EarlyStopping, r"instantiate it, EarlyStopping\(\)"),
        (Duck(), "derive its class from dnnkit.Callback"),
        (3, ""),
        (None, ""),
    ],
)
def test_other_objects_are_rejected_before_training(wrong, cure):
    net = network()
    with pytest.raises(ConfigurationError, match=f"class Callback.*{cure}"):
        fit(net, wrong)
    assert net.executable.state.step == 0


# -- every moment of Keras -------------------------------------------------------------------------------------------


def listening(*names: str) -> tuple[dk.Callback, list[tuple]]:
    """Return a callback that overrides these methods, or all, and the list of its calls, without their logs."""
    heard: list[tuple] = []

    def function(name: str):
        return lambda *arguments: heard.append((name.removeprefix("on_"), *arguments[:-1]))

    return LambdaCallback(**{name: function(name) for name in names or HOOKS}), heard


def a_test(batches: int) -> list[tuple]:
    each = [(f"test_batch_{moment}", batch) for batch in range(batches) for moment in ("begin", "end")]
    return [("test_begin",), *each, ("test_end",)]


def test_every_method_is_called_when_keras_calls_it(backend):
    callback, heard = listening()
    fit(net := network(), callback, epochs=2, validation_data=data())
    batches = [(f"train_batch_{moment}", batch) for batch in range(STEPS) for moment in ("begin", "end")]
    expected = [("train_begin",)]
    for epoch in (0, 1):
        expected += [("epoch_begin", epoch), *batches, *a_test(STEPS), ("epoch_end", epoch)]
    assert heard == [*expected, ("train_end",)]
    heard.clear()
    x, y = data()
    net.evaluate(x, y, batch_size=5, callbacks=[callback])
    net.predict(x, batch_size=6, callbacks=callback)
    predicted = [(f"predict_batch_{moment}", batch) for batch in (0, 1) for moment in ("begin", "end")]
    assert heard == [*a_test(2), ("predict_begin",), *predicted, ("predict_end",)]
    assert callback.model is net
    assert callback.params == {"epochs": 1, "steps": 2, "samples": SAMPLES, "batch_size": 6, "verbose": 0}


class AsUsersWriteIt(dk.Callback):
    """With everything that programs for Keras contain."""

    def __init__(self):
        super().__init__()
        self.told = []

    def set_model(self, model):
        super().set_model(model)
        self.told.append("model")

    def set_params(self, params):
        super().set_params(params)
        self.told.append(params["epochs"])

    def on_train_begin(self, logs=None):
        self.told.append(sorted(logs or {}))

    def on_train_batch_end(self, batch, logs=None):
        if batch == 0:
            super().on_train_batch_end(batch, logs)

    def on_batch_end(self, batch, logs=None):
        self.told.append(("older name", batch))


def test_a_class_as_users_write_it():
    callback = AsUsersWriteIt()
    fit(network(), callback)
    assert callback.told == ["model", 1, [], ("older name", 0)]


class OfTests(dk.Callback):
    def __init__(self):
        self.batches, self.ends = [], []

    def on_test_batch_end(self, batch, logs=None):
        self.batches.append(logs)

    def on_test_end(self, logs=None):
        self.ends.append(logs)


def test_logs_of_an_evaluation_are_means_so_far(backend):
    tests, net = OfTests(), network()
    x, y = data()
    weights = np.linspace(0.1, 1, SAMPLES)
    result = dict(net.evaluate(x, y, batch_size=BATCH, sample_weight=weights, callbacks=tests))
    parts = [dict(net.evaluate(x[:end], y[:end], sample_weight=weights[:end])) for end in (4, 8, 10)]
    for logs, part in zip(tests.batches, parts, strict=True):
        assert logs == pytest.approx(part, rel=1e-5)
    assert tests.ends == [result]
    assert result == pytest.approx(dict(net.evaluate(x, y, sample_weight=weights)), rel=1e-6)


def test_validation_callbacks_get_no_val_prefix_and_change_nothing(backend):
    tests, watched, alone = OfTests(), network(), network()
    history = fit(watched, tests, epochs=2, validation_data=data())
    expected = fit(alone, epochs=2, validation_data=data())
    assert [logs["loss"] for logs in tests.ends] == history["val_loss"] == pytest.approx(expected["val_loss"])
    assert history["loss"] == expected["loss"]
    assert_same_parameters(watched, alone)


def test_predicted_batches_are_the_predictions(backend):
    outputs, net = [], network()
    callback = LambdaCallback(on_predict_batch_end=lambda batch, logs: outputs.append(logs["outputs"]))
    found = net.predict(data()[0], batch_size=BATCH, callbacks=[callback])
    assert [len(output) for output in outputs] == [4, 4, 2]
    np.testing.assert_array_equal(np.concatenate(outputs), found)
    np.testing.assert_allclose(found, net.predict(data()[0]), rtol=1e-5)


def test_only_batch_callbacks_make_batches_run_one_by_one(backend, monkeypatch):
    net = network()
    calls = count_calls(net, monkeypatch)
    evaluations, evaluate = [], net.executable.evaluate

    def counting(data, batch_size, parameters=None, after_batch=None):
        evaluations.append(after_batch is not None)
        return evaluate(data, batch_size, parameters, after_batch)

    monkeypatch.setattr(net.executable, "evaluate", counting)
    quiet, _ = listening(*(name for name in HOOKS if "batch" not in name))
    fit(net, quiet, validation_data=data())
    assert (calls, evaluations) == ([(0, STEPS)], [False])
    tests, _ = listening("on_test_batch_begin")
    fit(net, tests, validation_data=data())
    assert (calls[1:], evaluations[1:]) == ([(0, STEPS)], [True])


def test_weights_may_be_changed_for_an_evaluation(backend):
    """As when a callback evaluates a mean of the weights."""

    class Zero(dk.Callback):
        def on_test_begin(self, logs=None):
            self.kept = dict(self.model.parameters)
            self.model.set_parameters({name: 0 * value for name, value in self.kept.items()})

        def on_test_end(self, logs=None):
            self.model.set_parameters(self.kept)

    net, alone = network(), network()
    history = fit(net, Zero(), validation_data=data())
    fit(alone)
    assert history["val_loss"] == pytest.approx([np.log(2)])
    assert_same_parameters(net, alone)


def test_an_evaluation_with_callbacks_runs_once_despite_other_threads():
    net = network()
    x, y = data()
    busy = threading.Event()

    def write() -> None:
        while not busy.is_set():
            net.parameters["dense/bias"] = np.zeros(6)

    thread = threading.Thread(target=write)
    thread.start()
    try:
        for _ in range(20):
            tests = OfTests()
            net.evaluate(x, y, batch_size=1, callbacks=tests)
            assert len(tests.batches) == SAMPLES
    finally:
        busy.set()
        thread.join()


# -- checks of given callbacks ----------------------------------------------------------------------------------------


class Misspelt(dk.Callback):
    def on_epoch_start(self, epoch, logs=None):
        raise AssertionError("never called")


class TooFew(dk.Callback):
    def on_epoch_end(self, epoch):
        raise AssertionError("never called")


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (Misspelt, UnknownName, "'on_epoch_start', which would never be called: did you mean 'on_epoch_begin'"),
        (TooFew, ConfigurationError, r"TooFew.on_epoch_end takes \(epoch\): expected \(epoch, logs=None\)"),
        (lambda: LambdaCallback(on_batch_edn=print), UnknownName, "did you mean 'on_batch_end'"),
        (lambda: LambdaCallback(on_batch_end=3), ConfigurationError, r"on_batch_end=3\): expected a function"),
        (lambda: LambdaCallback(on_train_end=lambda: 0), ConfigurationError, r"takes \(\): expected \(logs=None\)"),
    ],
)
def test_a_method_that_cannot_be_called_is_rejected_when_given(make, error, message):
    x, y = data()
    net = network()
    for ask in (net.fit, net.evaluate, lambda x, y, callbacks: net.predict(x, callbacks=callbacks)):
        with pytest.raises(error, match=message):
            ask(x, y, callbacks=[make()])
    assert net.executable.state.step == 0


def test_nested_lists_are_accepted():
    heard = [listening("on_train_begin") for _ in range(3)]
    (one, _), (two, _), (three, _) = heard
    fit(network(), [one, (two,)], dk.callbacks.CallbackList([three]))
    assert [calls for _, calls in heard] == [[("train_begin",)]] * 3


# -- what callbacks add to the logs ----------------------------------------------------------------------------------


def test_additions_to_the_logs_reach_history_and_later_callbacks(backend):
    class Add(dk.Callback):
        def on_epoch_end(self, epoch, logs=None):
            logs["val_score"] = np.float32(epoch)

    stopper, net = dk.EarlyStopping("val_score", mode="max", patience=2), network()
    history = fit(net, Add(), stopper, epochs=3)
    assert history["val_score"] == net.history["val_score"] == [0.0, 1.0, 2.0]
    assert type(history["val_score"][0]) is float
    assert stopper.best_epoch == 2
    assert len(history["loss"]) == len(history.seconds) == 3


def test_additions_to_the_logs_of_an_evaluation_are_returned(backend):
    add = LambdaCallback(on_test_end=lambda logs: logs.update(score=np.int64(7)))
    net = network()
    history = fit(net, add, epochs=2, validation_data=data())
    assert history["val_score"] == net.history["val_score"] == [7.0, 7.0]
    assert net.evaluate(*data(), callbacks=add)["score"] == 7.0


def test_logs_that_are_not_numbers_are_rejected():
    wrong = LambdaCallback(on_epoch_end=lambda epoch, logs: logs.update(note="good"))
    with pytest.raises(ConfigurationError, match=r"a callback sets logs\['note'\] to 'good': expected a number"):
        fit(network(), wrong)
