"""The lock behind turns: one thread at a time, first come, first served, whichever is interrupted."""

import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from types import FrameType

import pytest

from dnnkit.network import fair_lock, turns
from dnnkit.network.fair_lock import FairLock
from dnnkit.training.interrupts import Interrupts
from tests.threads import together


def nothing() -> None:
    pass


def test_one_thread_at_a_time_has_it_and_all_have_their_turns() -> None:
    lock, inside, counts = FairLock(), [], [0] * 6

    def work(number: int) -> None:
        for turn in range(500):
            lock.acquire(nothing)
            inside.append(number)
            assert inside == [number]
            if turn % 50 == 0:
                time.sleep(0)
            counts[number] += 1
            inside.pop()
            lock.release()

    assert together(*(lambda number=number: work(number) for number in range(6))) == []
    assert counts == [500] * 6


def test_it_is_handed_on_in_the_order_of_coming() -> None:
    lock, order, asked = FairLock(), [], threading.Semaphore(0)

    def wait(number: int) -> None:
        lock.acquire(asked.release)
        order.append(number)
        lock.release()

    lock.acquire(nothing)
    threads = [threading.Thread(target=wait, args=(number,)) for number in range(5)]
    for thread in threads:
        thread.start()
        assert asked.acquire(timeout=300)  # it is waiting: now the next may come
    lock.release()
    lock.acquire(nothing)  # behind them all
    assert order == list(range(5))
    lock.release()
    for thread in threads:
        thread.join()


def test_within_it_is_no_wait() -> None:
    lock = FairLock()
    lock.acquire(nothing)
    lock.acquire(nothing)
    lock.release()
    assert lock.is_mine
    lock.release()
    assert not lock.is_mine
    assert together(lambda: (lock.acquire(nothing), lock.release())) == []


@pytest.mark.parametrize("is_handed_first", [False, True])
def test_who_is_interrupted_while_waiting_passes_it_on(is_handed_first: bool) -> None:
    lock, waits = FairLock(), threading.Event()

    def interrupted() -> None:
        def ask() -> None:
            if is_handed_first:
                lock._queue.popleft()  # as the owner does
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            lock.acquire(ask)
        waits.set()

    lock.acquire(nothing)
    assert together(interrupted) == []
    if not is_handed_first:
        lock.release()
    assert together(lambda: (lock.acquire(nothing), lock.release())) == []


def interrupt_at(line: int, work: Callable[[], object], error: Callable[[], object]) -> bool:
    """Run `work`, with `error` called before the given line of all lines of locks and turns; return whether it was
    reached."""
    count, files = 0, {module.__file__ for module in (fair_lock, turns)}

    def trace(frame: FrameType, event: str, _: object) -> object:
        nonlocal count
        if frame.f_code.co_filename not in files:
            return None
        if event == "line":
            count += 1
            if count == line:
                sys.settrace(None)
                error()
        return trace

    sys.settrace(trace)
    try:
        with suppress(KeyboardInterrupt):
            work()
    finally:
        sys.settrace(None)
    return count >= line


def a_turn(of: turns.Turns) -> None:
    with of, of:
        pass


def fail() -> None:
    raise KeyboardInterrupt


def test_a_signal_leaves_no_lock_without_an_owner() -> None:
    """A fit that validated when Ctrl-C came could wait for itself for ever."""
    line, is_there = 0, True
    while is_there:
        line, turn = line + 1, partial(a_turn, turns.Turns())
        with suppress(KeyboardInterrupt), Interrupts(hears_sigterm=False):
            is_there = interrupt_at(line, turn, lambda: signal.raise_signal(signal.SIGINT))
        assert together(turn) == []
    assert line > 20


def test_a_thread_with_an_exception_no_longer_waits() -> None:
    """Without `Interrupts`, as in a program that only predicts."""
    line, is_there = 0, True
    while is_there:
        line, turn = line + 1, partial(a_turn, turns.Turns())
        is_there = interrupt_at(line, turn, fail)
        turn()
    assert line > 20


@pytest.mark.parametrize("by_another_thread", [False, True])
def test_who_waits_for_a_turn_can_be_interrupted(by_another_thread: bool) -> None:
    """Also by a signal that another thread receives, which does not wake the main one."""
    lock, is_taken, is_over = FairLock(), threading.Event(), threading.Event()

    def hold() -> None:
        lock.acquire(nothing)
        is_taken.set()
        is_over.wait(60)
        lock.release()

    def press() -> None:
        while not lock._wake_up:
            time.sleep(0.001)
        time.sleep(0.05)  # until it sleeps
        if by_another_thread:
            signal.pthread_kill(threading.get_ident(), signal.SIGINT)
        else:
            os.kill(os.getpid(), signal.SIGINT)

    threads = [threading.Thread(target=work) for work in (hold, press)]
    for thread in threads:
        thread.start()
    is_taken.wait()
    with pytest.raises(KeyboardInterrupt), Interrupts(hears_sigterm=False):
        lock.acquire(nothing)
    assert lock._queue, "it waited until nobody had it"
    is_over.set()
    for thread in threads:
        thread.join()
    assert together(lambda: (lock.acquire(nothing), lock.release())) == []
