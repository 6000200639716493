"""Reading and writing safetensors files. Reading takes no more memory than the size of the file."""

import json
from collections.abc import Mapping
from math import prod
from typing import Any

import numpy as np

from dnnkit.backends.state import HostArray
from dnnkit.errors import CheckpointError
from dnnkit.saves.schema import COUNT, by_name, list_of, one_of, parsed, record, taken, text

DTYPES = {
    **{f"F{bits}": np.dtype(f"<f{bits // 8}") for bits in (16, 32, 64)},
    **{f"{kind}{bits}": np.dtype(f"<{kind.lower()}{bits // 8}") for kind in "IU" for bits in (8, 16, 32, 64)},
    "BOOL": np.dtype(bool),
}
"""Supported dtypes: those that NumPy has too."""

_ARRAY = record(
    {"dtype": one_of(*DTYPES), "shape": list_of(COUNT, 32), "data_offsets": list_of(COUNT, 2)},
)
_HEADER = by_name(_ARRAY, text(words="a name", most=1000))


ORDER = ("BOOL", "U8", "I8", "I16", "U16", "F16", "I32", "U32", "F32", "F64", "I64", "U64")
"""Dtypes in the order of the safetensors package; arrays of the last come first in a file."""


def to_safetensors(arrays: Mapping[str, HostArray]) -> bytes:
    """Return the contents of a safetensors file, byte for byte as the package safetensors writes it."""
    names = {dtype: name for name, dtype in DTYPES.items()}
    little = {name: np.ascontiguousarray(array, array.dtype.newbyteorder("<")) for name, array in arrays.items()}
    kinds = {name: names[array.dtype] for name, array in little.items()}
    placed = sorted(little, key=lambda name: (-ORDER.index(kinds[name]), name))
    header, end = {}, 0
    for name in placed:
        first, end = end, end + little[name].nbytes
        header[name] = {"dtype": kinds[name], "shape": list(arrays[name].shape), "data_offsets": [first, end]}
    words = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    words += b" " * (-len(words) % 8)
    return b"".join([len(words).to_bytes(8, "little"), words, *(little[name].tobytes() for name in placed)])


def from_safetensors(data: bytes, what: str) -> dict[str, HostArray]:
    """Return the arrays of a safetensors file as read-only views; errors refer to the file as `what`.

    The arrays must be contiguous, in the order of their offsets, without overlaps or unused bytes.
    """
    size = int.from_bytes(data[:8], "little")
    if len(data) < 8 or size > len(data) - 8:
        raise CheckpointError(f"{what} is not a safetensors file: its header would have {size:,} bytes")
    header = parsed({"the header": data[8 : 8 + size]}, "the header", what)
    described: dict[str, Any] = header if isinstance(header, dict) else {"": header}
    described.pop("__metadata__", None)
    arrays, end = {}, 0
    for name, array in sorted(taken(described, _HEADER, f"{what}: the header").items(), key=_offsets):
        dtype, shape, (first, last) = DTYPES[array["dtype"]], array["shape"], _offsets((name, array))
        if first != end or last - first != prod(shape) * dtype.itemsize:
            raise CheckpointError(f"{what} is not a safetensors file: {name!r} has the bytes from {first} to {last}")
        try:
            arrays[name] = _view(data, dtype, shape, 8 + size + first)
        except ValueError as error:  # NumPy refuses some empty shapes
            raise CheckpointError(f"{what} is not a safetensors file: {name!r} has shape {shape}: {error}") from error
        end = last
    if end != len(data) - 8 - size:
        raise CheckpointError(f"{what} is not a safetensors file: {len(data) - 8 - size:,} bytes for arrays of {end:,}")
    return {name: arrays[name] for name in described}


def _offsets(item: tuple[str, Any]) -> tuple[int, int]:
    first, last = (*item[1]["data_offsets"], -1, -1)[:2]
    return first, last


def _view(data: bytes, dtype: np.dtype[Any], shape: list[int], offset: int) -> HostArray:
    if not prod(shape):
        return np.zeros(shape, dtype)
    return np.frombuffer(data, dtype, prod(shape), offset).reshape(shape)
