"""The rows of each batch: of data in memory, which every rank has, or of a stream, of which each reads its share."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from itertools import pairwise

import numpy as np

from dnnkit.backends.state import HostArray
from dnnkit.training.parts import Portion, Share

WeightOf = Callable[[HostArray], float]
"""Returns the sum of the weights of rows of the data."""


class Batches(ABC):
    """Batches of an epoch, or of a part of one.

    Arguments:
        count: number of rows.
        batch_size: rows per batch; the last one may have fewer.
    """

    is_end = True
    """Whether the epoch ends with the last of them."""

    def __init__(self, count: int, batch_size: int) -> None:
        self._count, self.batch_size = count, max(1, min(batch_size, count))
        self.steps = -(-count // self.batch_size)

    def size(self, step: int) -> int:
        """Return the number of rows of a batch."""
        return min(self.batch_size, self._count - step * self.batch_size)

    @abstractmethod
    def rows(self, step: int, first: int, last: int) -> HostArray:
        """Return where the data have rows first ... last - 1 of a batch."""

    @abstractmethod
    def weight(self, step: int) -> float:
        """Return the sum of the row weights of a batch."""

    @abstractmethod
    def weight_of_steps(self, first: int, last: int, before: float) -> float:
        """Return the sum of the row weights of these batches, added to `before`."""


class InMemory(Batches):
    """Batches of data that every rank has."""

    def __init__(self, order: HostArray, batch_size: int, weight_of: WeightOf) -> None:
        super().__init__(len(order), batch_size)
        self._order, self._weight_of = np.ascontiguousarray(order, np.int64), weight_of

    def rows(self, step: int, first: int, last: int) -> HostArray:  # noqa: D102
        start = step * self.batch_size
        return self._order[start + first : start + last]

    def weight(self, step: int) -> float:  # noqa: D102
        return self._weight_of(self.rows(step, 0, self.size(step)))

    def weight_of_steps(self, first: int, last: int, before: float) -> float:  # noqa: D102
        rows = self._order[first * self.batch_size : last * self.batch_size]
        return before + (self._weight_of(rows) if len(rows) else 0.0)


class OfPortion(Batches):
    """Batches of which this rank has its share."""

    def __init__(self, portion: Portion, share: Share, batch_size: int) -> None:
        super().__init__(portion.rows, batch_size)
        self._order, self._share, self.is_end = portion.order.astype(np.int64), share, portion.is_last
        first, last = share.rows(self.batch_size)
        self._own = last - first
        self._weights: HostArray | None = None

    def rows(self, step: int, first: int, last: int) -> HostArray:  # noqa: D102
        start = step * self._own - self._share.rows(self.size(step))[0]
        return self._order[start + first : start + last]

    def own_weights(self, weight_of: WeightOf) -> list[list[float]]:
        """Return the sums of the row weights of the own blocks, for each batch."""
        share, found = self._share, list[list[float]]()
        for step in range(self.steps):
            size = self.size(step)
            ends = [size * block // share.blocks for block in range(share.first, share.last + 1)]
            found.append([weight_of(self.rows(step, *each)) for each in pairwise(ends)])
        return found

    def take_weights(self, gathered: list[list[list[float]]]) -> None:
        """Sum the weights of all ranks' blocks, so that sums are bitwise identical for any number of ranks."""
        self._weights = np.add.accumulate(np.concatenate(gathered, axis=1), axis=1)[:, -1]

    def weight(self, step: int) -> float:  # noqa: D102
        return float(self.size(step) if self._weights is None else self._weights[step])

    def weight_of_steps(self, first: int, last: int, before: float) -> float:  # noqa: D102
        if self._weights is None:
            return before + max(0, min(last * self.batch_size, self._count) - first * self.batch_size)
        # Added one by one, so that the sum does not depend on where an epoch was interrupted.
        return float(np.add.accumulate([before, *self._weights[first:last]])[-1])
