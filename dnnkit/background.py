"""Long work in a thread, so that Ctrl-C is heard meanwhile.

A leaf: it imports nothing of dnnkit.
"""

import threading
from collections.abc import Callable
from typing import TypeVar

Result = TypeVar("Result")


def in_background(work: Callable[[], Result], look: Callable[[], object] = lambda: None, every: float = 0.1) -> Result:
    """The result of the work; `look` is called every so many seconds until it is there.

    Whoever is interrupted meanwhile leaves the work to end by itself.
    """
    results: list[Result] = []
    failures: list[BaseException] = []
    ended = threading.Event()

    def run() -> None:
        try:
            results.append(work())
        except BaseException as error:  # handed to the thread that waits
            failures.append(error)
        finally:
            ended.set()

    try:
        threading.Thread(target=run, daemon=True, name="dnnkit-background").start()
    except RuntimeError:  # there can be no more threads: Ctrl-C is heard when the work is over
        return work()
    while not ended.wait(every):  # a signal that another thread was given does not wake this one
        look()
    if failures:
        raise failures[0]
    return results[0]
