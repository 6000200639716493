"""Threads that work for another one, which waits for them: what it may do, they may.

Compiled code may call a layer, loss or metric of the user's own from any of its threads. That part may read the network
that is being trained, as if it was called by the thread that trains.
"""

import threading


class _OfThread(threading.local):
    number: int | None = None
    """For which one it works; nothing but a class's attribute is found at once where a thread has none."""


_of_thread = _OfThread()


def act_for(thread: int) -> None:
    """Let this thread, until it acts for another, count as the one that waits for what it does."""
    _of_thread.number = thread


def acting() -> int:
    """The number of the thread that this one counts as: its own, if it works for no other."""
    number = _of_thread.number
    return threading.get_ident() if number is None else number
