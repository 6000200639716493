"""The lock behind turns: one at a time, first come, first served, whoever is interrupted."""

import threading
import time

import pytest

from dnnkit.network.fair_lock import FairLock
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
        assert asked.acquire(timeout=30)  # it waits: now the next may come
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
                lock._hand_on()  # as who has it does
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            lock.acquire(ask)
        waits.set()

    lock.acquire(nothing)
    assert together(interrupted) == []
    if not is_handed_first:
        lock.release()
    assert together(lambda: (lock.acquire(nothing), lock.release())) == []
