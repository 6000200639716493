"""Order of an epoch over rows on disk: blocks in random order, then rows mixed within a buffer.

Blocks of adjacent rows are read together, because sequential reads are fast. Each epoch takes the blocks in a new
random order, fills the buffer with as many as fit, and mixes their rows: each batch takes one row at random from each
of equal stretches of the buffer (stratified sampling). So a process that computes only some rows of every batch reads
only some of the blocks. The order is a function of the network's seed, the epoch and the position, so any part of an
epoch can be reproduced on its own. docs/streams.md measures the quality of the mixing.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from dnnkit.seeds import stream

LANES = 8
"""Maximum number of pieces that are read at the same time, if pieces can only be read from their start."""

PER_LANE = 4
"""Minimum number of pieces per lane: the one at its end is also read by the next lane."""


class EpochOrder:
    """The rows of an epoch, in order.

    Arguments:
        count: total number of rows.
        pieces: rows of each piece that can only be read from its start; None for random access.
        block_rows: rows per block.
        rows: rows per epoch; if there are more than `count`, rows repeat.
        shuffle: False for sequential order, in which each epoch continues where the previous one ended.
        seed: seed of the network.
        epoch: number of the epoch.
        lanes: number of equal runs of pieces, in random order, that are read side by side: of every chunk, each has the
            same share of the rows, so processes that compute shares of each batch read different lanes.
    """

    def __init__(
        self,
        count: int,
        pieces: NDArray[np.int64] | None,
        block_rows: int,
        rows: int,
        shuffle: bool,
        seed: int,
        epoch: int,
        lanes: int = 1,
    ) -> None:
        self._count, self._pieces, self._block_rows, self._shuffle = count, pieces, block_rows, shuffle
        self._seed, self._epoch, self._lanes = seed, epoch, lanes
        self._start = 0 if shuffle else epoch * rows % count
        self._pass: tuple[int, NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]] | None = None

    def spans(self, first: int, last: int) -> Iterator[tuple[int, int]]:
        """Yield (row, count) of adjacent rows; together they are positions first ... last - 1 before mixing."""
        first, last = first + self._start, last + self._start
        while first < last:
            number, place = divmod(first, self._count)
            here = min(last - first, self._count - place)
            if self._shuffle:
                begin = 0
                for lane in range(self._lanes):
                    yield from self._spans_of_pass(
                        number, begin + self._of_lane(lane, place), begin + self._of_lane(lane, place + here)
                    )
                    begin += self._of_lane(lane, self._count)
            else:
                yield place, here
            first += here

    def mixed(self, chunk: int, count: int, batch_size: int) -> NDArray[np.int64]:
        """Return the order of the `count` rows of a chunk, batch after batch.

        Row p of each batch is one of stretch p of the chunk's rows, which has as many rows as there are batches.
        """
        if not self._shuffle:
            return np.arange(count)
        generator, (steps, rest) = stream(self._seed, "buffer", self._epoch, chunk), divmod(count, batch_size)
        longer = np.arange(rest * (steps + 1)).reshape(rest, steps + 1)  # they have a row of the incomplete batch
        shorter = np.arange(longer.size, count).reshape(batch_size - rest, steps)
        order = np.empty(count, np.int64)
        batches = order[: steps * batch_size].reshape(steps, batch_size)
        longer, shorter = generator.permuted(longer, axis=1), generator.permuted(shorter, axis=1)
        batches[:, :rest], batches[:, rest:] = longer[:, :steps].T, shorter.T
        order[steps * batch_size :] = longer[:, steps]
        return order

    def _spans_of_pass(self, number: int, first: int, last: int) -> Iterator[tuple[int, int]]:
        if self._pass is None or self._pass[0] != number:
            starts, counts = self._blocks(stream(self._seed, "blocks", self._epoch, number))
            self._pass = number, starts, counts, np.cumsum(counts)
        _, starts, counts, ends = self._pass
        block = int(np.searchsorted(ends, first, "right"))
        while first < last:
            skipped = first - int(ends[block] - counts[block])
            here = min(last - first, int(counts[block]) - skipped)
            yield int(starts[block]) + skipped, here
            first, block = first + here, block + 1

    def _of_lane(self, lane: int, rows: int) -> int:
        """Return how many of the first rows of a pass are of a lane: they are dealt one by one."""
        return (rows + self._lanes - 1 - lane) // self._lanes

    def _blocks(self, generator: np.random.Generator) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the first row and the number of rows of each block or piece, in the order of the pass."""
        if self._pieces is None:
            starts = generator.permutation(np.arange(0, self._count, self._block_rows))
            return starts, np.minimum(self._block_rows, self._count - starts)
        order = generator.permutation(len(self._pieces))
        return (np.cumsum(self._pieces) - self._pieces)[order], self._pieces[order]
