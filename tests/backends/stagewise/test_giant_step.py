"""Steps of seconds: Ctrl-C does not wait for them, and nothing is left half done."""

import os
import signal
import threading
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest

import dnnkit as dk
from dnnkit.backends import Backend
from dnnkit.backends.numba_backend import executable as numba_executable
from dnnkit.backends.stagewise import executable as stagewise_executable
from dnnkit.backends.stagewise.giant_step import GiantStep
from tests.dnnkit.training.counting import BATCH, bits, data, network
from tests.threads import together


@pytest.fixture
def giant(monkeypatch: pytest.MonkeyPatch) -> None:
    """Treat every step as one."""
    for module in (stagewise_executable, numba_executable):
        monkeypatch.setattr(module, "is_giant", lambda *_: True)


@pytest.mark.usefixtures("giant")
def test_it_is_the_same_training(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    nets = [network(backend), network(backend)]
    histories = [nets[0].fit(*data(), batch_size=BATCH, epochs=3, verbose=0)]
    gradients = [nets[0].get_gradients(*data())]
    monkeypatch.undo()
    histories.append(nets[1].fit(*data(), batch_size=BATCH, epochs=3, verbose=0))
    gradients.append(nets[1].get_gradients(*data()))
    assert bits(nets[0]) == bits(nets[1])
    assert histories[0].history == histories[1].history
    assert gradients[0][0] == gradients[1][0]
    for name, value in gradients[0][1].items():
        np.testing.assert_array_equal(value, gradients[1][1][name])


@pytest.mark.usefixtures("giant")
def test_ctrl_c_leaves_it_with_every_number_as_before(backend: Backend, tmp_path: Path, monkeypatch) -> None:
    whole, net, entered, goes_on = network(backend), network(backend), threading.Event(), threading.Event()
    if not getattr(whole.executable, "gives_up", True):
        pytest.skip("no step takes a second there")
    for one in (whole, net):
        one.fit(*data(), batch_size=BATCH, epochs=1, verbose=0)
    before = net.executable.snapshot()

    may_change = GiantStep.may_change

    def slow(self: GiantStep) -> bool:
        entered.set()
        assert goes_on.wait(300)
        return may_change(self)

    monkeypatch.setattr(GiantStep, "may_change", slow)

    def press() -> None:
        assert entered.wait(300)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=press, daemon=True)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        net.fit(*data(), batch_size=BATCH, epochs=1, verbose=0, checkpoint=tmp_path)
    thread.join()
    for loaded in (net, dk.load(tmp_path, backend=backend)):
        now = loaded.executable.snapshot()
        assert (now.state.step, now.state.position) == (before.state.step, 0)
        for name, value in {**before.parameters, **before.slots}.items():
            np.testing.assert_array_equal({**now.parameters, **now.slots}[name], value)
    assert np.isfinite(net.predict(data()[0])).all()  # which does not wait
    goes_on.set()
    for one in (whole, net):
        one.fit(*data(), batch_size=BATCH, epochs=1, verbose=0)
    assert bits(net) == bits(whole)


def test_one_that_changes_already_is_waited_for() -> None:
    step, changed, unwanted = GiantStep(), [], threading.Event()

    def work() -> None:
        assert step.may_change()
        unwanted.set()
        time.sleep(0.2)
        changed.append(1)

    assert step.run(work, unwanted.is_set)
    assert changed == [1]


def test_an_abandoned_step_changes_nothing_and_the_next_waits_for_it() -> None:
    step, goes_on, answers = GiantStep(), threading.Event(), []

    def work() -> None:
        assert goes_on.wait(300)
        answers.append(step.may_change())

    assert not step.run(work, lambda: True)
    # a caller can also give up waiting for the next step, which waits for it
    assert not step.run(lambda: answers.append("next"), lambda: True)
    goes_on.set()
    assert step.run(lambda: answers.append(step.may_change()), lambda: False)
    assert answers == [False, True]


def test_an_interrupted_wait_is_repeated_by_the_next_step() -> None:
    """Python 3.11 considers a thread ended if its `join` was interrupted: the next step then used its buffers while it
    ran."""
    step, goes_on, order = GiantStep(), threading.Event(), []

    def work() -> None:
        assert goes_on.wait(300)
        order.append("left")

    assert not step.run(work, lambda: True)
    interrupter = threading.Timer(0.05, partial(os.kill, os.getpid(), signal.SIGINT))
    interrupter.start()
    with pytest.raises(KeyboardInterrupt):
        step.wait()
    interrupter.join()
    next_one = threading.Thread(target=lambda: step.run(lambda: order.append("next"), lambda: False))
    next_one.start()
    next_one.join(0.2)
    goes_on.set()
    next_one.join()
    assert order == ["left", "next"]


def test_one_that_cannot_be_started_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    def start(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    step, order = GiantStep(), []
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", start)
        with pytest.raises(RuntimeError, match="start new thread"):
            step.run(lambda: None, lambda: False)
    assert together(step.wait) == []
    assert step.run(lambda: order.append(1), lambda: False)
    assert order == [1]


def test_its_exceptions_are_raised() -> None:
    def work() -> None:
        raise MemoryError("too large")

    with pytest.raises(MemoryError, match="too large"):
        GiantStep().run(work, lambda: False)
