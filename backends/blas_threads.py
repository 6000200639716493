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
from math import inf
from time import monotonic
from typing import Any

from dnnkit.backends.acting import acting

ALONE = object()
"""Wanted by a fork: that nobody computes."""

CHANGING = object()
"""The bound in force while it is being changed."""

LOOK = 0.2
"""Seconds between two looks for signals: one that another thread is given does not wake the main one."""

PATIENCE = 10.0
"""Seconds that a fork waits for the end of a batch, at most."""


class BlasThreads:
    """The bound in force, and who waits for another."""

    def __init__(self, find: Callable[[], list[Any]]) -> None:
        self._find, self._modules = find, -1
        self._bound: int | object | None = None
        self._libraries: list[Any] = []
        self._own: list[int] = []
        """What they had before anybody wanted a bound."""
        self._forget_threads()

    def _forget_threads(self) -> None:
        """As in the child of a fork: no other thread is there to give its bound back."""
        self._lock = threading.Lock()
        self._users = set[int]()
        """Threads, so that one which is interrupted anywhere can take itself out, whether it is in already or not."""
        self._kind: int | object | None = None
        """What those want who use it now."""
        self._waiting: deque[tuple[int | object | None, int, threading.Lock]] = deque()
        self._own_thread = threading.local()

    @contextmanager
    def bounded(self, bound: int | None) -> Iterator["BlasThreads"]:
        """Within, BLAS has at most so many threads; with None, as many as it has by itself. Waits for other bounds."""
        mine = self._own_thread
        if getattr(mine, "is_within", False):  # a layer of one's own that predicts: the outer bound is in force
            yield self
            return
        try:
            self._enter(bound)
            mine.is_within, mine.bound = True, bound
            yield self
        finally:
            mine.is_within = False
            try:
                self._leave()
            except BaseException:  # Ctrl-C just now
                self._leave()
                raise

    def join(self) -> bool:
        """Count this thread in with those that are within, for one of which it works, until `part`; False if it was."""
        mine = self._own_thread
        if getattr(mine, "is_within", False):
            return False
        mine.is_within, mine.bound = True, self._kind
        return True

    def part(self) -> None:
        """Count this thread no longer in."""
        self._own_thread.is_within = False

    def let_others(self) -> None:
        """Between two pieces of work, let those have their turn who wait for another bound."""
        if self._waiting and acting() in self._users:
            self._leave()
            self._enter(self._own_thread.bound)

    def _enter(self, kind: int | object | None, patience: float = inf) -> bool:
        """Wait until it is this thread's turn; False if that took longer than the patience, in seconds."""
        me = acting()
        with self._lock:
            if not self._waiting and self._fits(kind):
                self._admit(kind, me)
                return True
            turn = threading.Lock()
            turn.acquire()
            self._waiting.append((kind, me, turn))
        end = monotonic() + patience
        while not turn.acquire(timeout=max(0.0, min(LOOK, end - monotonic()))):
            with self._lock:
                if me in self._users:  # who admitted this thread was interrupted before it could wake it
                    return True
                if monotonic() >= end:
                    self._leave_queue(me)
                    return False
        return True

    def _leave(self) -> None:
        """Let this thread neither have a bound nor wait for one; if it does neither, nothing happens."""
        me = acting()
        with self._lock:
            self._users.discard(me)
            self._leave_queue(me)

    def _leave_queue(self, me: int) -> None:
        """Let a thread no longer wait, and others come in, who had come later."""
        for waiting in [each for each in self._waiting if each[1] == me]:
            self._waiting.remove(waiting)
        if not self._users and not self._waiting:
            self._set(None)
        while self._waiting and self._fits(self._waiting[0][0]):
            kind, thread, turn = self._waiting[0]
            self._admit(kind, thread)
            self._waiting.popleft()
            turn.release()

    def _fits(self, kind: int | object | None) -> bool:
        return not self._users or (self._kind == kind and kind is not ALONE)

    def _admit(self, kind: int | object | None, thread: int) -> None:
        if kind is not ALONE:
            self._set(kind)
        self._kind = kind
        self._users.add(thread)

    def _set(self, bound: Any) -> None:
        if bound == self._bound:
            return
        if self._bound is None:
            if self._modules != len(sys.modules):  # some milliseconds: not as long as nothing was imported
                self._libraries, self._modules = self._find(), len(sys.modules)
            self._own = [library.get_num_threads() for library in self._libraries]
        self._bound = CHANGING
        for library, own in zip(self._libraries, self._own, strict=True):
            # threadpoolctl lets one thread of a process set it and passes over the others in silence; we hold a lock.
            forget = getattr(library, "clear_controlling_thread", lambda force: None)
            forget(force=True)
            library.set_num_threads(own if bound is None else min(bound, own))
            forget(force=True)
        self._bound = bound

    def before_fork(self) -> None:
        """Wait until no thread computes: the child would wait for ever for a lock that BLAS holds then."""
        if not getattr(self._own_thread, "is_within", False):
            self._enter(ALONE, PATIENCE)

    def after_fork(self) -> None:
        """In the parent: the others go on."""
        if not getattr(self._own_thread, "is_within", False):
            self._leave()


@cache
def blas_threads() -> BlasThreads:
    """Those of the BLAS libraries that this process has loaded."""
    from threadpoolctl import ThreadpoolController

    made = BlasThreads(lambda: ThreadpoolController().select(user_api="blas").lib_controllers)
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(
            before=made.before_fork, after_in_parent=made.after_fork, after_in_child=made._forget_threads
        )
    return made
