"""The order of an epoch over rows that are not in memory: blocks in a random order, then rows within a buffer.

Blocks of neighbouring rows are read together, for disks read neighbours fast. An epoch takes the blocks in an order
drawn anew, fills the buffer with as many as fit, and mixes the rows in it: all that is a function of the network's
seed, the epoch and the place, so that any part of an epoch can be read again by itself. How well it mixes:
docs/streams.md.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from dnnkit.seeds import stream

BY_TURNS = 8
"""Pieces that can only be read from their beginning, of which blocks are taken by turns, at most."""


class EpochOrder:
    """Which rows an epoch shows, in which order.

    Arguments:
        count: of all rows.
        pieces: rows of each piece that is read from its beginning; None where there are none.
        block_rows: rows of a block.
        rows: that the epoch shows; if more than there are, all come again.
        shuffle: False for one row after the other, each epoch going on where as many of that length end.
        seed: of the network.
        epoch: its number.
        turns: pieces of which blocks are taken by turns.
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
        """(row, count) of neighbouring rows, which together are places first ... last - 1 of the epoch, unmixed."""
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
        """In which order the so many rows of a chunk come."""
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
        """First row and rows of each block, in the order of the pass."""
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
