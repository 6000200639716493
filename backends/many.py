"""Interface for training several networks at once, each as if it were alone. Backends may implement it.

Without it, networks are trained one after another.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import field
from math import inf
from typing import Any, NamedTuple

import numpy as np

from dnnkit.backends.executable import Executable
from dnnkit.backends.state import EpochSums, HostArray, Hyperparameters, Totals
from dnnkit.deferred import dataclass


class Passed(NamedTuple):
    """Result of an epoch: the number of the step after its last one, its totals, and its seconds.

    `held_out` are the totals of held-out rows, None if there are none or the evaluation was stopped.
    """

    last: int
    totals: Totals
    held_out: Totals | None
    seconds: float


@dataclass(frozen=True, eq=False)
class DrawnOrders:
    """Row orders of consecutive epochs, `numpy.random.default_rng(words).permutation(rows)`, drawn when needed."""

    entropy: HostArray
    """(epochs, words), int64: at most four words of 32 bits per epoch."""
    rows: int

    def __len__(self) -> int:
        return len(self.entropy)

    def arrays(self) -> list[HostArray]:
        """Return the orders as arrays."""
        return [np.random.default_rng(words).permutation(self.rows) for words in self.entropy.tolist()]


@dataclass(eq=False)
class Work:
    """Consecutive epochs of one network, each optionally followed by an evaluation of held-out rows.

    The first epoch starts at the position of the executable's state, with the sums measured so far. Once the loss is
    NaN, or the executable was asked to stop, the remaining epochs are skipped.
    """

    executable: Executable
    data: Any
    batch_size: int
    orders: Sequence[HostArray] | DrawnOrders
    """Row order of each epoch."""
    hyperparameters: Hyperparameters
    """Of all steps."""
    rows: int
    """Rows per epoch."""
    steps: int
    """Steps per epoch."""
    sums: EpochSums | None = None
    """Sums measured in the first epoch so far."""
    held_out: Any = None
    held_out_rows: int = 0
    """Maximum number of held-out rows computed at a time."""
    passed: list[Passed] = field(default_factory=list)
    """Results, one per epoch that was begun."""


class Many(ABC):
    """Trains several networks at once. Results depend neither on their number nor on which thread trains which."""

    @abstractmethod
    def takes(self, executable: Executable, data: Any, batch_size: int) -> bool:
        """Return whether it can train this network with results bitwise identical to `run_steps` in one thread."""

    @abstractmethod
    def evaluates(self, executable: Executable) -> bool:
        """Return whether it can also evaluate held-out rows, with the results of the executable's `measure`."""

    def seconds_of_epoch(self, work: Work) -> float:
        """Return a rough estimate of the seconds that an epoch takes one worker; infinity if it is unknown."""
        return inf

    @abstractmethod
    def prepare(self, work: Work) -> None:
        """Do slow preparation, such as compiling, for such work; its orders are not used."""

    @abstractmethod
    def run(self, works: Sequence[Work]) -> None:
        """Train all networks; append results to each `passed`, and count the steps in each executable's state.

        An epoch that was stopped before its last step remains the executable's current epoch, with its sums and totals.
        """
