"""How a function is compiled: apart, so that who waits can be interrupted, and by one process, while others wait.

A call of LLVM lasts up to seconds, in which Python hears no signal; and what is interrupted within Numba is left half
made, or swallows the interrupt. So a thread of its own compiles, to its end, and keeps the result.
"""

import atexit
import ctypes
import gc
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

from llvmlite.binding import ffi

from dnnkit.background import in_background
from dnnkit.kernels._native.telling import Watch, told

Result = TypeVar("Result")

LOOK = 0.05
"""Seconds between two looks at what is under way."""

LONGEST_CALL = 3.0
"""Seconds that a call of LLVM may last."""

LONGEST_WAIT = 120.0
"""Seconds after which a process that compiles is no longer waited for: it may have been stopped."""


def apart(work: Callable[[], Result]) -> Result:
    """The result of the work, done by another thread; only the wait for it is interrupted."""
    is_over = False

    def run() -> Result:
        nonlocal is_over
        try:
            return work()
        finally:
            is_over = True

    with Watch() as watch:
        try:
            return in_background(run, watch.look, LOOK)
        finally:
            if not is_over:  # the wait was interrupted
                atexit.register(_leave)


def _leave() -> None:
    """End the process soon, and well, though a thread may still compile: called before all else that ends Python.

    Python's last collection of garbage takes seconds of what Numba made. Destructors of LLVM's own data, which run
    after Python has ended, abort the process that still uses them.
    """
    gc.freeze()
    system: Any = ctypes.CDLL(None) if os.name == "posix" else None
    if hasattr(system, "on_exit"):
        system.on_exit(system._exit, None)  # which is given the exit status
    else:
        ffi.lib._lock._lock.acquire(timeout=LONGEST_CALL)  # and no other thread gets it any more


@contextmanager
def alone(path: Path, what: str, dtype: str) -> Iterator[None]:
    """Within, no other process does the same; it may have done it before.

    The system takes the lock from a process that dies. Where there are no locks, both do it.
    """
    from filelock import FileLock, Timeout  # slow to import, and only who compiles needs it

    lock = FileLock(path, mode=0o600)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        with told(what, dtype, is_awaited=True), suppress(Timeout):
            lock.acquire(timeout=LONGEST_WAIT, poll_interval=LOOK)
    except (OSError, NotImplementedError):
        pass
    try:
        yield
    finally:
        if lock.is_locked:
            with suppress(OSError):
                path.unlink(missing_ok=True)
            lock.release()
