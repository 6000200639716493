"""IDX files, gzipped or not: the layout of MNIST and its relatives.

An IDX file is: two zero bytes, one for the type (8 for unsigned bytes), one for the number of axes, each axis's size
as four bytes, the most significant first, then the numbers in row-major order.
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
"""Numbers in a file at most, unless DNNKIT_LARGEST_FILE says otherwise; MNIST has 47 million. What a header announces
may be any size, and a megabyte of gzip unpacks to a gigabyte."""


@dataclass(frozen=True)
class IdxFile:
    """A file of a data set: its name without `.gz`, and size and sum of the published uncompressed bytes.

    The sum is SHA-256 where somebody had those bytes at hand, else the published MD5: that is against damage alone, for
    other bytes with the same MD5 can be made.
    """

    name: str
    axes: int
    bytes: int
    digest: str

    @property
    def algorithm(self) -> str:
        """Of the sum, in words."""
        return "SHA-256" if len(self.digest) == 64 else "MD5"

    def new_sum(self) -> Any:
        """To be updated with bytes, and compared by `hexdigest`."""
        if self.algorithm == "SHA-256":
            return hashlib.sha256()
        return hashlib.md5(usedforsecurity=False)


def read_idx(folder: Path, file: IdxFile) -> NDArray[np.uint8]:
    """The numbers of a file, checked: its layout always, its sum if it has the published size."""
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
    """The file, plain or gzipped, or None where it is not, or where this user may not look."""
    return next((path for path in (folder / name, folder / f"{name}.gz") if os.path.exists(path)), None)


def magic(axes: int) -> bytes:
    """The first four bytes of a file of unsigned bytes with so many axes."""
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
        raise DataError(f"{path} announces {size:,} numbers, {shape}: {too_large(size, most)}, or replace it")
    if size == 0:
        raise DataError(f"{path} announces no numbers, {shape}; replace it")
    body = stream.read(size + 1)  # one more than announced: a file that goes on, or unpacks to gigabytes, is refused
    if len(body) != size:
        more = "more" if len(body) > size else f"only {len(body)}"
        raise DataError(f"{path} announces {size} numbers, {shape}, but holds {more}; replace it")
    return np.frombuffer(body, np.uint8).reshape(shape), header
