"""Rows of a `.npy` file, read in blocks, which is faster than page faults of a memory map."""

import os
from pathlib import Path

import numpy as np

from dnnkit.backends.state import HostArray
from dnnkit.errors import ConfigurationError, DataError
from dnnkit.streams.formats import Columns
from dnnkit.streams.rows import Rows


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

    def expect(self, first: int, count: int) -> None:  # noqa: D102
        if self._reads and hasattr(os, "posix_fadvise"):
            start = self._start + first * self.row_bytes
            with open(self._path, "rb", buffering=0) as file:
                os.posix_fadvise(file.fileno(), start, count * self.row_bytes, os.POSIX_FADV_WILLNEED)

    def read(self, first: int, out: HostArray) -> None:  # noqa: D102
        with open(self._path, "rb", buffering=0) as file:  # of thousands of shards not all can be open at once
            size = os.fstat(file.fileno()).st_size
            if self._start + (first + len(out)) * self.row_bytes > size:
                raise DataError(_ends_early(self.name, (size - self._start) // max(1, self.row_bytes), self.count))
            if not self._reads or out.dtype != self.dtype or not out.flags.c_contiguous:
                out[...] = self._array[first : first + len(out)]
                return
            place, done = memoryview(out.reshape(-1).view(np.uint8).data), 0
            while done < len(place):
                found = os.preadv(file.fileno(), [place[done:]], self._start + first * self.row_bytes + done)
                if not found:
                    raise DataError(_ends_early(self.name, first + done // max(1, self.row_bytes), self.count))
                done += found

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
