"""Ctrl-C, exceptions and a system without threads: nothing keeps running, and training can continue."""

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import numpy as np
import pytest

import dnnkit as dk
from dnnkit.backends.numba_backend.threads import in_threads
from dnnkit.callbacks import Callback
from tests.backends.numba_backend.partitions import (
    DIVIDED,
    DIVISIONS,
    LOCAL,
    check_same,
    classes,
    classifier,
    dividing,
    numbers,
    threads_ended,
)
from tests.processes import started


def fail_at(batch: int, error: BaseException) -> Callback:
    class Fail(Callback):
        def on_batch_end(self, number: int, logs: Any) -> None:
            if number == batch:
                raise error

    return Fail()


@pytest.mark.parametrize("partition", DIVIDED)
def test_an_exception_between_steps_leaves_no_thread_and_can_be_resumed(partition: str) -> None:
    x, labels, _ = classes()
    net, whole = classifier(num_threads=4), classifier(num_threads=4)
    with dividing(partition):
        whole.fit(x, labels, batch_size=7, verbose=0)
        with pytest.raises(ValueError, match="planted"):
            net.fit(x, labels, batch_size=7, callbacks=fail_at(11, ValueError("planted")), verbose=0)
        assert threads_ended()
        net.fit(x, labels, batch_size=7, verbose=0)
        assert threads_ended()
    check_same(net, whole)


@pytest.mark.parametrize("partition", DIVISIONS)
def test_no_thread_is_left_after_training_with_any_number_of_them(partition: str) -> None:
    x, labels, _ = classes()
    net = classifier(num_threads=16)
    with dividing(partition):
        for _ in range(5):
            net.fit(x, labels, batch_size=8, verbose=0)
            net.predict(x)
            net.evaluate(x, labels)
            assert threads_ended()


