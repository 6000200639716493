"""How many threads BLAS has: one setting of the whole process, which threads that want different ones take turns in.

Sums in another number of threads round otherwise: beside somebody else's bound the same call would have other bits.
"""

import os
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any


class BlasThreads:
    """The bound in force, and who waits for another."""

    def __init__(self, find: Callable[[], list[Any]]) -> None:
        self._find, self._modules = find, -1
        self._bound: int | None = None
        self._libraries: list[Any] = []
        self._own: list[int] = []
        """What they had before anybody wanted a bound."""
        self._forget_threads()

    def _forget_threads(self) -> None:
        """As in the child of a fork: no other thread is there to give its bound back."""
        self._lock = threading.Lock()
        self._users = 0
        self._waiting: deque[tuple[int | None, threading.Lock]] = deque()
        self._within = threading.local()

    @contextmanager
    def bounded(self, bound: int | None) -> Iterator["BlasThreads"]:
        """Within, BLAS has at most so many threads; with None, as many as it has by itself. Waits for other bounds."""
        if getattr(self._within, "depth", 0):  # a layer of one's own that predicts: the outer bound is in force
            yield self
            return
        self._enter(bound)
        self._within.depth, self._within.bound = 1, bound
        try:
            yield self
        finally:
            self._within.depth = 0
            self._leave()

    def let_others(self) -> None:
        """Between two pieces of work, let those have their turn who wait for another bound."""
        if self._waiting:
            self._leave()
            self._enter(self._within.bound)

    def _enter(self, bound: int | None) -> None:
        with self._lock:
            if not self._waiting and (self._users == 0 or self._bound == bound):
                self._admit(bound)
                return
            turn = threading.Lock()
            turn.acquire()
            self._waiting.append((bound, turn))
        try:
            turn.acquire()
        except BaseException:  # Ctrl-C while waiting
            with self._lock:
                if (bound, turn) in self._waiting:
                    self._waiting.remove((bound, turn))
                    raise
            self._leave()
            raise

    def _leave(self) -> None:
        with self._lock:
            self._users -= 1
            if self._users == 0 and not self._waiting:
                self._set(None)
            while self._waiting and (self._users == 0 or self._bound == self._waiting[0][0]):
                bound, turn = self._waiting.popleft()
                self._admit(bound)
                turn.release()

    def _admit(self, bound: int | None) -> None:
        self._set(bound)
        self._users += 1

    def _set(self, bound: int | None) -> None:
        if bound == self._bound:
            return
        if self._bound is None:
            if self._modules != len(sys.modules):  # some milliseconds: not as long as nothing was imported
                self._libraries, self._modules = self._find(), len(sys.modules)
            self._own = [library.get_num_threads() for library in self._libraries]
        self._bound = bound
        for library, own in zip(self._libraries, self._own, strict=True):
            # threadpoolctl lets one thread of a process set it and passes over the others in silence; we hold a lock.
            forget = getattr(library, "clear_controlling_thread", lambda force: None)
            forget(force=True)
            library.set_num_threads(own if bound is None else min(bound, own))
            forget(force=True)


@cache
def blas_threads() -> BlasThreads:
    """Those of the BLAS libraries that this process has loaded."""
    from threadpoolctl import ThreadpoolController

    made = BlasThreads(lambda: ThreadpoolController().select(user_api="blas").lib_controllers)
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=made._forget_threads)
    return made
