"""What trains several networks at the same time, each as if it were alone; a backend may have one.

The contract only. Without one, networks are trained one after the other.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import field
from typing import Any, NamedTuple

from dnnkit.backends.executable import Executable
from dnnkit.backends.state import EpochSums, HostArray, Hyperparameters, Totals
from dnnkit.deferred import dataclass


class Passed(NamedTuple):
    """What became of an epoch: the step after the last one that was run, what was measured, and how long it took.

    `held_out` is what was measured of the rows that are held out, None where none are, or where somebody stopped it.
    """

    last: int
    totals: Totals
    held_out: Totals | None
    seconds: float


@dataclass(eq=False)
class Work:
    """Epochs of one network, one after the other; each perhaps with an evaluation of rows that are held out.

    The first begins at the position of the executable's state, with what was measured so far. Where its loss is no
    number, or somebody asked the executable to stop, the others are left out.
    """

    executable: Executable
    data: Any
    batch_size: int
    orders: Sequence[HostArray]
    """Of the rows, epoch by epoch."""
    hyperparameters: Hyperparameters
    """Of all steps."""
    steps: int
    """Of an epoch."""
    sums: EpochSums | None = None
    """What was measured of the first epoch so far."""
    held_out: Any = None
    held_out_rows: int = 0
    """How many of them are computed at a time, at most."""
    passed: list[Passed] = field(default_factory=list)
    """What came of it: of each epoch that was begun."""


class Many(ABC):
    """Trains several networks at the same time. Results do not depend on how many, nor on who trains which."""

    @abstractmethod
    def takes(self, executable: Executable, data: Any, batch_size: int) -> bool:
        """Whether it can train that one; with what its own `run_steps` in one thread would give, bit for bit."""

    @abstractmethod
    def evaluates(self, executable: Executable) -> bool:
        """Whether it can also measure held-out rows of it, as its own `measure` would."""

    @abstractmethod
    def prepare(self, work: Work) -> None:
        """Do what takes long before the first step of work like this; its orders are not needed."""

    @abstractmethod
    def run(self, works: Sequence[Work]) -> None:
        """Train all of them; each says then what passed, and its executable's state counts the steps.

        An epoch that was stopped before its last step is the executable's own: its sums and totals are of that.
        """
