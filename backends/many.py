"""Training of several networks at once, each as if it were alone; a backend may support it.

This is only the contract. Without support, networks are trained one after another.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import field
from typing import Any, NamedTuple

import numpy as np

from dnnkit.backends.executable import Executable
from dnnkit.backends.state import EpochSums, HostArray, Hyperparameters, Totals
from dnnkit.deferred import dataclass


class Passed(NamedTuple):
    """Result of an epoch: the step after the last one that was run, the totals, and the seconds it took.

    `held_out` are the totals of held-out rows, None if there are none or the evaluation was stopped.
    """

    last: int
    totals: Totals
    held_out: Totals | None
    seconds: float


class DrawnOrder(NamedTuple):
    """The order `numpy.random.default_rng(entropy).permutation(rows)`, to be drawn where it is used.

    `entropy` has at most four words of 32 bits.
    """

    entropy: tuple[int, ...]
    rows: int

    def array(self) -> HostArray:
        """Draw it."""
        return np.random.default_rng(self.entropy).permutation(self.rows)


@dataclass(eq=False)
class Work:
    """Consecutive epochs of one network, each optionally followed by an evaluation of held-out rows.

    The first epoch begins at the position of the executable's state, with what was measured so far. Once its loss is
    NaN, or the executable was asked to stop, the remaining epochs are skipped.
    """

    executable: Executable
    data: Any
    batch_size: int
    orders: Sequence[HostArray | DrawnOrder]
    """Row order of each epoch."""
    hyperparameters: Hyperparameters
    """Of all steps."""
    steps: int
    """Steps per epoch."""
    sums: EpochSums | None = None
    """What was measured of the first epoch so far."""
    held_out: Any = None
    held_out_rows: int = 0
    """Maximum number of held-out rows computed at a time."""
    passed: list[Passed] = field(default_factory=list)
    """Results, one per epoch that was begun."""


class Many(ABC):
    """Trains several networks at once. Results depend neither on their number nor on which thread trains which."""

    @abstractmethod
    def takes(self, executable: Executable, data: Any, batch_size: int) -> bool:
        """Whether it can train this network, bitwise identical to its own `run_steps` in one thread."""

    @abstractmethod
    def evaluates(self, executable: Executable) -> bool:
        """Whether it can also evaluate held-out rows of it, as its own `measure` would."""

    @abstractmethod
    def prepare(self, work: Work) -> None:
        """Do slow preparation for such work ahead of its first step; its orders are not needed."""

    @abstractmethod
    def run(self, works: Sequence[Work]) -> None:
        """Train all of them; then `passed` of each holds the results, and its executable's state counts the steps.

        An epoch that was stopped before its last step remains the executable's current epoch, with its sums and totals.
        """
