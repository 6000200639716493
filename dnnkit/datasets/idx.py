"""IDX files, gzipped or not: the format of MNIST and related data sets.

An IDX file consists of two zero bytes, a byte for the type (8: unsigned byte), a byte for the number of axes, the size
of each axis as a big-endian 32-bit integer, and the numbers in row-major order.
"""

import gzip
import hashlib
import os
import zlib
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dnnkit.deferred import dataclass
from dnnkit.errors import DataError
from dnnkit.files import largest, open_regular, too_large

UNSIGNED_BYTE = 8
LARGEST = 128 << 20
"""Maximum number of elements in a file, unless DNNKIT_LARGEST_FILE overrides it; MNIST has 47 million. A header may
declare any size, and a megabyte of gzip may decompress to a gigabyte."""


@dataclass(frozen=True)
class IdxFile:
    """A file of a data set: its name without `.gz`, and size and checksum of the published uncompressed bytes.

    The checksum is SHA-256 if those bytes were available, otherwise the published MD5, which protects against damage
    only, because MD5 collisions can be constructed.
    """

    name: str
    axes: int
    bytes: int
    digest: str

    @property
    def algorithm(self) -> str:
        """Name of the checksum's algorithm."""
        return "SHA-256" if len(self.digest) == 64 else "MD5"

    def new_sum(self) -> Any:
        """Return a hash object to update with bytes and compare by `hexdigest`."""
        if self.algorithm == "SHA-256":
            return hashlib.sha256()
        return hashlib.md5(usedforsecurity=False)


def read_idx(folder: Path, file: IdxFile) -> NDArray[np.uint8]:
    """Read and check a file: always its format, and its checksum if it has the published size."""
    path = find_file(folder, file.name)
    if path is None:
        raise DataError(f"{folder / file.name} is missing, with or without .gz")
    try:
        with open_regular(path, largest(LARGEST)) as raw, gzip.GzipFile(fileobj=raw) as unpacked:
            array, header = _parse(unpacked if path.suffix == ".gz" else raw, path, file.axes)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"{path} is damaged: {error}; replace it") from error
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror or error}") from error
    if len(header) + array.nbytes == file.bytes:
        content = file.new_sum()
        content.update(header)
        content.update(array.data)
        if content.hexdigest() != file.digest:
            raise DataError(
                f"{path} is damaged: its {file.bytes} uncompressed bytes do not have the published {file.algorithm} "
                f"sum {file.digest}; replace it"
            )
    return array


def find_file(folder: Path, name: str) -> Path | None:
    """Return the path of the file, plain or gzipped; None if it is missing or not accessible."""
    return next((path for path in (folder / name, folder / f"{name}.gz") if os.path.exists(path)), None)


def magic(axes: int) -> bytes:
    """Return the first four bytes of an IDX file of unsigned bytes with `axes` axes."""
    return bytes([0, 0, UNSIGNED_BYTE, axes])


def _parse(stream: Any, path: Path, axes: int) -> tuple[NDArray[np.uint8], bytes]:
    expected = magic(axes)
    header = stream.read(4 + 4 * axes)
    if len(header) >= 4 and header[:4] != expected:
        raise DataError(
            f"{path} begins with {header[:4].hex()}: an IDX file of bytes with {axes} axes begins with "
            f"{expected.hex()}; replace it"
        )
    if len(header) < 4 + 4 * axes:
        raise DataError(f"{path} is truncated: it ends within its header; replace it")
    shape = tuple(int.from_bytes(header[4 * axis : 4 * axis + 4], "big") for axis in range(1, axes + 1))
    size = prod(shape)
    if size > (most := largest(LARGEST)):
        raise DataError(f"{path} declares {size:,} numbers, {shape}: {too_large(size, most)}, or replace it")
    if size == 0:
        raise DataError(f"{path} declares no numbers, {shape}; replace it")
    body = stream.read(size + 1)  # one more than declared, to detect files that continue or decompress to gigabytes
    if len(body) != size:
        more = "more" if len(body) > size else f"only {len(body)}"
        raise DataError(f"{path} declares {size} numbers, {shape}, but holds {more}; replace it")
    return np.frombuffer(body, np.uint8).reshape(shape), header
