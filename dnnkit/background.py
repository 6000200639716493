"""Run long work in a thread, so that Ctrl-C is handled promptly meanwhile.

A leaf module: it imports nothing of dnnkit.
"""

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

Result = TypeVar("Result")


class Ahead(Generic[Result]):
    """Work that runs in a background thread until its result is requested."""

    def __init__(self, work: Callable[[], Result]) -> None:
        self._results: list[Result] = []
        self._failures: list[BaseException] = []
        self._ended = threading.Event()

        def run() -> None:
            try:
                self._results.append(work())
            except BaseException as error:  # re-raised in the waiting thread
                self._failures.append(error)
            finally:
                self._ended.set()

        try:
            threading.Thread(target=run, daemon=True, name="dnnkit-background").start()
        except RuntimeError:  # no more threads can be started: run in this one, without handling Ctrl-C meanwhile
            run()

    def wait(self) -> None:
        """Wait until the work has ended, with a result or an error."""
        self._ended.wait()

    def result(self, look: Callable[[], object] = lambda: None, every: float = 0.1) -> Result:
        """Wait for the result and return it, or raise the work's exception; call `look` every `every` seconds."""
        while not self._ended.wait(
            every
        ):  # with a timeout: a signal delivered to another thread does not wake this one
            look()
        if self._failures:
            raise self._failures[0]
        return self._results[0]


def in_background(work: Callable[[], Result], look: Callable[[], object] = lambda: None, every: float = 0.1) -> Result:
    """Run the work in a thread and return its result; call `look` every `every` seconds meanwhile.

    If the caller is interrupted, the work continues in the background.
    """
    return Ahead(work).result(look, every)
