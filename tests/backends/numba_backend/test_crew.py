"""Standby threads for short runs: same bits, nothing waits for them, none remains."""

import contextlib
import os
import sys
import threading
import time
from types import FrameType
from typing import Any

import numpy as np
import pytest

import dnnkit as dk
from dnnkit.backends.numba_backend import cost_model
from dnnkit.backends.numba_backend import crew as module
from dnnkit.backends.numba_backend import workers as module_of_workers
from dnnkit.backends.numba_backend.crew import CREW, RETRIED, TRIED, Crew, Pace
from dnnkit.backends.numba_backend.partition import Partition
from tests import processes
from tests.backends.numba_backend.partitions import check_same, classes, classifier, dividing, threads_ended

STEPS = 40


def trained(net: dk.Sequential, steps: int = STEPS) -> dk.Sequential:
    """Train in a custom loop."""
    x, labels, _ = classes()
    for number in range(steps):
        rows = slice(number % 5 * 8, number % 5 * 8 + 8)
        net.train_step(x[rows], labels[rows])
    return net


@pytest.mark.parametrize("partition", ["units/2", "units/3", "rows/2", "units/8"])
@pytest.mark.parametrize("how", ["awake", "asleep", "ended", "none can be started", "all are taken"])
def test_the_bits_do_not_depend_on_who_is_there(partition: str, how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with dividing(partition):
        alone = trained(classifier(num_threads=1))
        if how == "asleep":
            monkeypatch.setattr(module, "LOOKS", 0)
        if how == "ended":
            monkeypatch.setattr(module, "PARTING", 0.0)
        if how == "none can be started":

            def refuse(self: Any) -> None:
                raise RuntimeError("can't start new thread")

            assert threads_ended()
            monkeypatch.setattr(threading.Thread, "start", refuse)
        if how == "all are taken":
            monkeypatch.setattr(Crew, "_muster", lambda self, count, stand_by: None)
        check_same(trained(classifier(num_threads=8)), alone)


def test_standby_threads_take_part_and_end_when_unused() -> None:
    taken: list[str] = []
    with dividing("units/2"):
        net = classifier(num_threads=2)
        deadline = time.monotonic() + 20
        while not taken and time.monotonic() < deadline:
            trained(net)
            taken = [thread.name for thread in threading.enumerate() if thread.name.startswith("dnnkit-")]
    assert taken == ["dnnkit-1"]
    assert threads_ended()
    assert CREW._wake_up == {}


def test_a_thread_that_is_woken_as_it_ends_sleeps_and_ends_later(monkeypatch: pytest.MonkeyPatch) -> None:
    part, woken = Crew._part, list[int]()

    def wake_first(self: Crew, number: int) -> bool:
        if not woken:
            woken.append(number)
            self._muster(number + 1, None)
        return part(self, number)

    monkeypatch.setattr(Crew, "_part", wake_first)
    with dividing("units/2"):
        trained(classifier(num_threads=2))
    assert threads_ended()
    assert woken == [0]


def test_ctrl_c_while_a_thread_starts_leaves_no_number_without_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """At each moment at which Python checks signals: the start of a Python function and the end of a C function."""
    monkeypatch.setattr(module, "PARTING", 1e-3)
    monkeypatch.setattr(module, "LOOKS", 100)
    stand_by, moment, is_there = module._compiled("run_workers", "float32")[2], 0, True

    def interrupt(frame: FrameType, event: str, _: object) -> None:
        nonlocal count
        count += event in ("call", "c_return") and frame.f_code.co_filename in (module.__file__, threading.__file__)
        if count == moment:
            sys.setprofile(None)
            raise KeyboardInterrupt

    while is_there:
        crew, moment, count = Crew(), moment + 1, 0
        with contextlib.suppress(KeyboardInterrupt):
            sys.setprofile(interrupt)
            try:
                crew._muster(2, stand_by)
            finally:
                sys.setprofile(None)
        crew._muster(2, stand_by)
        assert threads_ended(), moment
        assert crew._wake_up == {}, moment
        is_there = count >= moment
    assert moment > 20


def test_networks_in_threads_of_their_own_share_them() -> None:
    with dividing("units/2"):
        expected = trained(classifier(num_threads=2), 200)
        nets = [classifier(num_threads=2) for _ in range(4)]
        threads = [threading.Thread(target=trained, args=(net, 200)) for net in nets]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for net in nets:
            check_same(net, expected)


FORKED = """
import os, sys
import numpy as np
import dnnkit as dk
os.environ["DNNKIT_PARTITION"] = "units/2"
x, y = np.random.default_rng(0).normal(size=(32, 50)), np.arange(32) % 3
net = dk.Sequential([dk.Dense(64, activation="relu"), dk.Dense(3, activation="softmax")], seed=0, backend="numba")
net.compile("adam", "sparse_categorical_crossentropy")
losses = [net.train_step(x, y) for _ in range(50)]
child = os.fork()  # while a thread stands by
losses = [net.train_step(x, y) for _ in range(50)]
if child == 0:
    os._exit(0 if np.isfinite(losses).all() else 1)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), losses[-1] < losses[0])
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_the_child_of_a_fork_trains() -> None:
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", FORKED]
    done = processes.run(command)
    assert done.stdout.split() == ["0", "True"], done.stderr


def test_a_process_ends_while_one_stands_by() -> None:
    long = "import dnnkit.backends.numba_backend.crew as crew\ncrew.LOOKS = 3_000_000\n"  # about 0.1 s
    command = [sys.executable, "-c", long + FORKED.split("child =")[0]]
    done = processes.run(command)
    assert (done.returncode, done.stderr) == (0, "")


def test_short_fits_and_large_predictions_have_one_workers_bits() -> None:
    x, labels, _ = classes(3000)
    one, several = classifier(num_threads=1), classifier(num_threads=4)
    with dividing("units/2"):
        for net in (one, several):
            for _ in range(5):
                net.fit(x[:60], labels[:60], batch_size=8, verbose=0)
        np.testing.assert_array_equal(one.predict(x), several.predict(x))
        assert one.evaluate(x, labels)["accuracy"] == several.evaluate(x, labels)["accuracy"]
    check_same(one, several)


@pytest.mark.parametrize("workers", [2, 3, 8])
@pytest.mark.parametrize("rows", [1, 7, 64])
def test_gradients_by_rows_are_those_of_one_worker(workers: int, rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    x, labels, _ = classes()
    loss, expected = classifier(num_threads=1).get_gradients(x[:rows], labels[:rows])
    monkeypatch.setattr(cost_model, "partition_of_gradients", lambda *_: Partition("rows", workers))
    found = []
    for threads in (1, 8):
        net = classifier(num_threads=threads)
        net.train_step(x[:rows], labels[:rows])  # with the parameters in either layout
        net.set_parameters(net.initial_parameters())
        net.executable.state.step = 0
        found.append(net.get_gradients(x[:rows], labels[:rows]))
        assert found[-1][0] == pytest.approx(loss, rel=1e-6)
        for name, gradient in found[-1][1].items():
            np.testing.assert_allclose(gradient, expected[name], rtol=1e-4, atol=1e-6, err_msg=name)
    for name, gradient in found[0][1].items():
        np.testing.assert_array_equal(gradient, found[1][1][name], err_msg=name)


@pytest.mark.parametrize("partition", ["units/1", "units/2", "rows/3"])
def test_slices_of_a_step_leave_the_bits(partition: str, monkeypatch: pytest.MonkeyPatch) -> None:
    x, labels, weights = classes(300)
    nets, seen = [], []
    for seconds in (module_of_workers.SLICE, 0.0):
        monkeypatch.setattr(module_of_workers, "SLICE", seconds)
        with dividing(partition):
            net = classifier(num_threads=3)
            history = net.fit(x, labels, batch_size=7, epochs=2, sample_weight=weights, verbose=0)
            measured = net.evaluate(x, labels, batch_size=50)
            seen.append((history["loss"], measured, net.predict(x, batch_size=40).tolist()))
        nets.append(net)
    check_same(*nets)
    assert seen[0] == seen[1]


def test_standby_threads_join_short_runs_while_that_is_faster() -> None:
    pace, seconds, joined = Pace(), {True: 2.0, False: 1.0}, list[bool]()
    for run in range(4 * RETRIED):
        if run == 2 * RETRIED:  # the other load has ended
            seconds[True] = 0.5
        joined.append(pace.is_shared_next())
        is_woken = joined[-2:] == [False, True]
        pace.note(joined[-1], 9.0 if is_woken else seconds[joined[-1]])
    assert joined[: 2 * TRIED] == [True] * TRIED + [False] * TRIED
    assert sum(joined[2 * TRIED : 2 * RETRIED]) == TRIED + 1
    assert sum(joined[3 * RETRIED :]) == RETRIED - TRIED


def test_runs_that_were_interrupted_leave_the_choice_open() -> None:
    pace = Pace()
    joined = [pace.is_shared_next() for _ in range(2 * RETRIED)]
    assert any(joined)
    assert not all(joined)
