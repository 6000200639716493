"""A data set that need not be in memory: samples, targets and row weights, read on demand."""

import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from dnnkit.backends.state import HostArray
from dnnkit.errors import ConfigurationError, DataError, ShapeError
from dnnkit.settings import POSITIVE, counted
from dnnkit.settings import whole as whole_number
from dnnkit.streams.formats import Columns
from dnnkit.streams.opening import as_names, is_column, is_path, open_rows
from dnnkit.streams.order import LANES, PER_LANE
from dnnkit.streams.rows import Places, Rows, SlicedRows

BUFFER = 48
"""Default size in MiB of the buffer in which rows are mixed. There are two, because the next chunk is read ahead."""

BLOCK = 1 << 17
"""Bytes of adjacent rows that are read together: on an SSD nearly as fast as sequential reading."""

SPREAD, PIECES = 64, 8
"""Maximum number of positions, or of pieces, that a sample of the rows is read from."""


class Stream:
    """Samples, targets and row weights of a data set on disk; returned by `dk.streams.open`.

    Attributes:
        x, y, sample_weight: the rows; None if absent.
        buffer: MiB of rows that are mixed and read ahead.
        block_rows: rows that are read together; None for as many as fit in 128 KiB.
    """

    is_stream = True

    def __init__(
        self, x: Rows, y: Rows | None, sample_weight: Rows | None, buffer: float, block_rows: int | None
    ) -> None:
        self.x, self.y, self.sample_weight = x, y, sample_weight
        self.buffer, self.block_rows = buffer, block_rows
        for name, rows in (("y", y), ("sample_weight", sample_weight)):
            if rows is not None and rows.count != x.count:
                raise ShapeError(
                    f"x has {x.count} samples in {x.name} but {name} has {rows.count} in {rows.name}: expected one row "
                    "per sample"
                )

    def __len__(self) -> int:
        return self.x.count

    def __repr__(self) -> str:
        return f"<Stream of {len(self):,} rows {self.x.shape}, {self.nbytes / 1e9:.3g} GB, of {self.x.name}>"

    @property
    def parts(self) -> list[Rows]:
        """The samples, and the targets and weights if present."""
        return [rows for rows in (self.x, self.y, self.sample_weight) if rows is not None]

    @property
    def row_bytes(self) -> int:
        """Bytes per row as stored, uncompressed."""
        return sum(rows.row_bytes for rows in self.parts)

    @property
    def nbytes(self) -> int:
        """Bytes of all rows as stored, uncompressed."""
        return len(self) * self.row_bytes

    @property
    def pieces(self) -> Any:
        """Rows of each piece that can only be read from its start; None for random access."""
        return next((rows.pieces for rows in self.parts if rows.pieces is not None), None)

    def rows_of_block(self) -> int:
        """Return the number of rows that are read together."""
        return self.block_rows or max(1, BLOCK // max(1, self.row_bytes))

    def lanes(self) -> int:
        """Return the number of pieces read side by side, a power of two: as all are partly decoded, as many as fit in
        the buffer.
        """
        if self.pieces is None:
            return 1
        room = self.buffer * 2**20 / max(1, int(self.pieces.max()) * self.row_bytes)
        most = max(1, min(LANES, int(room), len(self.pieces) // PER_LANE))
        return int(1 << (most.bit_length() - 1))

    def place(self, row: int) -> str:
        """Describe the position of a row."""
        name, number = self.x.place(row)
        return f"{name}, row {number}"

    def identity(self) -> str:
        """Return a cheap fingerprint of the data."""
        return "; ".join("absent" if each is None else each.identity() for each in (self.x, self.y, self.sample_weight))

    def fits(self) -> bool:
        """Return whether all rows fit in the buffer; then they are read once and shuffled like arrays."""
        return self.nbytes <= self.buffer * 2**20

    def places_of_sample(self, count: int) -> list[tuple[int, int]]:
        """Return (row, count) of at most `count` rows spread over the data; for pieces, the first rows of some."""
        count = min(count, len(self))
        if count == len(self):
            return [(0, count)]
        if self.pieces is None:
            parts = max(1, min(SPREAD, count // 2))
            return [(len(self) * part // parts, count // parts) for part in range(parts)]
        begins, some = np.cumsum(self.pieces) - self.pieces, min(PIECES, len(self.pieces))
        chosen = np.linspace(0, len(self.pieces) - 1, some).astype(int)
        return [(int(begins[piece]), min(-(-count // some), int(self.pieces[piece]))) for piece in chosen]

    def sample(self, count: int) -> tuple[HostArray, HostArray | None, HostArray | None]:
        """Return a sample of the rows: samples, targets and weights."""
        places = self.places_of_sample(count)
        found = [None if rows is None else self._read(rows, places) for rows in (self.x, self.y, self.sample_weight)]
        return found[0], found[1], found[2]  # type: ignore[return-value]

    def split(self, share: float) -> tuple["Stream", "Stream"]:
        """Split into the leading rows and the last `share` of the rows.

        Raises:
            DataError: one of them would be empty.
        """
        cut = int(len(self) * (1 - share))
        if not 0 < cut < len(self):
            raise DataError(f"validation_split={share} of {len(self)} samples leaves one side empty")

        def part(first: int, count: int) -> "Stream":
            of_each = (self.x, self.y, self.sample_weight)
            x, y, weights = (None if rows is None else SlicedRows(rows, first, count) for rows in of_each)
            assert x is not None
            return Stream(x, y, weights, self.buffer, self.block_rows)

        return part(0, cut), part(cut, len(self) - cut)

    def read_all(self) -> tuple[HostArray, HostArray | None, HostArray | None]:
        """Return all rows."""
        return self.sample(len(self))

    @staticmethod
    def _read(rows: Rows, places: Sequence[tuple[int, int]]) -> HostArray:
        out = np.empty((sum(count for _, count in places), *rows.shape), rows.dtype.newbyteorder("="))
        found = list(places_of(places))
        for some in [found] if rows.pieces is None else [[each] for each in found]:
            rows.read_places(some, out)
            rows.release()  # several partly decoded pieces would take more memory than training
        return out


def places_of(spans: Iterable[tuple[int, int]], longest: int = sys.maxsize) -> Iterator[tuple[int, int, int]]:
    """Yield (first row, place, count) for spans (first, count) that fill an array one after the other.

    Spans of more than `longest` rows are divided.
    """
    place = 0
    for start, rows in spans:
        for first in range(start, start + rows, longest):
            count = min(longest, start + rows - first)
            yield first, place, count
            place += count


def open(
    x: Any,
    y: Any = None,
    sample_weight: Any = None,
    *,
    columns: Sequence[str] | None = None,
    buffer: float = BUFFER,
    block_rows: int | None = None,
) -> Stream:
    """Open a data set that may be larger than memory, for `fit`, `evaluate` and `predict`.

    `net.fit(path, y)` opens files by default; use this for other buffer sizes, selected columns, and memory maps.

    Arguments:
        x: path of a .npy, .parquet or .arrow file; a pattern ("train/x-*.npy"), a folder, or a list of such files,
            which are shards of one data set in the order of their names; an array, such as a memory map; or a sparse
            matrix.
        y: the targets, given likewise, or the names of the columns of x that are the targets.
        sample_weight: the row weights, given likewise.
        columns: names of the columns of a table that are the samples; default: all except targets and weights.
        buffer: MiB of rows that are mixed with each other, default 48; twice as much is held in memory.
        block_rows: rows that are read together; default: as many as fit in 128 KiB.

    Returns:
        The stream.

    Raises:
        DataError: a file is missing or damaged, a column is missing or not numeric, or shards differ.
        ConfigurationError: pyarrow, which reads .parquet and .arrow, is not installed.
    """
    others = {"y": y, "sample_weight": sample_weight}
    named = {name: as_names(name, given) for name, given in others.items() if is_path(x) and is_column(given)}
    left_out = tuple(name for names in named.values() for name in names)
    of_x = open_rows(x, "x", Columns(as_names("columns", columns), left_out))
    opened: dict[str, Rows | None] = {}
    for name, given in others.items():
        rows = None
        if given is not None:
            rows = open_rows(x, name, Columns(named[name])) if name in named else open_rows(given, name)
            rows = _Column(rows) if rows.shape == (1,) else rows
        opened[name] = rows
    if columns is not None and not of_x.columns:
        raise ConfigurationError("columns are given, but x is an array without column names: omit columns")
    if both := next((name for name in of_x.columns if name in left_out), None):
        raise DataError(
            f"the column {both!r} is used both as a sample and as a target or weight: remove it from columns"
        )
    size = float(POSITIVE.of("buffer", buffer))
    block = None if block_rows is None else whole_number(1).of("block_rows", block_rows)
    return Stream(of_x, opened["y"], opened["sample_weight"], size, block)


class _Column(Rows):
    """A single column as a vector (N,)."""

    def __init__(self, rows: Rows) -> None:
        self._rows, self.name, self.count, self.shape = rows, rows.name, rows.count, ()
        self.dtype, self.columns, self.pieces = rows.dtype, rows.columns, rows.pieces

    def read(self, first: int, out: HostArray) -> None:
        self._rows.read(first, out[:, None])

    def read_places(self, places: Places, out: HostArray) -> None:
        self._rows.read_places(places, out[:, None])

    def release(self) -> None:
        self._rows.release()

    def place(self, row: int) -> tuple[str, int]:
        return self._rows.place(row)

    def identity(self) -> str:
        return self._rows.identity()


def as_stream(x: Any, y: Any, sample_weight: Any) -> Stream:
    """Return a given stream, or open paths as one."""
    if not isinstance(x, Stream):
        return open(x, y, sample_weight)
    if y is not None or sample_weight is not None:
        raise ConfigurationError(
            "x is a stream, which includes its targets and weights: pass them to dk.streams.open instead"
        )
    return x


def rows_in_buffer(stream: Stream, row_bytes: int, batch_size: int) -> int:
    """Return the rows per chunk: as many whole batches as fit in the buffer, with rows of `row_bytes` bytes."""
    room = int(stream.buffer * 2**20 / max(1, row_bytes))
    if room < batch_size:
        raise ConfigurationError(
            f"a batch of {counted(batch_size)} rows takes {batch_size * row_bytes / 2**20:.0f} MiB, more than the "
            f"buffer of {stream.buffer:g}: use smaller batches, or a larger buffer: dk.streams.open(..., buffer=...)"
        )
    return room // batch_size * batch_size
