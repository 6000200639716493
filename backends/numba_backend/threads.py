"""Threads that always end, and let Ctrl-C be heard."""

import threading
from time import sleep
from typing import Any

LOOK = 0.1
"""Seconds between two moments in which Python looks for signals: one that another thread is given, or that comes just
before the main thread goes to sleep, does not wake it."""


def in_threads(function: Any, count: int, stop: Any) -> None:
    """function(0) ... function(count - 1), each in a thread.

    Python runs signal handlers in the main thread only, and not while that is inside compiled code: so it waits here,
    able to hear. Whatever happens, no thread is left behind.
    """
    failures: list[BaseException] = []
    ended = [threading.Event() for _ in range(count)]

    def work(number: int) -> None:
        try:
            function(number)
        except BaseException as error:  # handed to the thread that waits
            failures.append(error)
        finally:
            ended[number].set()

    threads = [threading.Thread(target=work, args=(n,), name=f"dnnkit-{n}", daemon=True) for n in range(count)]
    for thread, end in zip(threads, ended, strict=True):
        try:
            thread.start()
        except RuntimeError as error:  # the system has no more threads to give
            failures.append(error)
            stop()
            end.set()
        except BaseException as error:  # Ctrl-C, perhaps before the thread was there, perhaps after
            failures.append(error)
            stop()
            if not _appears(thread):
                end.set()
    for thread, end in zip(threads, ended, strict=True):
        over = False
        while not over:
            try:
                while not end.wait(LOOK):
                    pass
                while thread.is_alive():  # not join: interrupted once, Python 3.11 takes the thread for ended
                    sleep(1e-5)
                over = True
            except BaseException as error:  # Ctrl-C, perhaps again: the step is finished before it is raised
                failures.append(error)
                stop()
    if failures:
        raise failures[0]


def _appears(thread: threading.Thread) -> bool:
    """Whether a thread whose start was interrupted is there after all."""
    for _ in range(1000):
        if thread.ident is not None:
            return True
        sleep(1e-3)
    return False
