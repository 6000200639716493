"""Order of an epoch over rows on disk: blocks in random order, then rows mixed within a buffer.

Blocks of adjacent rows are read together, because sequential reads are fast. Each epoch takes the blocks in a new
random order, fills the buffer with as many as fit, and mixes their rows. The order is a function of the network's
seed, the epoch and the position, so any part of an epoch can be reproduced on its own. docs/streams.md measures the
quality of the mixing.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from dnnkit.seeds import stream

BY_TURNS = 8
"""Maximum number of pieces whose blocks are read in alternation, if pieces can only be read from their start."""


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
        turns: number of pieces whose blocks are read in alternation.
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
        turns: int = BY_TURNS,
    ) -> None:
        self._count, self._pieces, self._block_rows, self._shuffle = count, pieces, block_rows, shuffle
        self._seed, self._epoch, self._turns = seed, epoch, turns
        self._start = 0 if shuffle else epoch * rows % count
        self._pass: tuple[int, NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]] | None = None

    def spans(self, first: int, last: int) -> Iterator[tuple[int, int]]:
        """Yield (row, count) of adjacent rows; together they are positions first ... last - 1 before mixing."""
        first, last = first + self._start, last + self._start
        while first < last:
            number, place = divmod(first, self._count)
            here = min(last - first, self._count - place)
            if self._shuffle:
                yield from self._spans_of_pass(number, place, place + here)
            else:
                yield place, here
            first += here

    def mixed(self, chunk: int, count: int) -> NDArray[np.int64]:
        """Return the order of the `count` rows of a chunk."""
        if not self._shuffle:
            return np.arange(count)
        return stream(self._seed, "buffer", self._epoch, chunk).permutation(count)

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

    def _blocks(self, generator: np.random.Generator) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the first row and the number of rows of each block, in the order of the pass."""
        size = self._block_rows
        if self._pieces is None:
            starts = generator.permutation(np.arange(0, self._count, size))
            return starts, np.minimum(size, self._count - starts)
        begins = np.cumsum(self._pieces) - self._pieces
        order, found = generator.permutation(len(begins)), list[NDArray[np.int64]]()
        for some in np.split(order, range(self._turns, len(order), self._turns)):
            blocks = [np.arange(begins[piece], begins[piece] + self._pieces[piece], size) for piece in some]
            turns = generator.permutation(np.repeat(np.arange(len(blocks)), [len(each) for each in blocks]))
            taken = np.empty(len(turns), np.int64)
            for piece, own in enumerate(blocks):  # whoever's turn it is, a piece is read from its beginning
                taken[turns == piece] = own
            found.append(taken)
        starts = np.concatenate(found)
        ends = np.cumsum(self._pieces)
        return starts, np.minimum(size, ends[np.searchsorted(ends, starts, "right")] - starts)
