"""Data that are loaded once for all networks that use them."""

from collections.abc import Hashable
from typing import Any

import numpy as np

from dnnkit.backends.executable import Executable


class SharedData:
    """Cache of loaded data; a `Load` function for `FitArguments`."""

    def __init__(self) -> None:
        self._loaded: dict[Hashable, list[tuple[tuple[Any, ...], Any]]] = {}

    def __call__(self, executable: Executable, x: Any, y: Any, weights: Any) -> Any:
        """Return data loaded for the executable, reusing what another one has loaded from equal arrays."""
        loading = executable.loading
        if loading is None:
            return executable.load(x, y, weights)
        given, known = (x, y, weights), self._loaded.setdefault(loading, [])
        for before, data in known:
            if all(map(_is_same, before, given)):
                return data
        data = executable.load(x, y, weights)
        known.append((given, data))
        return data


def _is_same(one: Any, other: Any) -> bool:
    """Return whether two arrays are identical, or on the host and equal."""
    if one is other:
        return True
    if not isinstance(one, np.ndarray) or not isinstance(other, np.ndarray):
        return False
    if one.shape != other.shape or one.dtype != other.dtype:
        return False
    return one.__array_interface__ == other.__array_interface__ or np.array_equal(one, other)
