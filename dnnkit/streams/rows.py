"""Rows that are read on demand, from an array, a file, or several files one after the other."""

from abc import ABC, abstractmethod
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from math import prod
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from dnnkit.backends.state import HostArray
from dnnkit.errors import DataError

Places: TypeAlias = Sequence[tuple[int, int, int]]
"""Runs of rows: the first row, its position in the array to fill, and the number of rows."""


class Rows(ABC):
    """A table (N, ...) of numbers that need not be in memory."""

    name: str
    """Name in errors, such as the path."""
    count: int
    """Number of rows, N."""
    shape: tuple[int, ...]
    """Shape of a row."""
    dtype: np.dtype
    columns: tuple[str, ...] = ()
    """Names of the columns, if they have any."""
    pieces: NDArray[np.int64] | None = None
    """Number of rows of each piece that can only be read from its start; None for random access."""

    @abstractmethod
    def read(self, first: int, out: HostArray) -> None:
        """Fill `out` with the rows from `first` on, converted to its dtype.

        Thread-safe unless there are pieces.

        Raises:
            DataError: the file is damaged, or shorter than before.
        """

    def read_places(self, places: Places, out: HostArray) -> None:
        """Read runs of rows to their places in `out`, as `read` does; the overhead is paid once for all of them."""
        for first, place, count in places:
            self.read(first, out[place : place + count])

    def release(self) -> None:  # noqa: B027 - most keep nothing
        """Release what was kept for continuing to read."""

    def place(self, row: int) -> tuple[str, int]:
        """Return the file of a row, and its index in that file."""
        return self.name, row

    def identity(self) -> str:
        """Return a cheap fingerprint of the data."""
        return f"{self.count} rows {self.shape} {self.dtype}"

    @property
    def row_bytes(self) -> int:
        """Bytes per row as stored, uncompressed."""
        return prod(self.shape) * self.dtype.itemsize


class ArrayRows(Rows):
    """Rows of an array, such as a memory map."""

    def __init__(self, array: HostArray, name: str) -> None:
        if array.ndim == 0 or not len(array) or array.dtype.kind not in "biuf":
            raise DataError(
                f"{name} has shape {array.shape} and dtype {array.dtype}: expected numbers, one row per sample"
            )
        self.array, self.name = array, name
        self.count, self.shape, self.dtype = len(array), array.shape[1:], array.dtype

    def read(self, first: int, out: HostArray) -> None:  # noqa: D102
        out[...] = self.array[first : first + len(out)]

    def identity(self) -> str:  # noqa: D102
        ends = np.ascontiguousarray(self.array[:: max(1, self.count - 1)])
        return f"{super().identity()} {ends.tobytes().hex()[:4096]}"


class SlicedRows(Rows):
    """A run of the rows of another table.

    Arguments:
        rows: the table.
        first: index of the first row of the run.
        count: number of rows.
    """

    def __init__(self, rows: Rows, first: int, count: int) -> None:
        self._rows, self._first, self.count = rows, first, count
        self.name, self.shape, self.dtype, self.columns = rows.name, rows.shape, rows.dtype, rows.columns
        if rows.pieces is not None:
            ends = np.clip(np.cumsum(rows.pieces) - first, 0, count)
            own = np.diff(ends, prepend=0)
            self.pieces = own[own > 0]

    def read(self, first: int, out: HostArray) -> None:  # noqa: D102
        self._rows.read(self._first + first, out)

    def read_places(self, places: Places, out: HostArray) -> None:  # noqa: D102
        self._rows.read_places([(self._first + first, place, count) for first, place, count in places], out)

    def release(self) -> None:  # noqa: D102
        self._rows.release()

    def place(self, row: int) -> tuple[str, int]:  # noqa: D102
        return self._rows.place(self._first + row)

    def identity(self) -> str:  # noqa: D102
        return f"rows {self._first} and {self.count} more of {self._rows.identity()}"


class JoinedRows(Rows):
    """Rows of several sources, one after the other."""

    def __init__(self, shards: Sequence[Rows], name: str) -> None:
        first = shards[0]
        for shard in shards[1:]:
            if shard.columns != first.columns:
                raise DataError(_columns_differ(first, shard))
            if (shard.shape, shard.dtype) != (first.shape, first.dtype):
                raise DataError(
                    f"{shard.name} has rows of shape {shard.shape} and dtype {shard.dtype}, {first.name} of "
                    f"{first.shape} and {first.dtype}: expected shards of the same shape and dtype; rewrite one of them"
                )
        self.shards, self.name = tuple(shards), name
        self.shape, self.dtype, self.columns = first.shape, first.dtype, first.columns
        self._ends = np.cumsum([shard.count for shard in shards]).tolist()
        self.count = self._ends[-1]
        if any(shard.pieces is not None for shard in shards):
            own = [[shard.count] if shard.pieces is None else shard.pieces for shard in shards]
            self.pieces = np.concatenate(own).astype(np.int64)

    def _shard(self, row: int) -> tuple[Rows, int]:
        number = bisect_right(self._ends, row)
        return self.shards[number], row - (self._ends[number - 1] if number else 0)

    def read(self, first: int, out: HostArray) -> None:  # noqa: D102
        self.read_places([(first, 0, len(out))], out)

    def read_places(self, places: Places, out: HostArray) -> None:  # noqa: D102
        of_shards: dict[Rows, list[tuple[int, int, int]]] = {}
        for first, start, rows in places:
            place = start
            for shard, row, count in self._split(first, rows):
                of_shards.setdefault(shard, []).append((row, place, count))
                place += count
        for shard, own in of_shards.items():
            shard.read_places(own, out)

    def _split(self, first: int, count: int) -> Iterator[tuple[Rows, int, int]]:
        """Yield (shard, first row in it, number of rows) for each part of a run of rows."""
        while count > 0:
            shard, row = self._shard(first)
            here = min(count, shard.count - row)
            yield shard, row, here
            first, count = first + here, count - here

    def release(self) -> None:  # noqa: D102
        for shard in self.shards:
            shard.release()

    def place(self, row: int) -> tuple[str, int]:  # noqa: D102
        shard, number = self._shard(row)
        return shard.place(number)

    def identity(self) -> str:  # noqa: D102
        return "; ".join(shard.identity() for shard in self.shards)


def _columns_differ(one: Rows, other: Rows) -> str:
    """Return the error message for shards with different columns."""
    missing = [name for name in one.columns if name not in other.columns]
    more = [name for name in other.columns if name not in one.columns]
    what = f"lacks the column {missing[0]!r}" if missing else "has its columns in another order"
    if not missing and more:
        what = f"has an additional column {more[0]!r}"
    return (
        f"{other.name} {what}, unlike {one.name}: expected shards with the same columns; select them with columns=[...]"
    )
