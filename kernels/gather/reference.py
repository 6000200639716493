"""Gather, in plain array code. Contract: the package's docstring."""

from typing import Any

import numpy as np

from dnnkit.kernels.array import Array, Namespace


def gather(data: Array, rows: Array, scale: float, offset: float, dtype: Any, xp: Namespace = np) -> Array:
    """Return the given rows of the data, converted to `dtype`, times `scale`, plus `offset`."""
    return xp.astype(xp.take(data, rows, axis=0), dtype) * scale + offset
