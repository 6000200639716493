"""Number of BLAS threads: a process-wide setting for which threads with different requirements take turns.

Sums over a different number of threads round differently: under another thread's limit the same call would give other
bits.
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
from dnnkit.backends.mutex import Mutex

ALONE = object()
"""Limit requested by a fork: no thread computes."""

CHANGING = object()
"""Value of the limit while it is being changed."""

LOOK = 0.2
"""Seconds between two checks for signals: a signal delivered to another thread does not wake the main one."""

PATIENCE = 10.0
"""Maximum seconds that a fork waits for the end of a batch."""


class BlasThreads:
    """The current limit, and the threads that wait for another."""

    def __init__(self, find: Callable[[], list[Any]]) -> None:
        self._find, self._modules = find, -1
        self._bound: int | object | None = None
        self._libraries: list[Any] = []
        self._own: list[int] = []
        """Thread counts before any limit was set."""
        self._forget_threads()

    def _forget_threads(self) -> None:
        """Reset the state, as in the child of a fork, which has no other threads."""
        self._lock = Mutex()
        self._users = set[int]()
        """Thread numbers, so that an interrupted thread can remove itself, whether or not it was added."""
        self._kind: int | object | None = None
        """Limit of the current users."""
        self._waiting: deque[tuple[int | object | None, int, threading.Lock]] = deque()

    @contextmanager
    def bounded(self, bound: int | None) -> Iterator["BlasThreads"]:
        """Limit BLAS to `bound` threads within this context; None for its own default. Waits for other limits."""
        if acting() in self._users:  # nested, e.g. a custom layer that predicts: the outer limit stays
            yield self
            return
        try:
            self._enter(bound)
            yield self
        finally:
            try:
                self._leave()
            except BaseException:  # Ctrl-C at this moment
                self._leave()
                raise

    def let_others(self) -> None:
        """Between two pieces of work, give a turn to threads that wait for another limit."""
        if self._waiting and acting() in self._users:
            bound = self._kind
            self._leave()
            self._enter(bound)

    def _enter(self, kind: int | object | None, patience: float = inf) -> bool:
        """Wait for this thread's turn; return False if that takes longer than `patience` seconds."""
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
                if me in self._users:  # the admitting thread was interrupted before it could wake this one
                    return True
                if monotonic() >= end:
                    self._leave_queue(me)
                    return False
        return True

    def _leave(self) -> None:
        """Give up this thread's limit, or its place in the queue; no-op without either."""
        me = acting()
        with self._lock:
            self._users.discard(me)
            self._leave_queue(me)

    def _leave_queue(self, me: int) -> None:
        """Remove a thread from the queue, and admit those behind it that can run."""
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
            if self._modules != len(sys.modules):  # takes some milliseconds; skipped unless modules were imported
                self._libraries, self._modules = self._find(), len(sys.modules)
            self._own = [library.get_num_threads() for library in self._libraries]
        self._bound = CHANGING
        for library, own in zip(self._libraries, self._own, strict=True):
            # threadpoolctl lets only one thread of a process set limits and silently ignores others; a lock protects
            # us.
            forget = getattr(library, "clear_controlling_thread", lambda force: None)
            forget(force=True)
            library.set_num_threads(own if bound is None else min(bound, own))
            forget(force=True)
        self._bound = bound

    def before_fork(self) -> None:
        """Wait until no thread computes: the child would wait forever for a lock held inside BLAS."""
        if acting() not in self._users:
            self._enter(ALONE, PATIENCE)

    def after_fork(self) -> None:
        """Let the other threads of the parent continue."""
        if self._kind is ALONE:
            self._leave()


@cache
def blas_threads() -> BlasThreads:
    """Return the manager of the BLAS libraries that this process has loaded."""
    from threadpoolctl import ThreadpoolController

    made = BlasThreads(lambda: ThreadpoolController().select(user_api="blas").lib_controllers)
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(
            before=made.before_fork, after_in_parent=made.after_fork, after_in_child=made._forget_threads
        )
    return made
