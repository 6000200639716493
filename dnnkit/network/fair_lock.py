"""A lock that is handed on in the order in which threads came for it."""

import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress

from dnnkit.backends.acting import acting


class FairLock:
    """A reentrant lock, first come, first served.

    With Python's own locks, a thread that takes one again at once keeps others from it for ever.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        """Taken as long as anybody has the lock, also while it is handed on."""
        self._owner = -1
        self._depth = 0
        self._waiting: deque[threading.Lock] = deque()

    @property
    def is_mine(self) -> bool:
        """Whether this thread has it."""
        return self._owner != -1 and self._owner == acting()

    def acquire(self, when_waiting: Callable[[], None]) -> None:
        """Take it; if another thread has it, call `when_waiting` and wait."""
        me = acting()
        if self._owner == me:
            self._depth += 1
            return
        if self._waiting or not self._lock.acquire(False):
            self._wait(when_waiting)
        self._owner = me

    def release(self) -> None:
        """Give it back, to the thread that has waited longest."""
        if self._depth:
            self._depth -= 1
            return
        self._owner = -1
        self._hand_on()

    def _wait(self, when_waiting: Callable[[], None]) -> None:
        turn = threading.Lock()
        turn.acquire()
        self._waiting.append(turn)
        try:
            if self._lock.acquire(False):  # given back before anybody saw that this one waits
                self._hand_on()
            else:
                when_waiting()
            turn.acquire()
        except BaseException:  # Ctrl-C while it waits: perhaps it has just been handed the lock
            try:
                self._waiting.remove(turn)
            except ValueError:
                self._hand_on()
            raise

    def _hand_on(self) -> None:
        """By who has it: to the first who waits, else to nobody."""
        while True:
            if self._waiting:
                with suppress(IndexError):  # the last who waited was interrupted just now
                    self._waiting.popleft().release()
                    return
            self._lock.release()
            if not self._waiting or not self._lock.acquire(False):
                return  # who came in between has taken it, or will be handed it by who has
