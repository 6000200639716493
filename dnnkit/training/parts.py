"""Parts of an epoch: steps whose data is loaded. Data in memory is one part; larger data comes in several."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from math import inf
from typing import Any, NamedTuple, Protocol

import numpy as np

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


class Share(NamedTuple):
    """The part of every batch that this process computes, if several train together: some of equal blocks of rows."""

    blocks: int
    """Number of blocks per batch."""
    first: int
    last: int
    """First own block, and the one after the last."""

    def rows(self, count: int) -> tuple[int, int]:
        """Return the first own row of a batch of `count` rows, and the one after the last."""
        return count * self.first // self.blocks, count * self.last // self.blocks

    def places(self, count: int, batch_size: int) -> HostArray:
        """Return the own places among `count` rows in batches."""
        whole, rest = divmod(count, batch_size)
        first, last = self.rows(batch_size)
        places = (batch_size * np.arange(whole)[:, None] + np.arange(first, last)).ravel()
        first, last = self.rows(rest)
        return np.concatenate([places, whole * batch_size + np.arange(first, last)])


class Portion(NamedTuple):
    """The loaded data of a part of an epoch, if several processes train together: only the rows of this one's share.

    Attributes:
        key: seed, epoch and number of the part, by which the other processes find theirs.
        data: what the executable loaded.
        order: order of its rows, batch after batch.
        rows: number of rows of the whole part.
        is_last: whether the epoch ends with it.
        is_weighted: whether rows have weights.
    """

    key: tuple[int, int, int]
    data: Any
    order: HostArray
    rows: int
    is_last: bool
    is_weighted: bool


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
