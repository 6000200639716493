"""Long work in a thread, so that Ctrl-C is heard meanwhile.

A leaf: it imports nothing of dnnkit.
"""

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

Result = TypeVar("Result")


class Ahead(Generic[Result]):
    """Work that a thread does while its result is not wanted yet."""

    def __init__(self, work: Callable[[], Result]) -> None:
        self._results: list[Result] = []
        self._failures: list[BaseException] = []
        self._ended = threading.Event()

        def run() -> None:
            try:
                self._results.append(work())
            except BaseException as error:  # handed to the thread that waits
                self._failures.append(error)
            finally:
                self._ended.set()

        try:
            threading.Thread(target=run, daemon=True, name="dnnkit-background").start()
        except RuntimeError:  # there can be no more threads: Ctrl-C is heard when the work is over
            run()

    def wait(self) -> None:
        """Wait for the end of the work, whatever it comes to."""
        self._ended.wait()

    def result(self, look: Callable[[], object] = lambda: None, every: float = 0.1) -> Result:
        """The result, or what the work raised; `look` is called every so many seconds until it is there."""
        while not self._ended.wait(every):  # a signal that another thread was given does not wake this one
            look()
        if self._failures:
            raise self._failures[0]
        return self._results[0]


def in_background(work: Callable[[], Result], look: Callable[[], object] = lambda: None, every: float = 0.1) -> Result:
    """The result of the work; `look` is called every so many seconds until it is there.

    Whoever is interrupted meanwhile leaves the work to end by itself.
    """
    return Ahead(work).result(look, every)
