"""Arrays of .npy and .npz files: numbers, text and dates, never Python's objects, which NumPy would unpickle."""

import os
from math import prod
from pathlib import Path
from typing import IO, Any
from zipfile import ZipFile

import numpy as np
from numpy.typing import NDArray

from dnnkit.errors import DataError
from dnnkit.files import open_regular, too_large

HEADERS: Any = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
"""By the format's version; the third one is for names of fields."""

MOST_ARRAYS = 10_000


def read_arrays(file: Path, most: int, kinds: str = "biufUMm") -> dict[str, NDArray[Any]]:
    """The arrays of a file by name, of which all may have so many bytes; a .npy file's is called "".

    NumPy knows one from the other by its content. Raises `DataError`, and what NumPy and zipfile raise of files that
    are damaged.
    """
    with open_regular(file, most) as opened:  # NumPy does not close what it cannot read
        size = os.fstat(opened.fileno()).st_size
        if opened.read(2) != b"PK":
            opened.seek(0)
            return {"": _array(opened, size, file, kinds)}
        with ZipFile(opened) as zipped:
            members = zipped.infolist()
            if len(members) > MOST_ARRAYS:
                raise DataError(f"{file} holds {len(members):,} arrays: expected {MOST_ARRAYS:,} at most")
            if (promised := sum(member.file_size for member in members)) > most:
                raise DataError(f"{file} is not read: {too_large(promised, most)}")
            arrays = {}
            for member in members:
                with zipped.open(member) as stream:
                    name = member.filename.removesuffix(".npy")
                    if name in arrays:
                        raise DataError(f"{file} holds two arrays called {name[:40]!r}: expected one of each name")
                    arrays[name] = _array(stream, member.file_size, file, kinds)
            return arrays


def _array(stream: IO[bytes], size: int, file: Path, kinds: str) -> NDArray[Any]:
    """An array from a file of so many bytes: a header may promise any number of them."""
    try:
        shape, by_columns, dtype = HEADERS[np.lib.format.read_magic(stream)](stream)
    except Exception as error:  # NumPy has Python read the header, which fails in many ways
        raise DataError(f"{file} does not hold plain numbers: its header cannot be read: {str(error)[:200]}") from None
    promised = prod(shape) * dtype.itemsize
    if dtype.kind not in kinds or promised > size:
        raise DataError(f"{file} announces {shape} of dtype {dtype}: expected numbers, and not more than it has bytes")
    values = np.frombuffer(stream.read(promised), dtype)
    return values.reshape(shape, order="F" if by_columns else "C")
