"""Threads that act for another thread, which waits for them, and with its permissions.

Compiled code may call a user-defined layer, loss or metric from any of its threads. That part may read the network
being trained, as if it were called by the training thread.
"""

import threading


class _OfThread(threading.local):
    number: int | None = None
    """Thread this one acts for. A class attribute is the fastest default for threads without a value."""


_of_thread = _OfThread()


def act_for(thread: int) -> None:
    """Make this thread count as `thread`, which waits for it, until it acts for another."""
    _of_thread.number = thread


def acting() -> int:
    """Return the number of the thread that this one counts as: its own, if it acts for none."""
    number = _of_thread.number
    return threading.get_ident() if number is None else number
