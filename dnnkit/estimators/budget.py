"""A time budget: how much of it each member has, and how fast its schedule has to run to end in time."""

from collections.abc import Callable
from threading import Lock
from typing import TypeAlias

from dnnkit.deferred import dataclass
from dnnkit.schedules import Schedule

Clock: TypeAlias = Callable[[], float]
"""Gives seconds, from any beginning."""


class Budget:
    """Seconds for all members together; members that begin late share what is left.

    Arguments:
        seconds: in all; None for no limit.
        members: how many there are.
        workers: how many are trained at once.
        clock: what tells the time.
    """

    def __init__(self, seconds: float | None, members: int, workers: int, clock: Clock) -> None:
        self.seconds, self.clock, self._workers, self._left = seconds, clock, workers, members
        self._start, self._lock, self._is_first = clock(), Lock(), True

    @property
    def elapsed(self) -> float:
        """Seconds since the beginning."""
        return self.clock() - self._start

    def deadline(self) -> float | None:
        """When, by the clock, the member that begins now is to end; None for no limit.

        Raises:
            Spent: nothing is left, and there is a member already.
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
    """Nothing is left of a time budget."""


@dataclass(frozen=True)
class Hurried(Schedule):
    """A schedule that runs faster from some step on.

    Arguments:
        schedule: what it follows.
        since: the step from which on it is faster.
        at: where in the schedule that step is.
        pace: steps of the schedule per step.
    """

    schedule: Schedule
    since: int
    at: float
    pace: float

    def __call__(self, step: int) -> float:  # noqa: D102
        return self.schedule(self.at + (step - self.since) * self.pace)  # type: ignore[arg-type] # a place between two

    def place(self, step: int) -> float:
        """Where in the schedule a step is."""
        return self.at + (step - self.since) * self.pace
