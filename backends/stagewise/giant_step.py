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
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self._is_left = self._changes = False

    def run(self, work: Callable[[], None], is_unwanted: Callable[[], bool]) -> bool:
        """Run it; False if it was left, which it is as soon as it is unwanted or this thread is interrupted.

        The work asks `may_change` before it changes anything that others see. It ends by itself, later.
        """
        while self._thread is not None and self._thread.is_alive():
            self._thread.join(LOOK)
            if is_unwanted():
                return False
        failures: list[BaseException] = []
        ended = threading.Event()

        def run() -> None:
            try:
                work()
            except BaseException as error:  # handed to the thread that waits
                failures.append(error)
            finally:
                ended.set()

        self._is_left = self._changes = False
        self._thread = threading.Thread(target=run, daemon=True, name="dnnkit-giant-step")
        self._thread.start()
        try:
            while not ended.wait(LOOK):
                if is_unwanted() and self._leave():
                    return False
        except BaseException:
            if not self._leave():
                ended.wait()
            raise
        self.wait()
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
        if self._thread is not None:
            self._thread.join()
            self._thread = None
