"""A lock that is handed on in the order in which threads came for it."""

import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress

from dnnkit.backends.acting import acting
from dnnkit.training.interrupts import interruptible, undivided

LOOK = 0.2
"""Seconds between two looks at whose turn it is: a signal that another thread is given does not wake the main one."""


class FairLock:
    """A reentrant lock, first come, first served.

    With Python's own locks, a thread that takes one again at once keeps others from it for ever.
    Who stands first in the queue has the lock. So one operation of the queue takes it and one gives it back, and an
    exception that a signal raises between two of ours finds it either with its owner or free.
    """

    def __init__(self) -> None:
        self._depth = 0
        self._queue = deque[int]()
        """Threads, the owner first, none of them twice."""
        self._wake_up = dict[int, threading.Lock]()
        """What each thread that waits is woken by."""

    @property
    def is_mine(self) -> bool:
        """Whether this thread has it."""
        return self._owner() == acting()

    @property
    def is_outermost(self) -> bool:
        """Of the thread that has it, whether it took it once."""
        return self._depth == 0

    def _owner(self) -> int:
        try:
            return self._queue[0]
        except IndexError:
            return -1

    @undivided
    def acquire(self, when_waiting: Callable[[], None]) -> None:
        """Take it; if another thread has it, call `when_waiting` and wait."""
        me, queue = acting(), self._queue
        if queue and self._owner() == me:
            self._depth += 1
            return
        try:
            queue.append(me)
            if queue[0] != me:
                self._wait(me, when_waiting)
        except BaseException:  # Ctrl-C while it waits: perhaps it has just been handed the lock
            with suppress(ValueError):  # it had not come yet
                queue.remove(me)
            self._wake_next()
            raise

    @undivided
    def release(self) -> None:
        """Give it back, to the thread that has waited longest."""
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
            with suppress(RuntimeError):  # somebody else has woken it
                turn.release()
