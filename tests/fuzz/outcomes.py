"""The outcome of a hostile input, in a word or two; and limits of time and memory."""

import resource
import signal
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from dnnkit.errors import DnnkitError

SECONDS = 5.0
"""Seconds of computing, by all threads; a reader that waits, as at a pipe, may wait `PATIENCE`."""
PATIENCE = 40.0
MEMORY = 1 << 30
"""Bytes that a reader may add to the process."""
TAKEN, REFUSED = "taken", "refused"


class TooLong(BaseException):
    """Not of a class that a reader would catch."""


def outcome_of(call: Callable[[], Any]) -> str:
    """`TAKEN`, `REFUSED` with a clear error, or a fault: "KeyError: ...", "too long", "too much memory"."""
    try:
        with limits(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            call()
    except DnnkitError as error:
        return REFUSED if 20 <= len(str(error)) <= 4000 else f"a message of {len(str(error))} characters"
    except TooLong:
        return "too long"
    except MemoryError:
        return "too much memory"
    except SystemExit as error:
        return REFUSED if error.code in (0, 2) else f"exit status {error.code}"
    except Exception as error:
        while error.__traceback__ is not None and (after := error.__traceback__.tb_next) is not None:
            error.__traceback__ = after
        where = error.__traceback__.tb_frame.f_code if error.__traceback__ is not None else None
        place = f"{where.co_filename.rpartition('dnnkit/')[2]}:{where.co_name}" if where is not None else "?"
        return f"{type(error).__name__} in {place}: {str(error)[:100]}"
    return TAKEN


def is_allowed(outcome: str) -> bool:
    return outcome in (TAKEN, REFUSED)


@contextmanager
def limits() -> Iterator[None]:
    """Raise `TooLong` or MemoryError beyond the limits."""
    if threading.current_thread() is not threading.main_thread():
        raise AssertionError("signals are heard by the main thread alone")

    def stop(number: int, frame: object) -> None:
        raise TooLong

    before = {number: signal.signal(number, stop) for number in (signal.SIGPROF, signal.SIGALRM)}
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (_size() + MEMORY, hard))
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    signal.setitimer(signal.ITIMER_REAL, PATIENCE)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.setitimer(signal.ITIMER_REAL, 0)
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
        for number, handler in before.items():
            signal.signal(number, handler)


def _size() -> int:
    """Return the bytes of address space of this process."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[0]) * resource.getpagesize()
