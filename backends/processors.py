"""How many processors there are for this process, and how many threads a program may therefore have."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from pathlib import Path


def processors() -> int:
    """How many this process may use: by affinity, and by a container's quota."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(count, _quota() or count)


@cache
def _quota() -> int | None:
    """A container's quota, read once: it is asked for before each step of a user's own loop."""
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        return max(1, round(int(quota) / int(period)))
    except (OSError, ValueError):  # no such file, or no quota
        return None


_MOST: ContextVar[int | None] = ContextVar("most threads", default=None)


@contextmanager
def at_most(threads: int) -> Iterator[None]:
    """Within, in this thread, each program has at most so many threads, as if its network had asked for no more."""
    token = _MOST.set(threads)
    try:
        yield
    finally:
        _MOST.reset(token)


def wanted(num_threads: int | None) -> int | None:
    """So many threads as were asked for, None for all; no more than `at_most` says."""
    most = _MOST.get()
    return num_threads if most is None else most if num_threads is None else min(num_threads, most)


def usable(num_threads: int | None) -> int:
    """So many threads as were asked for, None for all, but no more than there are processors.

    More would wait for each other at every step, fifty times as long as the work takes; a network may come from a
    larger machine.
    """
    here, asked = processors(), wanted(num_threads)
    return here if asked is None else min(asked, here)
