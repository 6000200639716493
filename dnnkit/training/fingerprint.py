"""Fingerprints of data: a hash of shapes and numbers, to detect changes."""

import hashlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

THOROUGH = 256 << 20
"""Bytes of an array to hash for a checkpoint, which takes 0.2 s."""

BLOCKS = 32
"""Minimum number of blocks that these bytes are taken from."""


def fingerprint(to_numpy: Callable[[Any], Any], looked_at: int, *arrays: Any) -> str:
    """Return 16 hexadecimal digits for arrays of the host or a backend; None means an absent array.

    Of arrays larger than `looked_at` bytes, blocks of rows are hashed that are evenly spread over the array.
    """
    found = hashlib.sha256()
    for array in arrays:
        if array is None:
            found.update(b"absent")
            continue
        found.update(f"{array.dtype}{tuple(array.shape)}".encode())
        for rows in _blocks(array, looked_at):
            found.update(np.ascontiguousarray(to_numpy(array[rows])).view(np.uint8).reshape(-1).data)
    return found.hexdigest()[:16]


def _blocks(array: Any, looked_at: int) -> Iterator[slice]:
    count, row = int(array.shape[0]), max(1, int(np.prod(array.shape[1:])) * array.dtype.itemsize)
    rows = max(1, min(looked_at // BLOCKS, 1 << 20) // row)
    blocks = -(-count // rows)
    most = max(2, looked_at // (rows * row))
    for block in range(blocks) if blocks <= most else np.linspace(0, blocks - 1, most).astype(int).tolist():
        yield slice(block * rows, (block + 1) * rows)
