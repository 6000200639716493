"""Rows of a `.npy` file, read in blocks, which is faster than page faults of a memory map."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from dnnkit.backends.state import HostArray
from dnnkit.errors import ConfigurationError, DataError
from dnnkit.streams.formats import Columns
from dnnkit.streams.rows import Places, Rows


class NpyRows(Rows):
    """Rows of the array in a `.npy` file."""

    def __init__(self, path: Path, columns: Columns) -> None:
        if columns.only:
            raise ConfigurationError(
                f"{path} is one array without names, but the columns {', '.join(columns.only)} are asked for: give "
                "targets as a file of their own, such as y.npy"
            )
        self.name = str(path)
        try:
            array = np.load(path, mmap_mode="r", allow_pickle=False)
        except (ValueError, OSError, EOFError, SyntaxError) as error:
            raise DataError(f"{path} is no array that can be read: {_why(path, error)}") from error
        if not isinstance(array, np.memmap) or array.ndim == 0 or array.dtype.kind not in "biuf":
            what = f"of shape {array.shape} and dtype {array.dtype}" if isinstance(array, np.ndarray) else "an archive"
            raise DataError(f"{path} is {what}: expected one array of numbers, with one row per sample")
        self._array, self._start = array, array.offset
        self.count, self.shape, self.dtype = len(array), array.shape[1:], array.dtype
        self._path = path
        self._reads = array.flags.c_contiguous and hasattr(os, "preadv")

    def expect(self, spans: Sequence[tuple[int, int]]) -> None:  # noqa: D102
        if self._reads and hasattr(os, "posix_fadvise"):
            with self._opened() as file:
                for first, count in spans:
                    start = self._start + first * self.row_bytes
                    os.posix_fadvise(file, start, count * self.row_bytes, os.POSIX_FADV_WILLNEED)

    def read(self, first: int, out: HostArray) -> None:  # noqa: D102
        self.read_places([(first, out)])

    def read_places(self, places: Places) -> None:  # noqa: D102
        with self._opened() as file:
            rows = (os.fstat(file).st_size - self._start) // max(1, self.row_bytes)
            for first, out in places:
                if first + len(out) > rows:
                    raise DataError(_ends_early(self.name, rows, self.count))
                if self._reads and out.dtype == self.dtype and out.flags.c_contiguous:
                    self._read_bytes(file, first, out)
                else:
                    out[...] = self._array[first : first + len(out)]

    @contextmanager
    def _opened(self) -> Iterator[int]:
        """The file's descriptor; it is closed between chunks, for of thousands of shards not all can be open."""
        try:
            file = os.open(self._path, os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0))
            try:
                yield file
            finally:
                os.close(file)
        except OSError as error:
            raise DataError(f"{self.name} cannot be read any more: {error.strerror}. It was there at first") from error

    def _read_bytes(self, file: int, first: int, out: HostArray) -> None:
        start, place = self._start + first * self.row_bytes, memoryview(out.reshape(-1).view(np.uint8).data)
        while len(place):
            found = os.preadv(file, [place], start)
            if not found:
                raise DataError(_ends_early(self.name, (start - self._start) // max(1, self.row_bytes), self.count))
            start, place = start + found, place[found:]

    def identity(self) -> str:  # noqa: D102
        ends = np.ascontiguousarray(self._array[:: max(1, self.count - 1)])
        return f"{super().identity()} {ends.tobytes().hex()[:4096]}"


def _ends_early(name: str, rows: int, count: int) -> str:
    return (
        f"{name} ends early, in row {rows}: expected {count} rows, as its header says. It was cut, or is being written "
        "still: copy it again"
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
        return "it does not begin as a .npy file does" if isinstance(error, ValueError) else str(error)
    row = int(np.prod(shape[1:], dtype=np.int64)) * dtype.itemsize
    if shape and row and start + shape[0] * row > size:
        return _ends_early(path.name, (size - start) // row, shape[0])
    return str(error)
