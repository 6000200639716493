"""The types that kernels speak: arrays of any array-API library, and the namespace that makes them."""

from typing import Any, TypeAlias

Array: TypeAlias = Any
"""An array of the library `xp`; the array-API standard has no common base class to name."""

Namespace: TypeAlias = Any
"""An array-API namespace: `numpy`, `cupy`, `jax.numpy`, `array_api_strict`, ..."""
