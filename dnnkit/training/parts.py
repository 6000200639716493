"""Parts of an epoch: steps whose data is loaded. Data in memory is one part; larger data comes in several."""

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
    """Consecutive steps of an epoch.

    Attributes:
        data: what the executable loaded.
        order: order of its rows, batch after batch.
        batch_size: rows per batch.
        first: number of the first step within the epoch.
        end: number of the step after the last.
        begun: called once the previous part is no longer in use.
    """

    data: Any
    order: HostArray
    batch_size: int
    first: int = 0
    end: float = inf
    begun: Callable[[], None] = _nothing


class Feed(Protocol):
    """Source of the parts of epochs for data outside memory."""

    schedule: str
    """Description of how rows become batches; an epoch is continued only with the same one."""
    row_bytes: float
    """Bytes read per row."""

    def parts(self, seed: int, epoch: int, position: int, done: int) -> Iterator[Part]:
        """Yield the parts of an epoch from the one with step `position`; waiting for one may be interrupted.

        `done` is the number of steps of this fit before it, including those of an earlier process.
        """

    def close(self) -> None:
        """Called at the end of the fit, also after an exception."""


class InParts(ABC):
    """Data for evaluation that is loaded one part at a time."""

    rows = 0
    """Total number of rows; 0 while unknown."""

    @abstractmethod
    def measure(
        self, executable: Executable, batch_size: int, parameters: Any, after_batch: AfterBatch | None
    ) -> dict[str, float]:
        """See `Executable.measure`."""
