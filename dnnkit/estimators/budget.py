"""Time budgets: each member's share, and schedules that speed up to finish in time."""

from collections.abc import Callable
from typing import TypeAlias

from dnnkit.backends.mutex import Mutex
from dnnkit.deferred import dataclass
from dnnkit.schedules import Schedule

Clock: TypeAlias = Callable[[], float]
"""Returns seconds since an arbitrary start."""


class Budget:
    """A time budget shared by all members; members that start later share the remaining time.

    Arguments:
        seconds: total time; None for no limit.
        members: number of members.
        workers: number of members that train at the same time.
        clock: returns the time in seconds.
    """

    def __init__(self, seconds: float | None, members: int, workers: int, clock: Clock) -> None:
        self.seconds, self.clock, self._workers, self._left = seconds, clock, workers, members
        self._start, self._lock, self._is_first = clock(), Mutex(), True

    @property
    def elapsed(self) -> float:
        """Seconds since the start."""
        return self.clock() - self._start

    def deadline(self) -> float | None:
        """Return the time at which the member that starts now has to end; None for no limit.

        Raises:
            Spent: no time remains, and at least one member has started.
        """
        with self._lock:
            rounds = -(-self._left // self._workers)
            self._left -= 1
            is_first, self._is_first = self._is_first, False
            if self.seconds is None:
                return None
            now = self.clock()
            left = self._start + self.seconds - now
            if left <= 0 and not is_first:
                raise Spent
            return now + left / rounds


class Spent(Exception):
    """The time budget is spent."""


@dataclass(frozen=True)
class Hurried(Schedule):
    """A schedule that runs faster from a given step on.

    Arguments:
        schedule: the underlying schedule.
        since: the step at which the pace changes.
        at: the position in the schedule at that step.
        pace: steps of the schedule per training step.
    """

    schedule: Schedule
    since: int
    at: float
    pace: float

    def __call__(self, step: int) -> float:  # noqa: D102
        return self.schedule(self.place(step))  # type: ignore[arg-type] # a position between two steps

    def place(self, step: int) -> float:
        """Return the position in the schedule of a step."""
        return self.at + (step - self.since) * self.pace
