"""Standby threads for runs of a few steps; see `kernels/_engine/crew.py`."""

import atexit
import os
import threading
from collections.abc import Callable
from functools import cache, partial
from math import inf
from time import monotonic, sleep
from typing import Any

from dnnkit.backends.aligned import address, zeros
from dnnkit.backends.mutex import Mutex
from dnnkit.backends.processors import current, leave
from dnnkit.kernels._engine import calls
from dnnkit.kernels._engine.structures import LINE

PATIENCE = 400
"""Polls, about 10 µs in all, before the work of another thread is taken over."""

LOOKS = 30_000
"""Polls, about 0.5 ms in all, before an idle thread goes to sleep: a user's loop computes between two steps."""

PARTING = 0.1
"""Seconds after which a sleeping thread ends: only a single-threaded process can be forked safely."""

LONGEST = 2.0
"""Maximum seconds that the end of the process waits for threads to go to sleep."""

FREE, ASLEEP = 0, -1
"""States of a slot, as in `kernels/_engine/crew.py`, which imports Numba."""

TRIED, RETRIED = 3, 50
"""A way is tried for `TRIED` runs; of every `RETRIED` runs, the first ones try the slower way again, in case the other
load of the machine has changed.
"""


class Pace:
    """Chooses the faster of two ways, alone or shared with standby threads, by the measured time per step.

    Bits do not depend on the way. The first run of a trial may have to start or wake the threads, so it does not count.
    """

    def __init__(self) -> None:
        self._seconds: dict[bool, float] = {}
        self._runs, self._last, self._is_first = 0, False, True

    def is_shared_next(self) -> bool:
        """Whether standby threads join in the next run."""
        self._runs += 1
        if self._runs <= 2 * TRIED:
            return self._runs <= TRIED
        is_faster = self._seconds.get(True, inf) < self._seconds.get(False, inf)  # interrupted runs are not noted
        return is_faster != (self._runs % RETRIED < TRIED)

    def note(self, is_shared: bool, seconds: float) -> None:
        """Take the time per step of a run into account."""
        if is_shared != self._last or self._runs == 1:
            self._last, self._is_first = is_shared, True
            return
        before = seconds if self._is_first else self._seconds[is_shared]
        self._seconds[is_shared], self._is_first = (before + seconds) / 2, False


class Crew:
    """Standby threads of this process, started on demand and ended when idle."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Reset the state: the child of a fork has no threads."""
        memory = zeros(((os.cpu_count() or 1) * LINE,), "int64")
        self._slots, self._size = address(memory), len(memory) // LINE
        self._states = memoryview(memory)  # type: ignore[arg-type] # missing in NumPy's stubs
        self._lock, self._wake_up = Mutex(), dict[int, threading.Event]()

    def caller(self, run: int, dtype: str, helpers: int, work: str = "run_workers") -> Callable[[], None]:
        """Return a function that runs all workers of the run at `run`, in this and up to `helpers` other threads.

        Other `work` than a run is a function of the engine with the same arguments, such as `find_lost_doubles`.
        """
        helpers = min(helpers, self._size)
        if not helpers:
            return partial(calls.caller(work, dtype), 0, 0, run)
        run_in_crew, run_there, stand_by = _compiled(work, dtype)
        end = helpers * LINE

        def call() -> None:
            if len(self._wake_up) < helpers or ASLEEP in self._states[:end:LINE]:
                self._muster(helpers, stand_by)
            run_in_crew(run, run_there, PATIENCE, self._slots, helpers)

        return call

    def _muster(self, count: int, stand_by: Any) -> None:
        """Start missing threads and wake sleeping ones."""
        with self._lock:
            for number in range(count):
                if number not in self._wake_up:
                    self._start(number, stand_by)
                elif self._states[number * LINE] == ASLEEP:
                    self._states[number * LINE] = FREE
                    self._wake_up[number].set()

    def _start(self, number: int, stand_by: Any) -> None:
        wake_up, look = threading.Event(), partial(stand_by, self._slots + 8 * LINE * number, PATIENCE, LOOKS)
        starter = current()

        def work() -> None:
            leave(starter)
            with self._lock:
                if self._wake_up.get(number) is not wake_up:  # Ctrl-C has ended the start: another has this number
                    return
            look()
            while wake_up.wait(PARTING) or not self._part(number):
                wake_up.clear()  # also if it was set after the wait: while asleep, `look` would never return
                look()

        if self._states[number * LINE] == ASLEEP:  # if not, no thread could be started before, and a run may be offered
            self._states[number * LINE] = FREE
        try:
            self._wake_up[number] = wake_up
            threading.Thread(target=work, name=f"dnnkit-{number + 1}", daemon=True).start()
        except RuntimeError:  # the system has no more threads; run without
            del self._wake_up[number]
        except BaseException:
            self._wake_up.pop(number, None)
            raise

    def until_asleep(self) -> None:
        """Wait until no thread runs compiled code: at exit, their memory is freed."""
        end = monotonic() + LONGEST
        while monotonic() < end and any(self._states[number * LINE] != ASLEEP for number in list(self._wake_up)):
            sleep(1e-4)

    def _part(self, number: int) -> bool:
        """Whether this thread may end, that is, was not woken just now."""
        with self._lock:
            if self._states[number * LINE] == ASLEEP:
                del self._wake_up[number]
                return True
            return False


@cache
def _compiled(work: str, dtype: str) -> tuple[Any, int, Any]:
    """Return `run_in_crew`, the address of the work's function, and `stand_by`."""
    run_there = calls.function_of(work, dtype).address
    return calls.caller("run_in_crew", dtype), run_there, calls.caller("stand_by", dtype)


CREW = Crew()
atexit.register(CREW.until_asleep)

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=CREW.forget)
