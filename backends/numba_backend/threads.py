"""Threads that always end, and do not block Ctrl-C."""

import threading
from time import sleep
from typing import Any

LOOK = 0.1
"""Seconds between two checks for signals: a signal that is delivered to another thread, or just before the main thread
goes to sleep, does not wake it.
"""


def in_threads(function: Any, count: int, stop: Any) -> None:
    """Run function(0) ... function(count - 1), each in a thread.

    Python runs signal handlers only in the main thread, and not while that is inside compiled code: so it waits here,
    interruptible. In any case no thread is left behind.
    """
    failures: list[BaseException] = []
    ended = [threading.Event() for _ in range(count)]

    def work(number: int) -> None:
        try:
            function(number)
        except BaseException as error:  # passed on to the waiting thread
            failures.append(error)
        finally:
            ended[number].set()

    threads = [threading.Thread(target=work, args=(n,), name=f"dnnkit-{n}", daemon=True) for n in range(count)]
    for thread, end in zip(threads, ended, strict=True):
        try:
            thread.start()
        except RuntimeError as error:  # the system has no more threads
            failures.append(error)
            stop()
            end.set()
        except BaseException as error:  # Ctrl-C, before or after the thread started
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
                while thread.is_alive():  # not join: after an interrupt, Python 3.11 takes the thread for ended
                    sleep(1e-5)
                over = True
            except BaseException as error:  # Ctrl-C, possibly again: the step is finished before it is raised
                failures.append(error)
                stop()
    if failures:
        raise failures[0]


def _appears(thread: threading.Thread) -> bool:
    """Whether a thread whose start was interrupted runs after all."""
    for _ in range(1000):
        if thread.ident is not None:
            return True
        sleep(1e-3)
    return False
