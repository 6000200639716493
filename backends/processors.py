"""Number of processors available to this process, and of threads that a program may use."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from functools import cache
from pathlib import Path


def processors() -> int:
    """Return the processors this process may use, considering affinity and a container's quota."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(count, _quota() or count)


@cache
def _quota() -> int | None:
    """Return a container's quota; cached, because it is needed before each step of a user's loop."""
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        return max(1, round(int(quota) / int(period)))
    except (OSError, ValueError):  # no such file, or no quota
        return None


@cache
def _getcpu() -> Callable[[], int] | None:
    """Return the C library's function for the processor that the calling thread runs on, if it has one."""
    import ctypes

    try:
        return ctypes.CDLL(None).sched_getcpu
    except (AttributeError, OSError, TypeError):  # not on Linux
        return None


def current() -> int | None:
    """Return the processor that this thread runs on; None if the system does not say."""
    getcpu = _getcpu()
    return None if getcpu is None else getcpu()


def leave(processor: int | None) -> None:
    """Move this thread to another processor than this one, if it may use any; the system can move it again later.

    A thread that starts on the processor of the thread that started it may wait there for 1 to 15 ms if that goes on
    computing, although another processor is idle.
    """
    if processor is None or not hasattr(os, "sched_setaffinity"):
        return
    allowed = os.sched_getaffinity(0)
    if others := allowed - {processor}:
        with suppress(OSError):  # the allowed processors may change at any time
            os.sched_setaffinity(0, others)
            os.sched_setaffinity(0, allowed)


_MOST: ContextVar[int | None] = ContextVar("most threads", default=None)


@contextmanager
def at_most(threads: int) -> Iterator[None]:
    """Limit each program of this thread to `threads` threads within this context, as if requested by its network."""
    token = _MOST.set(threads)
    try:
        yield
    finally:
        _MOST.reset(token)


def wanted(num_threads: int | None) -> int | None:
    """Return the requested number of threads, None for all, limited by `at_most`."""
    most = _MOST.get()
    return num_threads if most is None else most if num_threads is None else min(num_threads, most)


def usable(num_threads: int | None) -> int:
    """Return the requested number of threads, None for all, limited to the number of processors.

    More threads would wait for each other at every step, for fifty times the duration of the work; a network may come
    from a larger machine.
    """
    here, asked = processors(), wanted(num_threads)
    return here if asked is None else min(asked, here)
