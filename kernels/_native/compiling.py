"""How functions are compiled: in a separate thread, so that the wait can be interrupted, and in one process at a time.

A call of LLVM takes up to seconds, during which Python handles no signal, and an interrupt inside Numba leaves
half-built state or is swallowed. So a dedicated thread compiles to the end and keeps the result.
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
from dnnkit.kernels._native.compile_progress import ProgressLine, in_progress

Result = TypeVar("Result")

LOOK = 0.05
"""Seconds between two checks on the work in progress."""

LONGEST_CALL = 3.0
"""Maximum seconds of an LLVM call."""

LONGEST_WAIT = 120.0
"""Seconds after which a compiling process is no longer waited for: it may have been stopped."""


def apart(work: Callable[[], Result]) -> Result:
    """Run the work in another thread and return its result; an interrupt ends only the wait."""
    is_over = False

    def run() -> Result:
        nonlocal is_over
        try:
            return work()
        finally:
            is_over = True

    with ProgressLine() as watch:
        try:
            return in_background(run, watch.look, LOOK)
        finally:
            if not is_over:  # the wait was interrupted
                atexit.register(_leave)


def _leave() -> None:
    """End the process soon and cleanly although a thread may still compile; runs before everything else at exit.

    Python's final garbage collection would spend seconds on Numba's objects, and the destructors of LLVM's global data,
    which run after Python has ended, abort a process that still uses them.
    """
    gc.freeze()
    system: Any = ctypes.CDLL(None) if os.name == "posix" else None
    if hasattr(system, "on_exit"):
        system.on_exit(system._exit, None)  # called with the exit status
    else:
        ffi.lib._lock._lock.acquire(timeout=LONGEST_CALL)  # never released, so no other thread can take it


@contextmanager
def alone(path: Path, what: str, dtype: str) -> Iterator[None]:
    """Hold a lock between processes within this context; on entry, another process may have done the work.

    The system releases the lock of a process that dies. Where locks are not supported, both processes do the work.
    """
    from filelock import FileLock, Timeout  # slow to import, and needed only to compile

    lock = FileLock(path, mode=0o600)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        with in_progress(what, dtype, is_awaited=True), suppress(Timeout):
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
