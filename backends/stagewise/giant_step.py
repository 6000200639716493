"""A step of seconds, which can be left: whoever does not wait for it has the parameters as they were before it."""

import threading
from collections.abc import Callable

GIANT = 1 << 33
"""Rows times parameters of a step that takes half a second at 100 GFLOP per second."""

LOOK = 0.05
"""Seconds between two looks at whether the step is still wanted."""


def is_giant(parameters: int, rows: int) -> bool:
    """Whether a step of so many rows takes longer than somebody who presses Ctrl-C waits."""
    return rows * parameters > GIANT


class GiantStep:
    """One step at a time, in a thread of its own."""

    def __init__(self) -> None:
        self._ended: threading.Event | None = None
        """Of the last step. Not its thread: `join` interrupted once, Python 3.11 takes a thread for ended."""
        self._lock = threading.Lock()
        self._is_left = self._changes = False

    def run(self, work: Callable[[], None], is_unwanted: Callable[[], bool]) -> bool:
        """Run it; False if it was left, which it is as soon as it is unwanted or this thread is interrupted.

        The work asks `may_change` before it changes anything that others see. It ends by itself, later.
        """
        while self._ended is not None and not self._ended.wait(LOOK):
            if is_unwanted():
                return False
        failures: list[BaseException] = []
        self._ended, begins = threading.Event(), threading.Lock()
        ended = self._ended

        def run() -> None:
            if not begins.acquire(blocking=False):
                return
            try:
                work()
            except BaseException as error:  # handed to the thread that waits
                failures.append(error)
            finally:
                ended.set()

        self._is_left = self._changes = False
        thread = threading.Thread(target=run, daemon=True, name="dnnkit-giant-step")
        try:
            thread.start()
            while not ended.wait(LOOK):
                if is_unwanted() and self._leave():
                    return False
        except BaseException:
            if begins.acquire(blocking=False):  # it could not be started, or only now begins: it does nothing
                ended.set()
            elif not self._leave():
                self.wait()
            raise
        thread.join()  # which has nothing left to do
        if failures:
            raise failures[0]
        return True

    def _leave(self) -> bool:
        with self._lock:
            self._is_left = not self._changes
            return self._is_left

    def may_change(self) -> bool:
        """Whether the step is still wanted; if so it is waited for from now on."""
        with self._lock:
            self._changes = not self._is_left
            return self._changes

    def wait(self) -> None:
        """Until a step that was left has ended: it uses the buffers of the next."""
        if self._ended is not None:
            while not self._ended.wait(LOOK):
                pass
