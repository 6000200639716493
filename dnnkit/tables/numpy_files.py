"""Reading .npy and .npz files: numbers, text and dates, but no Python objects, which NumPy would unpickle."""

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
"""Header readers by format version; version 3 is for structured dtypes with non-Latin names."""

MOST_ARRAYS = 10_000


def read_arrays(file: Path, most: int, kinds: str = "biufUMm") -> dict[str, NDArray[Any]]:
    """Read the arrays of a file by name, with at most `most` bytes in all; a .npy file's array is named "".

    The format is recognized by content. Raises `DataError`, and whatever NumPy and zipfile raise for damaged files.
    """
    with open_regular(file, most) as opened:  # NumPy leaves files open that it cannot read
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
                        raise DataError(f"{file} holds two arrays named {name[:40]!r}: expected one of each name")
                    arrays[name] = _array(stream, member.file_size, file, kinds)
            return arrays


def _array(stream: IO[bytes], size: int, file: Path, kinds: str) -> NDArray[Any]:
    """Read an array from a stream of `size` bytes; a header that promises more is an error."""
    try:
        shape, by_columns, dtype = HEADERS[np.lib.format.read_magic(stream)](stream)
    except Exception as error:  # NumPy parses the header as Python, which fails in many ways
        raise DataError(f"{file} does not hold plain numbers: its header cannot be read: {str(error)[:200]}") from None
    promised = prod(shape) * dtype.itemsize
    if dtype.kind not in kinds or promised > size:
        raise DataError(f"{file} announces {shape} of dtype {dtype}: expected numbers, no more than fit its size")
    values = np.frombuffer(stream.read(promised), dtype)
    return values.reshape(shape, order="F" if by_columns else "C")