def test_without_further_threads_none_is_left_and_training_continues(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    x, labels, _ = classes(20_000)
    net = classifier(num_threads=4)
    start, started = threading.Thread.start, []

    def start_two(self: threading.Thread) -> None:
        if len(started) == 2:
            raise RuntimeError("can't start new thread")
        started.append(self)
        start(self)

    with dividing("units/4"):
        net.fit(x[:40], labels[:40], verbose=0)
        assert threads_ended()
        started.clear()
        with monkeypatch.context() as patch, suppress(RuntimeError):
            patch.setattr(threading.Thread, "start", start_two)
            net.fit(x, labels, batch_size=2, verbose=0)
        assert len(started) == 2
        assert threads_ended()
        step = net.executable.state.step
        net.fit(x, labels, batch_size=500, verbose=0)
        assert net.executable.state.step == step + 40


@pytest.mark.parametrize("partition", LOCAL)
def test_ctrl_c_after_the_last_step_does_not_shorten_the_next_epoch(partition: str) -> None:
    class Interrupt(Callback):
        def on_epoch_end(self, epoch: int, logs: Any) -> None:
            os.kill(os.getpid(), signal.SIGINT)

    x, labels, _ = classes()
    net, whole = classifier(), classifier()
    with dividing(partition):
        with pytest.raises(KeyboardInterrupt):
            net.fit(x, labels, epochs=3, callbacks=Interrupt(), verbose=0)
        assert net.executable.state.step == 8
        losses = [net.fit(x, labels, verbose=0)["loss"], whole.fit(x, labels, epochs=2, verbose=0)["loss"][1:]]
    assert losses[0] == losses[1]
    check_same(net, whole)


def interrupt(work: Callable[[], object], *pauses: float) -> None:
    """Run the work, and send Ctrl-C from another thread after one or two pauses; the work has to end by it."""

    def send() -> None:
        for pause in pauses:
            time.sleep(pause)
            os.kill(os.getpid(), signal.SIGINT)

    sender = threading.Thread(target=send)
    heard = []
    try:  # the second may arrive anywhere
        try:
            sender.start()
            work()
        except KeyboardInterrupt:
            heard.append("at work")
        sender.join()
    except KeyboardInterrupt:
        heard.append("later")
    sender.join()
    assert heard


@pytest.mark.parametrize("what", ["predict", "evaluate"])
def test_ctrl_c_while_predicting_leaves_no_thread_and_right_answers(what: str) -> None:
    x, labels, _ = classes(100_000)
    net = classifier()
    net.build(11)
    ask = (lambda: net.predict(x)) if what == "predict" else (lambda: np.array([*net.evaluate(x, labels).values()]))
    expected = ask()
    for _ in range(3):
        interrupt(lambda: [ask() for _ in range(1000)], 0.15)
        np.testing.assert_array_equal(ask(), expected)
        assert threads_ended()


@pytest.mark.parametrize("partition", LOCAL)
def test_after_ctrl_c_twice_nothing_continues_and_the_next_epoch_is_whole(partition: str) -> None:
    """The second arrives while the step that the first lets finish is being computed."""
    rng = np.random.default_rng(0)
    x, labels = rng.normal(size=(20_000, 200)), rng.integers(0, 5, 20_000)
    net = dk.Sequential([dk.Dense(600, activation="relu"), dk.Dense(5, activation="softmax")], seed=0, backend="numba")
    net.compile(optimizer="sgd", loss="sparse_categorical_crossentropy")
    with dividing(partition):
        net.fit(x[:100], labels[:100], verbose=0)
        interrupt(lambda: net.fit(x, labels, batch_size=10_000, epochs=1000, verbose=0), 0.2, 0.003)
        left = numbers(net)
        assert threads_ended()
        for name, value in numbers(net).items():
            np.testing.assert_array_equal(value, left[name], err_msg=name)
        step, position = net.executable.state.step, net.executable.state.position
        net.fit(x, labels, batch_size=10_000, verbose=0)
        assert net.executable.state.step == step + 2 - position % 2


INTERRUPTED = """
import json, os, signal, sys, threading, time
import numpy as np
import dnnkit as dk
from dnnkit.backends.numba_backend.threads import in_threads

rng = np.random.default_rng(0)
x, y = rng.normal(size=(3000, 20)), rng.integers(0, 4, 3000)

class Tell(dk.callbacks.Callback):
    def on_epoch_begin(self, epoch, logs):
        if epoch == 0:
            print("training", flush=True)

def network():
    layers = [dk.Dense(40, activation="relu"), dk.Dropout(0.1), dk.Dense(30, activation="tanh")]
    net = dk.Sequential([*layers, dk.Dense(4, activation="softmax")], seed=0, backend="numba", num_threads=2)
    net.compile(optimizer=dk.Adam(0.01), loss="sparse_categorical_crossentropy")
    net.fit(x[:40], y[:40], batch_size=8, verbose=0)
    return net

for division in sys.argv[1:]:
    os.environ["DNNKIT_PARTITION"] = division
    net, whole, heard = network(), network(), 0
    for _ in range(2):
        try:
            net.fit(x, y, batch_size=8, epochs=10**6, callbacks=Tell(), verbose=0)
        except KeyboardInterrupt:
            heard += 1
        end = time.monotonic() + 5
        while time.monotonic() < end and threading.active_count() > 1:
            time.sleep(0.01)
        left = [thread.name for thread in threading.enumerate() if thread is not threading.main_thread()]
    steps = net.executable.state.step - 5
    net.fit(x, y, batch_size=8, steps=100, verbose=0)
    whole.fit(x, y, batch_size=8, steps=steps + 100, verbose=0)
    ours, theirs = (each.executable.snapshot() for each in (net, whole))
    same = all((ours.parameters[name] == theirs.parameters[name]).all() for name in ours.parameters)
    same &= all((ours.slots[name] == theirs.slots[name]).all() for name in ours.slots)
    print(json.dumps([division, heard, left, steps > 0, same, ours.state == theirs.state]), flush=True)
"""


def test_ctrl_c_between_two_steps_leaves_no_trace_after_resuming() -> None:
    results = []
    with started([sys.executable, "-c", INTERRUPTED, *LOCAL]) as process:
        for _ in LOCAL:
            for _ in range(2):
                process.line("training")
                time.sleep(0.15)
                process.send_signal(signal.SIGINT)
            results.append(json.loads(process.line("[")))
        done = process.end()
    assert done.returncode == 0, done.stderr
    assert results == [[partition, 2, [], True, True, True] for partition in LOCAL]


def test_ctrl_c_that_another_thread_is_given_is_heard_at_once() -> None:
    """It does not wake the main thread, nor does one that arrives just before that sleeps."""
    stopped, ends = threading.Event(), threading.Event()

    def give() -> None:
        begun.wait()
        signal.pthread_kill(threading.get_ident(), signal.SIGINT)
        ends.wait(30)
        stopped.set()  # at the latest

    def work(number: int) -> None:
        begun.set()
        stopped.wait()
        heard.append(ends.is_set())

    begun, heard = threading.Event(), list[bool]()
    giver = threading.Thread(target=give)
    giver.start()
    with pytest.raises(KeyboardInterrupt):
        in_threads(work, 2, lambda: (ends.set(), stopped.set()))
    giver.join()
    assert heard == [True, True]
