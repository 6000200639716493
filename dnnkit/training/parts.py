"""The parts of an epoch: steps whose data are at hand. Data in memory are one part; what is larger comes in several."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from math import inf
from typing import Any, Protocol

from dnnkit.backends.executable import AfterBatch, Executable
from dnnkit.backends.state import HostArray
from dnnkit.deferred import dataclass


def _nothing() -> None:
    pass


@dataclass(frozen=True)
class Part:
    """Some steps of an epoch.

    Attributes:
        data: what the executable loaded.
        order: of their rows, the first batch's first.
        batch_size: rows of a batch.
        first: the first step, counted from the epoch's first.
        end: the step after the last.
        begun: to be called when the part before is not used any more.
    """

    data: Any
    order: HostArray
    batch_size: int
    first: int = 0
    end: float = inf
    begun: Callable[[], None] = _nothing


class Feed(Protocol):
    """Where the parts of epochs come from, if data are not in memory."""

    schedule: str
    """How rows become batches, in words: an epoch goes on only with the same."""
    row_bytes: float
    """Bytes that are read for a row."""

    def parts(self, seed: int, epoch: int, position: int, done: int) -> Iterator[Part]:
        """Those of an epoch, from the one with step `position` on; waiting for one may be interrupted.

        `done` counts the steps of this fit before that one, those of an earlier process included.
        """

    def close(self) -> None:
        """The fit is over, also by an exception."""


class InParts(ABC):
    """Data to be measured, of which a part at a time is loaded."""

    rows = 0
    """Of all; 0 as long as nobody knows."""

    @abstractmethod
    def measure(
        self, executable: Executable, batch_size: int, parameters: Any, after_batch: AfterBatch | None
    ) -> dict[str, float]:
        """See `Executable.measure`."""
