"""Parts of an epoch from a stream: a thread fills one buffer while the network trains on the other."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from itertools import pairwise
from math import prod
from typing import Any

import numpy as np

from dnnkit.backends.aligned import empty
from dnnkit.backends.executable import Executable
from dnnkit.backends.processors import processors
from dnnkit.backends.state import HostArray
from dnnkit.background import Ahead
from dnnkit.deferred import dataclass
from dnnkit.errors import DataError, ShapeError
from dnnkit.kernels.array import namespace
from dnnkit.network.protocol import Network
from dnnkit.streams.locating import located
from dnnkit.streams.order import EpochOrder
from dnnkit.streams.rows import Places, Rows
from dnnkit.streams.stream import BLOCK, Stream, places_of, rows_in_buffer
from dnnkit.training.parts import Part, Portion, Share

READERS = 4
"""Maximum number of threads that read a chunk."""

SHARE = 4 << 20
"""Minimum number of bytes per thread."""

Check = Callable[[Any, Any, Any], tuple[Any, Any, Any]]
"""Returns samples, targets and weights as the executable loads them, or raises an error."""


@dataclass(frozen=True)
class _Read:
    """A chunk that is being read or has been read."""

    key: tuple[int, int, int]
    made: Ahead[Any]


class StreamFeed:
    """The chunks of a stream, as parts of epochs.

    Arguments:
        net: the network that is trained.
        stream: the data.
        check: checks each chunk.
        batch_size: rows per batch.
        rows: rows per epoch.
        shuffle: whether blocks are reordered each epoch and rows mixed within the buffer.
        trains: False if a batch is only the amount computed at a time, which may be smaller.
        share: the part of every batch whose rows are read; None for all. Then the data of parts are `Portion`s.
    """

    def __init__(
        self,
        net: Network,
        stream: Stream,
        check: Check,
        batch_size: int,
        rows: int,
        shuffle: bool,
        *,
        trains: bool = True,
        share: Share | None = None,
    ) -> None:
        self._share = share
        self._stream, self._check, self._batch_size, self._rows = stream, check, batch_size, rows
        self._executable: Executable = net.executable
        self._shuffle = shuffle
        of_x = _dtype_in_memory(stream.x, net)
        self._dtypes = of_x, *(None if each is None else each.dtype.newbyteorder("=") for each in _parts(stream)[1:])
        kinds = zip(_parts(stream), self._dtypes, strict=True)
        in_memory = sum(prod(each.shape) * kind.itemsize for each, kind in kinds if each and kind)
        if not trains:
            batch_size = self._batch_size = max(1, min(batch_size, int(stream.buffer * 2**20 / max(1, in_memory))))
        size = rows_in_buffer(stream, in_memory, batch_size)
        whole, rest = divmod(rows, size)
        self._chunks = max(1, whole + (rest >= batch_size))  # fewer rows than a batch join the chunk before them
        self._size = size
        self._longest = max(1, *(len(self._own_places(count)) for count in (size, rows - (self._chunks - 1) * size)))
        self._buffers: list[list[HostArray | None]] = []
        self._order: tuple[tuple[int, int], EpochOrder] | None = None
        self._ahead: _Read | None = None
        self._turn = 0
        self.row_bytes = float(stream.row_bytes)
        block = stream.rows_of_block()
        self.schedule = (
            f"{size} rows in the buffer, {block} in a block, {rows} rows of {len(stream)}, batch_size {batch_size}, "
            f"shuffle {shuffle!r}{' in strata' if shuffle else ''}"
        )

    def parts(self, seed: int, epoch: int, position: int, done: int) -> Iterator[Part]:
        """See `Feed`."""
        steps = self._size // self._batch_size
        for chunk in range(min(position // steps, self._chunks - 1), self._chunks):
            yield self.part(seed, epoch, chunk)

    def part(self, seed: int, epoch: int, chunk: int) -> Part:
        """Return a part of an epoch by its number, once it is read."""
        key, steps, is_last = (seed, epoch, chunk), self._size // self._batch_size, chunk == self._chunks - 1
        if self._ahead is None or self._ahead.key != key:
            self._finish()
            self._begin(key)
        assert self._ahead is not None
        data, is_weighted = self._ahead.made.result()
        self._ahead = None
        if not self._executable.loads_in_parallel:
            data = self._executable.load(*data)
        count = self._end(chunk) - chunk * self._size
        order = self._order_of(seed, epoch).mixed(chunk, count, self._batch_size)
        if self._share is not None:
            chosen = order[self._own_places(count)]
            order = np.searchsorted(np.sort(chosen), chosen)
            data = Portion(key, data, order, count, is_last, is_weighted)
        end = -(-self._rows // self._batch_size) if is_last else (chunk + 1) * steps
        then = partial(self._begin, (seed, epoch + 1, 0) if is_last else (seed, epoch, chunk + 1))
        return Part(data, order, self._batch_size, chunk * steps, end, then)

    def loaded(self) -> Iterator[tuple[Any, int]]:
        """Yield the loaded chunks and the number of rows of each."""
        for chunk, part in enumerate(self.parts(0, 0, 0, 0)):
            if chunk + 1 < self._chunks:
                part.begun()
            yield part.data, len(part.order)

    def close(self) -> None:
        """Finish reading and release the buffers."""
        self._finish()
        self._buffers.clear()

    def _finish(self) -> None:
        """Wait for a read that is no longer needed."""
        if self._ahead is not None:
            with suppress(Exception):
                self._ahead.made.result()
            self._ahead = None

    def _begin(self, key: tuple[int, int, int]) -> None:
        """Start a thread that reads a chunk into the unused buffer."""
        if not self._buffers:
            kinds = list(zip(_parts(self._stream), self._dtypes, strict=True))
            for _ in range(2):
                self._buffers.append(
                    [None if each is None else empty((self._longest, *each.shape), str(kind)) for each, kind in kinds]
                )
        buffer, self._turn = self._buffers[self._turn], 1 - self._turn
        self._ahead = _Read(key, Ahead(partial(self._read, key, buffer)))

    def _end(self, chunk: int) -> int:
        return self._rows if chunk == self._chunks - 1 else (chunk + 1) * self._size

    def _order_of(self, seed: int, epoch: int) -> EpochOrder:
        if self._order is None or self._order[0] != (seed, epoch):
            stream = self._stream
            blocks = stream.pieces, stream.rows_of_block()
            order = EpochOrder(len(stream), *blocks, self._rows, self._shuffle, seed, epoch, stream.lanes())
            self._order = (seed, epoch), order
        return self._order[1]

    def _spans(self, key: tuple[int, int, int]) -> list[tuple[int, int]]:
        """Return (row, count) of the adjacent rows to read for a chunk, one after the other."""
        seed, epoch, chunk = key
        first, last = chunk * self._size, self._end(chunk)
        order = self._order_of(seed, epoch)
        spans = list(order.spans(first, last))
        if self._share is None:
            return spans
        chosen = np.sort(order.mixed(chunk, last - first, self._batch_size)[self._own_places(last - first)])
        if not len(chosen):  # something has to be loaded
            return [(spans[0][0], 1)]
        starts, counts = np.array(spans).T
        ends = np.cumsum(counts)
        span = np.searchsorted(ends, chosen, "right")
        rows = chosen + (starts - ends + counts)[span]
        begins = np.flatnonzero(np.diff(rows, prepend=-2) != 1)
        return list(zip(rows[begins].tolist(), np.diff(begins, append=len(rows)).tolist(), strict=True))

    def _own_places(self, count: int) -> HostArray:
        """Return the places of the rows to read among `count` rows in batches."""
        return np.arange(count) if self._share is None else self._share.places(count, self._batch_size)

    def _read(self, key: tuple[int, int, int], buffer: list[HostArray | None]) -> tuple[Any, bool]:
        """Return what the executable loaded, or loads later, and whether rows have weights."""
        spans = self._spans(key)
        given = zip(_parts(self._stream), buffer, strict=True)
        for rows, out in given:
            if rows is not None and out is not None:
                _fill(rows, out, spans)
        count = sum(count for _, count in spans)
        x, y, weights = (None if out is None else out[:count] for out in buffer)
        try:
            checked = self._check(x, y, weights)
            data = self._executable.load(*checked) if self._executable.loads_in_parallel else checked
            return data, checked[2] is not None
        except (DataError, ShapeError) as error:
            raise located(error, self._stream, spans, (x, y, weights), self._try) from error

    def _try(self, x: Any, y: Any, weights: Any) -> None:
        self._executable.load(*self._check(x, y, weights))


def _fill(rows: Rows, out: HostArray, spans: Sequence[tuple[int, int]]) -> None:
    """Read all spans, with several threads if rows can be read in any order.

    Reading should be brief: it takes a core from the training workers, and each of their steps waits for the slowest.
    """
    row_bytes = max(1, rows.row_bytes)
    places = list(places_of(spans, max(1, BLOCK // row_bytes)))
    size = row_bytes * sum(count for _, count in spans)
    readers = 1 if rows.pieces is not None else min(READERS, processors(), -(-size // SHARE))
    cuts = [len(places) * number // readers for number in range(readers + 1)]
    shares = [places[start:end] for start, end in pairwise(cuts)]
    others = [Ahead(partial(_read_share, rows, share, out)) for share in shares[1:]]
    try:
        _read_share(rows, shares[0], out)
    finally:
        for other in others:  # they write to the buffer
            other.wait()
    for other in others:
        other.result()


def _read_share(rows: Rows, places: Places, out: HostArray) -> None:
    with np.errstate(over="ignore"):  # loading reports values that overflow to infinity
        rows.read_places(places, out)


def _parts(stream: Stream) -> tuple[Rows | None, Rows | None, Rows | None]:
    return stream.x, stream.y, stream.sample_weight


def _dtype_in_memory(x: Rows, net: Network) -> np.dtype:
    """Return the dtype of samples in memory: converted while reading, unless the backend accepts the stored dtype."""
    native = x.dtype.newbyteorder("=")
    is_kept = native.kind != "f" and net.backend.keeps_dtype(namespace(np.empty(0)), native)
    return native if is_kept else np.dtype(net.dtype)
