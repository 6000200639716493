"""A step of seconds that can be abandoned: callers that do not wait for it keep the parameters from before."""

import threading
from collections.abc import Callable

from dnnkit.backends.mutex import Mutex

GIANT = 1 << 33
"""Rows times parameters of a step that takes half a second at 100 GFLOPS."""

LOOK = 0.05
"""Seconds between two checks whether the step was abandoned."""


def is_giant(parameters: int, rows: int) -> bool:
    """Whether a step of this many rows takes longer than a user waits after Ctrl-C."""
    return rows * parameters > GIANT


class GiantStep:
    """Runs one step at a time, in a separate thread."""

    def __init__(self) -> None:
        self._ended: threading.Event | None = None
        """Event at the end of the last step; after an interrupted `join`, Python 3.11 takes a thread for ended."""
        self._lock = Mutex()
        self._is_left = self._changes = False

    def run(self, work: Callable[[], None], is_unwanted: Callable[[], bool]) -> bool:
        """Run the work; return False if it was abandoned: once it is unwanted, or this thread is interrupted.

        The work calls `may_change` before it changes anything visible. An abandoned thread ends later on its own.
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
            except BaseException as error:  # passed on to the waiting thread
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
            if begins.acquire(blocking=False):  # not started, or only starting now: it does nothing
                ended.set()
            elif not self._leave():
                self.wait()
            raise
        thread.join()  # it has nothing left to do
        if failures:
            raise failures[0]
        return True

    def _leave(self) -> bool:
        with self._lock:
            self._is_left = not self._changes
            return self._is_left

    def may_change(self) -> bool:
        """Return whether the step was not abandoned; from then on it cannot be."""
        with self._lock:
            self._changes = not self._is_left
            return self._changes

    def wait(self) -> None:
        """Wait until an abandoned step has ended, because it uses the buffers of the next."""
        if self._ended is not None:
            while not self._ended.wait(LOOK):
                pass
