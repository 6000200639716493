"""The types that kernels speak: arrays of any array-API library, and the namespace that makes them."""

import sys
from typing import Any, TypeAlias

Array: TypeAlias = Any
"""An array of the library `xp`; the array-API standard has no common base class to name."""

Namespace: TypeAlias = Any
"""An array-API namespace: `numpy`, `cupy`, `jax.numpy`, `array_api_strict`, ..."""


def namespace(x: Array) -> Namespace:
    """The namespace of an array: what it says itself, else the package of its class, for CuPy's arrays do not say."""
    tell = getattr(x, "__array_namespace__", None)
    return tell() if tell is not None else sys.modules[type(x).__module__.partition(".")[0]]
