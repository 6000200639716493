"""A lock that is handed on in the order in which threads came for it."""

import threading
from collections import deque
from collections.abc import Callable
from threading import get_ident

NOBODY, PASSING = None, -1


class FairLock:
    """A reentrant lock, first come, first served.

    With Python's own locks, a thread that takes one again at once keeps others from it for ever.
    """

    def __init__(self) -> None:
        self._mutex = threading.Lock()
        self._owner: int | None = NOBODY
        self._depth = 0
        self._waiting: deque[threading.Lock] = deque()

    @property
    def is_mine(self) -> bool:
        """Whether this thread has it."""
        return self._owner == get_ident()

    def acquire(self, when_waiting: Callable[[], None]) -> None:
        """Take it; if another thread has it, call `when_waiting` and wait."""
        me = get_ident()
        if self._owner == me:
            self._depth += 1
            return
        with self._mutex:
            if self._owner is NOBODY:
                self._owner, self._depth = me, 1
                return
            turn = threading.Lock()
            turn.acquire()
            self._waiting.append(turn)
        try:
            when_waiting()
            turn.acquire()
        except BaseException:  # Ctrl-C while it waits: perhaps it has just been handed the lock
            with self._mutex:
                waits = turn in self._waiting
                if waits:
                    self._waiting.remove(turn)
            if not waits:
                self._hand_on()
            raise
        self._owner, self._depth = me, 1

    def release(self) -> None:
        """Give it back, to the thread that has waited longest."""
        self._depth -= 1
        if self._depth == 0:
            self._hand_on()

    def _hand_on(self) -> None:
        with self._mutex:
            if self._waiting:
                self._owner = PASSING  # nobody else takes it on the way
                self._waiting.popleft().release()
            else:
                self._owner = NOBODY
