"""A fair reentrant lock."""

import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress

from dnnkit.backends.acting import acting
from dnnkit.training.interrupts import interruptible, undivided

LOOK = 0.2
"""Seconds between checks of the queue: a signal delivered to another thread does not wake the main thread."""


class FairLock:
    """A reentrant lock, first come, first served.

    With Python's locks, a thread that reacquires immediately can starve the others. Here, the first thread in the queue
    owns the lock. Acquiring and releasing are therefore single operations on the queue, and an exception raised by a
    signal handler between two bytecodes finds the lock either owned or free.
    """

    def __init__(self) -> None:
        self._depth = 0
        self._queue = deque[int]()
        """Thread identifiers, the owner first, without duplicates."""
        self._wake_up = dict[int, threading.Lock]()
        """Per waiting thread, the lock that wakes it."""

    @property
    def is_mine(self) -> bool:
        """Whether this thread owns the lock."""
        return self._owner() == acting()

    @property
    def is_wanted(self) -> bool:
        """Whether another thread waits for the owner."""
        return len(self._queue) > 1

    @property
    def is_outermost(self) -> bool:
        """Whether the owner has acquired it exactly once."""
        return self._depth == 0

    def _owner(self) -> int:
        try:
            return self._queue[0]
        except IndexError:
            return -1

    @undivided
    def acquire(self, when_waiting: Callable[[], None]) -> None:
        """Acquire the lock; if another thread owns it, call `when_waiting` and wait."""
        me, queue = acting(), self._queue
        if queue and self._owner() == me:
            self._depth += 1
            return
        try:
            queue.append(me)
            if queue[0] != me:
                self._wait(me, when_waiting)
        except BaseException:  # Ctrl-C while waiting: this thread may just have been given the lock
            with suppress(ValueError):  # not enqueued yet
                queue.remove(me)
            self._wake_next()
            raise

    @undivided
    def release(self) -> None:
        """Release the lock to the thread that has waited longest."""
        if self._depth:
            self._depth -= 1
            return
        try:
            self._queue.popleft()
        finally:
            if self._queue:
                self._wake_next()

    @interruptible
    def _wait(self, me: int, when_waiting: Callable[[], None]) -> None:
        self._wake_up[me] = turn = threading.Lock()
        turn.acquire()
        try:
            if self._owner() != me:
                when_waiting()
            while self._owner() != me:
                turn.acquire(timeout=LOOK)
        finally:
            del self._wake_up[me]

    def _wake_next(self) -> None:
        if (turn := self._wake_up.get(self._owner())) is not None:
            with suppress(RuntimeError):  # already woken by another thread
                turn.release()
