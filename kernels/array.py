"""Types of kernel arguments: arrays of any array-API library, and their namespace."""

import sys
from typing import Any, TypeAlias

Array: TypeAlias = Any
"""An array of the library `xp`; the array-API standard defines no common base class."""

Namespace: TypeAlias = Any
"""An array-API namespace: `numpy`, `cupy`, `jax.numpy`, `array_api_strict`, ..."""


def namespace(x: Array) -> Namespace:
    """Return an array's namespace: `__array_namespace__`, or the package of its class for CuPy, which lacks it."""
    tell = getattr(x, "__array_namespace__", None)
    return tell() if tell is not None else sys.modules[type(x).__module__.partition(".")[0]]
