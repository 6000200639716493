"""Rows of a `.npy` file, read in blocks: faster than the page faults of a memory map."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from dnnkit.backends.mutex import Mutex
from dnnkit.backends.state import HostArray
from dnnkit.errors import ConfigurationError, DataError
from dnnkit.streams.formats import Columns
from dnnkit.streams.rows import Places, Rows

NOWAIT = getattr(os, "RWF_NOWAIT", 0)
"""Flag of a read that fails instead of waiting for the disk; 0 where the system has none."""

PARSING = Mutex()
"""NumPy parses headers with `ast`, which before Python 3.11.8 fails at random if several threads use it (gh-106905)."""


class NpyRows(Rows):
    """Rows of the array in a `.npy` file."""

    def __init__(self, path: Path, columns: Columns) -> None:
        if columns.only:
            raise ConfigurationError(
                f"{path} is an array without column names, but the columns {', '.join(columns.only)} were requested: "
                "give targets as a separate file, such as y.npy"
            )
        self.name = str(path)
        try:
            with PARSING:
                array = np.load(path, mmap_mode="r", allow_pickle=False)
        except (ValueError, OSError, EOFError, SyntaxError) as error:
            raise DataError(f"{path} cannot be read as an array: {_why(path, error)}") from error
        if not isinstance(array, np.memmap) or array.ndim == 0 or array.dtype.kind not in "biuf":
            what = f"of shape {array.shape} and dtype {array.dtype}" if isinstance(array, np.ndarray) else "an archive"
            raise DataError(f"{path} is {what}: expected one array of numbers, with one row per sample")
        self._array, self._start = array, array.offset
        self.count, self.shape, self.dtype = len(array), array.shape[1:], array.dtype
        self._path = path
        self._reads = array.flags.c_contiguous and hasattr(os, "preadv")

    def read(self, first: int, out: HostArray) -> None:  # noqa: D102
        self.read_places([(first, 0, len(out))], out)

    def read_places(self, places: Places, out: HostArray) -> None:  # noqa: D102
        with self._opened() as file:
            rows = (os.fstat(file).st_size - self._start) // max(1, self.row_bytes)
            if any(first + count > rows for first, _, count in places):
                raise DataError(_ends_early(self.name, rows, self.count))
            if self._reads and out.dtype == self.dtype and out.flags.c_contiguous:
                self._read_bytes(file, places, out)
            else:
                for first, place, count in places:
                    out[place : place + count] = self._array[first : first + count]

    @contextmanager
    def _opened(self) -> Iterator[int]:
        """Yield the file's descriptor; it is closed between chunks, because thousands of shards cannot all be open."""
        try:
            file = os.open(self._path, os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0))
            try:
                yield file
            finally:
                os.close(file)
        except OSError as error:
            raise DataError(
                f"{self.name} can no longer be read: {error.strerror}. It existed when it was opened"
            ) from error

    def _read_bytes(self, file: int, places: Places, out: HostArray) -> None:
        """Read what is in the page cache, announce the rest so that the disk can read it in any order, and read it.

        Per block, as little as possible is done here: other threads that read wait for the interpreter meanwhile.
        """
        size, origin, absent = self.row_bytes, self._start, list[tuple[int, int, int]]()
        memory = memoryview(out.reshape(-1).view(np.uint8).data)
        for each in places:
            first, place, count = each
            if not _read_now(file, memory[place * size : (place + count) * size], origin + first * size):
                absent.append(each)
        if hasattr(os, "posix_fadvise"):
            for first, _, count in absent:
                os.posix_fadvise(file, origin + first * size, count * size, os.POSIX_FADV_WILLNEED)
        for first, place, count in absent:
            start, part = origin + first * size, memory[place * size : (place + count) * size]
            while len(part):
                found = os.preadv(file, [part], start)
                if not found:
                    raise DataError(_ends_early(self.name, (start - origin) // max(1, size), self.count))
                start, part = start + found, part[found:]

    def identity(self) -> str:  # noqa: D102
        ends = np.empty((min(2, self.count), *self.shape), self.dtype)
        try:  # not from the map: using a page behind the end of a truncated file ends the process
            for place in range(len(ends)):
                self.read(place * (self.count - 1), ends[place : place + 1])
        except DataError:
            return f"{super().identity()}, damaged"
        return f"{super().identity()} {ends.tobytes().hex()[:4096]}"


def _read_now(file: int, memory: memoryview, start: int) -> bool:
    """Fill `memory` from the page cache; return False if something is not there, or the system cannot say."""
    if not NOWAIT:
        return False
    try:
        return os.preadv(file, (memory,), start, NOWAIT) == len(memory)
    except OSError:
        return False


def _ends_early(name: str, rows: int, count: int) -> str:
    return (
        f"{name} ends early, in row {rows}: expected {count} rows, as its header says. It was truncated, or is still "
        "being written: copy it again"
    )


def _why(path: Path, error: Exception) -> str:
    """Describe what is wrong with the file."""
    try:
        with path.open("rb") as file:
            version = np.lib.format.read_magic(file)
            read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
            shape, _, dtype = read(file)
            start, size = file.tell(), path.stat().st_size
    except (ValueError, OSError, EOFError, SyntaxError):
        return "it does not start like a .npy file" if isinstance(error, ValueError) else str(error)
    row = int(np.prod(shape[1:], dtype=np.int64)) * dtype.itemsize
    if shape and row and start + shape[0] * row > size:
        return _ends_early(path.name, (size - start) // row, shape[0])
    return str(error)
