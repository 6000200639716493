"""Interrupted epochs are finished by the next training, and nothing is left half done."""

import copy
import pickle
import signal

import numpy as np
import pytest

import dnnkit as dk
from dnnkit.backends import Backend
from dnnkit.backends.registry import BACKENDS
from dnnkit.network.turns import Stretch
from dnnkit.training.epoch_order import epoch_order
from dnnkit.training.interrupts import undivided
from tests.dnnkit.training.counting import (
    BATCH,
    SAMPLES,
    WAYS,
    Listener,
    bits,
    data,
    network,
    numbered,
    state,
    still,
)


class RaiseAt(dk.Callback):
    """Raises an exception after this many updates."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_batch_end(self, batch, logs):
        if self.model.executable.state.step == self.step:
            raise KeyboardInterrupt


class PressCtrlCAt(RaiseAt):
    """Sends the signal itself, once, which `fit` handles between two steps."""

    pressed = False

    def on_batch_end(self, batch, logs):
        if self.model.executable.state.step == self.step and not self.pressed:
            self.pressed = True
            signal.raise_signal(signal.SIGINT)


def interrupt(net: dk.Sequential, callback: dk.Callback, **options) -> None:
    with pytest.raises(KeyboardInterrupt):
        net.fit(*data(), callbacks=callback, **options)


@pytest.mark.parametrize("shuffle", WAYS)
@pytest.mark.parametrize("kind", [RaiseAt, PressCtrlCAt])
def test_an_interrupted_epoch_of_steps_is_finished_by_the_next_fit(backend: Backend, shuffle, kind):
    options = {"batch_size": BATCH, "steps_per_epoch": 5, "shuffle": shuffle, "verbose": 0}
    whole, stopped = network(backend), network(backend)
    whole.fit(*data(), steps=13, **options)
    interrupt(stopped, kind(7), steps=13, **options)
    done = stopped.executable.state.step
    assert 7 <= done <= 8  # after the signal a step may still be running
    assert state(stopped) == (done, 1, done - 5)
    history = stopped.fit(*data(), steps=13 - done, **options)
    assert bits(stopped) == bits(whole)
    assert stopped.executable.state == whole.executable.state
    assert history.epoch == [0, 1]
    assert stopped.history.epoch == whole.history.epoch == [0, 1, 2]
    assert stopped.history["loss"][::2] == whole.history["loss"][::2]


@pytest.mark.parametrize("shuffle", WAYS)
def test_ctrl_c_in_the_last_step_of_a_short_epoch_leaves_no_rest(backend: Backend, shuffle):
    options = {"batch_size": BATCH, "steps_per_epoch": 5, "shuffle": shuffle, "verbose": 0}
    whole, stopped = network(backend), network(backend)
    whole.fit(*data(), steps=7, **options)
    interrupt(stopped, PressCtrlCAt(7), steps=7, **options)
    assert bits(stopped) == bits(whole)
    assert stopped.executable.state == whole.executable.state
    assert stopped.history.history == whole.history.history


def test_ctrl_c_before_the_first_step_of_an_epoch_is_not_forgotten(backend: Backend):
    """F7: the start of an epoch cleared the stop request, and the whole epoch ran."""

    class PressCtrlC(dk.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs):
            if epoch == 1:
                signal.raise_signal(signal.SIGINT)

    net = network(backend)
    with pytest.raises(KeyboardInterrupt):
        net.fit(*data(), batch_size=BATCH, steps_per_epoch=5, epochs=3, callbacks=PressCtrlC(), verbose=0)
    assert state(net) == (5, 1, 0)


def test_ctrl_c_during_begin_epoch_is_handled_before_the_first_step(backend: Backend, monkeypatch):
    """Nothing is raised there, and the steps had no stop request: the whole epoch ran."""
    enter = Stretch.__enter__

    @undivided
    def interrupted(turn: Stretch) -> None:
        enter(turn)
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(Stretch, "__enter__", interrupted)
    net = network(backend)
    with pytest.raises(KeyboardInterrupt):
        net.fit(*data(), batch_size=BATCH, steps_per_epoch=5, epochs=3, verbose=0)
    assert state(net) == (0, 0, 0)


def test_ctrl_c_while_that_step_runs_leaves_nothing_to_finish_either(backend: Backend):
    calls = []

    class PressCtrlCWithin(dk.Layer):
        def forward(self, xp, x):
            calls.append(x.shape)
            if len(calls) == 7:
                signal.raise_signal(signal.SIGINT)
            return x, None

        def backward(self, xp, dy, saved):
            return (dy,)

    net = dk.Sequential([PressCtrlCWithin(), dk.Dense(1)], seed=7, backend=backend)
    net.compile("sgd", "mean_squared_error")
    with pytest.raises(KeyboardInterrupt):
        net.fit(*numbered(), batch_size=BATCH, steps=7, steps_per_epoch=5, verbose=0)
    assert state(net) == (7, 1, 2)
    assert net.history.epoch == [0, 1]
    net.fit(*numbered(), batch_size=BATCH, steps=1, verbose=0)  # other batches: the logged epoch is over
    assert state(net) == (8, 2, 1)


def test_the_rest_of_an_interrupted_epoch_counts_among_the_steps(capsys):
    options = {"batch_size": BATCH, "steps_per_epoch": 5}
    net, listener = network(), Listener()
    interrupt(net, RaiseAt(3), epochs=2, verbose=0, **options)
    net.fit(*data(), steps=4, callbacks=[listener], verbose=2, **options)
    assert listener.heard == [("epoch", 0), ("batch", 3), ("batch", 4), ("epoch", 1), ("batch", 0), ("batch", 1)]
    assert listener.params["epochs"] == 2
    assert [line.split(" - ")[0] for line in capsys.readouterr().out.splitlines()] == ["Epoch 1/2", "Epoch 2/2"]
    assert state(net) == (7, 1, 2)


def test_the_loss_of_an_interrupted_epoch_is_a_mean_over_all_of_it(backend: Backend):
    y = np.arange(1.0, SAMPLES + 1)[:, None]
    net = still(backend)
    options = {"batch_size": BATCH, "steps_per_epoch": 4, "shuffle": False, "verbose": 0}
    with pytest.raises(KeyboardInterrupt):
        net.fit(y, y, callbacks=RaiseAt(1), **options)
    shown = np.arange(16) % SAMPLES
    assert net.fit(y, y, **options)["loss"] == pytest.approx([(y[shown] ** 2).mean()], rel=1e-12)


def test_an_epoch_of_another_length_does_not_resume_an_interrupted_one():
    net, listener = network(), Listener()
    interrupt(net, RaiseAt(3), batch_size=BATCH, steps_per_epoch=5, verbose=0)
    assert state(net) == (3, 0, 3)
    net.fit(*data(), batch_size=BATCH, steps_per_epoch=4, callbacks=listener, verbose=0)
    assert listener.heard == [("epoch", 0), *(("batch", step) for step in range(4))]
    assert state(net) == (7, 1, 0)


@pytest.mark.parametrize("way", ["in memory", "saved", "pickled", "copied"])
@pytest.mark.parametrize("shuffle", WAYS)
def test_steps_of_two_fits_are_those_of_one(backend: Backend, shuffle, way, tmp_path):
    """An epoch continues where the first fit ended; its log is then of the whole, bit for bit."""
    if way == "pickled" and backend.name not in BACKENDS:
        pytest.skip("a backend without a name")
    x, y = data()
    options = {"batch_size": BATCH, "shuffle": shuffle, "validation_data": (x, y), "verbose": 0}
    for a, b, options["steps_per_epoch"] in ((7, 2, 5), (1, 1, None), (3, 4, None), (2, 9, 4)):
        whole, net = network(backend), network(backend)
        expected = whole.fit(x, y, steps=a + b, **options)
        net.fit(x, y, steps=a, **options)
        if way == "saved":
            net.save(tmp_path)
            net = dk.load(tmp_path, backend=backend)
        elif way != "in memory":
            net = pickle.loads(pickle.dumps(net)) if way == "pickled" else copy.copy(net)
        history = net.fit(x, y, steps=b, **options)
        assert bits(net) == bits(whole)
        assert net.executable.snapshot().state == whole.executable.snapshot().state
        assert (net.history.epoch, net.history.history) == (whole.history.epoch, whole.history.history)
        assert history["loss"] == expected["loss"][-len(history.epoch) :]


def test_an_epoch_resumes_with_its_own_data_only():
    (x, y), options = data(), {"batch_size": BATCH, "steps": 2, "verbose": 0}
    same, other = network(), network()
    for net in (same, other):
        net.fit(x, y, **options)
    same.fit(x.copy(), y.tolist(), **options)
    assert state(same) == (4, 1, 1)
    other.fit(x + 1, y, **options)
    assert state(other) == (4, 1, 2)
    assert other.history.epoch == [0, 1]


def test_a_save_after_the_last_batch_of_an_epoch_loses_nothing_of_it(backend: Backend, tmp_path):
    """F13: the epoch vanished from history, and one too many was trained."""
    x, y = data()
    options = {"batch_size": BATCH, "validation_data": (x, y), "verbose": 0}
    whole, net = network(backend), network(backend)
    whole.fit(x, y, epochs=4, **options)

    class Save(dk.Callback):
        def on_batch_end(self, batch, logs):
            if self.model.executable.state.step == 6:
                self.model.save(tmp_path)

    net.fit(x, y, epochs=3, callbacks=Save(), **options)
    loaded = dk.load(tmp_path, backend=backend)
    assert loaded.history.epoch == [0]
    loaded.fit(x, y, initial_epoch=1, epochs=4, **options)
    assert bits(loaded) == bits(whole)
    assert (loaded.history.epoch, loaded.history.history) == (whole.history.epoch, whole.history.history)


def test_a_stop_request_works_within_an_order_longer_than_the_data(backend: Backend):
    """The executable alone: 10 samples, an order of 52 rows; a stop and the rest give the bits of one run."""
    order = epoch_order("with_replacement", SAMPLES, 52, 7, 0)
    nets = [network(backend), network(backend)]
    for net in nets:
        x, y = data()
        net.executable.begin_epoch(net.executable.load(x, y, None), order, BATCH)
    whole, stopped = (net.executable for net in nets)
    assert whole.run_steps(0, 13, nets[0].optimizer.hyperparameters(0, 13)) == 13
    assert stopped.run_steps(0, 6, nets[1].optimizer.hyperparameters(0, 6)) == 6
    stopped.request_stop()
    done = stopped.run_steps(6, 13, nets[1].optimizer.hyperparameters(6, 7))
    assert 6 <= done < 13
    assert stopped.run_steps(done, 13, nets[1].optimizer.hyperparameters(done, 13 - done)) == 13
    assert bits(nets[0]) == bits(nets[1])
    assert whole.totals() == stopped.totals()


def test_an_interrupt_in_the_last_batch_leaves_no_empty_epoch():
    net = network()
    interrupt(net, RaiseAt(3), batch_size=BATCH, verbose=0)
    history = net.fit(*data(), batch_size=BATCH, verbose=2)
    assert all(loss > 0 for loss in history["loss"])
