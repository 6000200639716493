"""Data that are loaded once for all networks that use them."""

from collections.abc import Hashable
from math import prod
from typing import Any

import numpy as np

from dnnkit.backends.diagnosis import in_words
from dnnkit.backends.executable import Executable
from dnnkit.backends.state import HostArray
from dnnkit.errors import ConfigurationError
from dnnkit.kernels.compressed_rows import CompressedRows
from dnnkit.network.whole import WholeNetwork
from dnnkit.training.arguments import FitArguments

LARGEST_DENSE = 48 << 20
"""Maximum size in bytes of a sparse matrix that is made dense; the size up to which `fit` does so, too."""


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


class SharedSamples:
    """Samples of several fits in the form that each network takes: compressed rows, or, made once, dense ones."""

    def __init__(self) -> None:
        self._made: list[tuple[CompressedRows, HostArray]] = []

    def take(self, asked: FitArguments, net: WholeNetwork) -> None:
        """Replace `CompressedRows` in the arguments by dense arrays unless the network multiplies them.

        Builds the network if necessary.

        Raises:
            ConfigurationError: the dense array would be too large.
        """
        asked.x = self._taken("x", asked.x, net, asked.batch_size or 32)
        if isinstance(asked.validation_data, tuple | list):
            x, *others = asked.validation_data
            asked.validation_data = (self._taken("the x of validation_data", x, net, None), *others)

    def _taken(self, name: str, given: Any, net: WholeNetwork, rows: int | None) -> Any:
        if not isinstance(given, CompressedRows) or net.multiplies(given, rows):
            return given
        size, share = given.dtype.itemsize * given.shape[0] * given.shape[1], given.nnz / prod(given.shape)
        if size > LARGEST_DENSE:
            most = net.executable.most_filled
            reason = (
                f"{share:.3g} of its numbers are stored, and the backend multiplies sparse rows up to {most:g}"
                if most
                else "only a first Dense layer, possibly after a Rescaling without offset, multiplies sparse rows, and "
                "only on the backends numpy and numba"
            )
            raise ConfigurationError(
                f"{name} is a sparse matrix of shape {given.shape}, of which this network needs a dense array of "
                f"{in_words(size)}, more than {in_words(LARGEST_DENSE)}: {reason}. Give the result of toarray() if "
                "there is enough memory, or train the network by its own fit, which makes rows dense in chunks"
            )
        if (dense := next((dense for before, dense in self._made if before is given), None)) is None:
            dense = np.asarray(given)
            self._made.append((given, dense))
        return dense


def _is_same(one: Any, other: Any) -> bool:
    """Return whether two arrays or tables of compressed rows are identical, or on the host and equal."""
    if one is other:
        return True
    if isinstance(one, CompressedRows) and isinstance(other, CompressedRows):
        parts = zip((one.starts, one.columns, one.values), (other.starts, other.columns, other.values), strict=True)
        return one.features == other.features and all(map(_is_same, *zip(*parts, strict=True)))
    if not isinstance(one, np.ndarray) or not isinstance(other, np.ndarray):
        return False
    if one.shape != other.shape or one.dtype != other.dtype:
        return False
    return one.__array_interface__ == other.__array_interface__ or np.array_equal(one, other)
