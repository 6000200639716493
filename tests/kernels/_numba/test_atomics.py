"""Numbers that threads share without locks: no update is lost, and a thread that sees the flag sees what was written
before."""

import threading
from collections.abc import Callable

import numba
import numpy as np
import pytest

from dnnkit.kernels._numba import atomics

LINE = 8


@numba.njit(nogil=True)
def count_up(counter, place, times):
    """Add 1 this many times; return how often another thread was faster."""
    lost = 0
    for _ in range(times):
        while True:
            seen = atomics.load(counter, place)
            if atomics.exchange_if(counter, place, seen, seen + 1):
                break
            lost += 1
    return lost


@numba.njit(nogil=True)
def try_once(array, place, expected, value):
    return atomics.exchange_if(array, place, expected, value)


@numba.njit(nogil=True)
def put(array, place, value):
    atomics.store(array, place, value)
    atomics.pause()
    atomics.yield_processor()
    return atomics.load(array, place)


@numba.njit(nogil=True)
def send(flags, message, turns):
    """Fill the message with the number of the turn, then raise the flag; wait until it was read."""
    for turn in range(1, turns + 1):
        for e in range(message.size):
            message[e] = turn
        atomics.store(flags, 0, turn)
        while atomics.load(flags, LINE) < turn:
            atomics.yield_processor()


@numba.njit(nogil=True)
def receive(flags, message, turns):
    """Return how many numbers of the message were not those of the turn when the flag was seen."""
    wrong = 0
    for turn in range(1, turns + 1):
        while atomics.load(flags, 0) < turn:
            atomics.yield_processor()
        for e in range(message.size):
            wrong += message[e] != turn
        atomics.store(flags, LINE, turn)
    return wrong


@numba.njit(nogil=True)
def take(claimed, owners, me):
    """Claim items that are still free, each at most once."""
    for place in range(claimed.size):
        if atomics.exchange_if(claimed, place, 0, me):
            owners[place] += 1


def together(*works: Callable[[], object]) -> list[object]:
    """Run all at once, each in a thread; return their results, in order."""
    results: list[object] = [None] * len(works)
    barrier = threading.Barrier(len(works))

    def work(place: int) -> None:
        barrier.wait()
        results[place] = works[place]()

    threads = [threading.Thread(target=work, args=(place,)) for place in range(len(works))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=120)
        assert not thread.is_alive()
    return results


def zeros(size: int = 2 * LINE) -> np.ndarray:
    return np.zeros(size, np.int64)


@pytest.mark.parametrize("threads", [2, 4])
def test_no_increment_of_several_threads_is_lost(threads: int) -> None:
    counter, times = zeros(), 200_000
    count_up(counter, LINE, 0)
    together(*[lambda: count_up(counter, LINE, times)] * threads)
    assert counter[LINE] == threads * times
    assert counter.sum() == threads * times


def test_compare_and_swap_happens_only_with_the_expected_number() -> None:
    array = np.arange(5)
    assert not try_once(array, 2, 3, 9)
    np.testing.assert_array_equal(array, [0, 1, 2, 3, 4])
    assert try_once(array, 2, 2, 9)
    np.testing.assert_array_equal(array, [0, 1, 9, 3, 4])
    assert not try_once(array, 2, 2, 7)
    np.testing.assert_array_equal(array, [0, 1, 9, 3, 4])


def test_all_64_bits_are_compared_and_written() -> None:
    array = np.array([0, 1 << 40, -1])
    assert not try_once(array, 1, 0, 5)
    assert try_once(array, 1, 1 << 40, -(1 << 62))
    assert try_once(array, 2, -1, (1 << 63) - 1)
    np.testing.assert_array_equal(array, [0, -(1 << 62), (1 << 63) - 1])


def test_a_stored_number_is_loaded_and_its_neighbours_are_unchanged() -> None:
    array = np.arange(4)
    assert put(array, 1, -7) == -7
    np.testing.assert_array_equal(array, [0, -7, 2, 3])


def test_a_slice_of_a_larger_array_is_written_in_its_own_place() -> None:
    array = zeros()
    assert put(array[3:9], 2, 4) == 4
    assert np.flatnonzero(array).tolist() == [5]


def test_who_sees_the_flag_sees_the_whole_message() -> None:
    flags, message, turns = zeros(), zeros(64), 20_000
    send(flags, message, 0)
    receive(flags, message, 0)
    _, wrong = together(lambda: send(flags, message, turns), lambda: receive(flags, message, turns))
    assert wrong == 0
    assert (flags[0], flags[LINE]) == (turns, turns)


def test_each_thing_is_claimed_by_one_thread_only() -> None:
    take(zeros(), zeros(), 1)
    claimed, owners = zeros(2_000_000), [zeros(2_000_000) for _ in range(3)]
    together(*(lambda me=me: take(claimed, owners[me - 1], me) for me in (1, 2, 3)))
    np.testing.assert_array_equal(sum(owners), np.ones(claimed.size))
    for me in (1, 2, 3):
        np.testing.assert_array_equal(owners[me - 1], claimed == me)
