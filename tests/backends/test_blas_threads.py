"""BLAS threads: one setting of the process, requested differently by several threads."""

import contextlib
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from types import FrameType

import numpy as np
import pytest

from dnnkit.backends import blas_threads as module
from dnnkit.backends.blas_threads import BlasThreads, blas_threads
from tests.threads import together


def now() -> int:
    return max(library.get_num_threads() for library in blas_threads()._libraries)


class Library:
    """The object that threadpoolctl has for one library."""

    def __init__(self, threads: int) -> None:
        self.threads = threads

    def get_num_threads(self) -> int:
        return self.threads

    def set_num_threads(self, threads: int) -> None:
        self.threads = threads


def test_a_thread_that_is_not_the_first_is_heard_too() -> None:
    seen = []

    def look() -> None:
        with blas_threads().bounded(1):
            seen.append(now())

    look()
    before = now()
    assert together(look, look) == []
    assert seen == [1, 1, 1]
    assert now() == before


def test_nobody_sees_the_bound_of_another() -> None:
    library = Library(4)
    blas, seen = BlasThreads(lambda: [library]), Counter()

    def work(bound: int | None, turns: int) -> None:
        for _ in range(turns):
            with blas.bounded(bound):
                for _ in range(3):
                    seen[bound, library.threads] += 1
                    time.sleep(1e-5)
                    blas.let_others()

    assert together(*(lambda bound=bound: work(bound, 100) for bound in (1, 2, None, 1, 9, None))) == []
    assert set(seen) == {(1, 1), (2, 2), (None, 4), (9, 4)}
    assert sum(seen.values()) == 6 * 300
    assert library.threads == 4


def test_those_who_want_the_same_run_side_by_side() -> None:
    blas, all_inside = BlasThreads(lambda: [Library(4)]), threading.Barrier(3, timeout=300)

    def wait() -> None:
        with blas.bounded(1):
            all_inside.wait()

    assert together(wait, wait, wait) == []


def test_long_work_lets_others_have_their_turn() -> None:
    library, over = Library(4), threading.Event()
    blas = BlasThreads(lambda: [library])

    def long() -> None:
        with blas.bounded(1):
            inside.set()
            while not over.is_set():
                time.sleep(1e-4)
                blas.let_others()
                assert library.threads == 1

    def short() -> None:
        inside.wait()
        with blas.bounded(2):
            assert library.threads == 2
        over.set()

    inside = threading.Event()
    assert together(long, short) == []


def test_within_a_bound_another_is_no_wait() -> None:
    library = Library(4)
    blas = BlasThreads(lambda: [library])
    with blas.bounded(1), blas.bounded(3):
        assert library.threads == 1
    assert library.threads == 4


@pytest.mark.parametrize("size", [20, 300])
def test_a_product_has_the_same_bits_in_any_thread(size: int) -> None:
    rng = np.random.default_rng(0)
    x, w = rng.normal(size=(500, size)).astype(np.float32), rng.normal(size=(size, 64)).astype(np.float32)
    with blas_threads().bounded(1):
        expected = x @ w

    def multiply() -> None:
        for _ in range(20):
            with blas_threads().bounded(1):
                np.testing.assert_array_equal(x @ w, expected)

    assert together(multiply, multiply, multiply) == []


def test_a_fork_waits_for_running_computations_and_lets_them_continue() -> None:
    library, over, inside = Library(4), threading.Event(), threading.Event()
    blas, computes = BlasThreads(lambda: [library]), []

    def compute() -> None:
        with blas.bounded(1):
            while not over.is_set():
                computes.append(1)
                inside.set()
                time.sleep(1e-4)
                computes.pop()
                blas.let_others()
        assert library.threads in (1, 4)

    def fork() -> None:
        assert inside.wait(300)
        for _ in range(50):
            blas.before_fork()
            assert computes == []
            blas.after_fork()
        over.set()

    assert together(compute, fork) == []
    assert library.threads == 4


def test_a_fork_within_a_bound_is_no_wait() -> None:
    library = Library(4)
    blas = BlasThreads(lambda: [library])
    with blas.bounded(1):
        blas.before_fork()
        blas.after_fork()
        assert library.threads == 1
    assert library.threads == 4


def test_a_fork_waits_for_endless_work_no_longer_than_its_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PATIENCE", 0.01)
    library = Library(4)
    blas = BlasThreads(lambda: [library])

    def fork() -> None:
        blas.before_fork()
        blas.after_fork()

    with blas.bounded(1):
        assert together(fork, fork) == []
        assert library.threads == 1
    assert library.threads == 4
    with blas.bounded(2):
        assert library.threads == 2


def test_ctrl_c_during_anothers_turn_leaves_no_bound_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    library, had_turn = Library(4), threading.Event()
    blas = BlasThreads(lambda: [library])

    def other() -> None:
        with blas.bounded(2):
            had_turn.set()

    def interrupted(*_: object) -> None:
        assert had_turn.wait(300)
        raise KeyboardInterrupt

    def work() -> None:
        with blas.bounded(1):
            thread.start()
            while not blas._waiting:
                time.sleep(1e-4)
            with monkeypatch.context() as patch:
                patch.setattr(blas, "_enter", interrupted)
                blas.let_others()

    thread = threading.Thread(target=other)
    with pytest.raises(KeyboardInterrupt):
        work()
    thread.join()
    assert (blas._users, library.threads) == (set(), 4)


def interrupted_at(moment: int, work: Callable[[], None]) -> bool:
    """Run the work with Ctrl-C at the given moment of those at which Python checks signals; return whether it was
    reached.

    These moments are the start of a Python function and the end of a C function.
    """
    count = 0

    def hear(frame: FrameType, event: str, _: object) -> None:
        nonlocal count
        if event in ("call", "c_return") and frame.f_code.co_filename in (module.__file__, contextlib.__file__):
            count += 1
            if count == moment:
                sys.setprofile(None)
                raise KeyboardInterrupt

    with contextlib.suppress(KeyboardInterrupt):
        sys.setprofile(hear)
        try:
            work()
        finally:
            sys.setprofile(None)
    return count >= moment


def test_ctrl_c_at_any_moment_leaves_no_bound_that_blocks_others() -> None:
    """Between entering and recording the entry, it left a user behind for ever, and the next fit with another bound
    waited."""
    moment, is_there = 0, True
    while is_there:
        library = Library(4)
        blas = BlasThreads(lambda library=library: [library])  # type: ignore[misc]

        def work(blas: BlasThreads = blas) -> None:
            with blas.bounded(1):
                blas.let_others()
            with blas.bounded(2):
                pass

        moment += 1
        is_there = interrupted_at(moment, work)
        assert (blas._users, len(blas._waiting), blas._bound, library.threads) == (set(), 0, None, 4), moment
        with blas.bounded(3):
            assert library.threads == 3, moment
    assert moment > 30


def test_an_admitted_thread_that_was_not_woken_still_enters(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LOOK", 0.01)
    library = Library(4)
    blas = BlasThreads(lambda: [library])

    def wait() -> None:
        with blas.bounded(2):
            assert library.threads == 2

    thread = threading.Thread(target=wait)
    with blas.bounded(1):
        thread.start()
        while not blas._waiting:
            time.sleep(1e-4)
        kind, waits, _ = blas._waiting[0]
        blas._waiting[0] = (kind, waits, threading.Lock())  # which the thread does not know about
        blas._waiting[0][2].acquire()
    thread.join(300)
    assert not thread.is_alive()
    assert (blas._users, library.threads) == (set(), 4)
