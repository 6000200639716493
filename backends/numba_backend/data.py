"""Datasets in the form that compiled code reads: arrays of few types, and which of their columns are nonzero."""

from dataclasses import replace
from functools import cached_property

import numpy as np

from dnnkit.backends.aligned import address
from dnnkit.backends.numba_backend.finite import surely_finite
from dnnkit.backends.numba_backend.partition import share
from dnnkit.backends.numba_backend.threads import in_threads
from dnnkit.backends.processors import usable
from dnnkit.backends.stages import Rescale
from dnnkit.backends.stagewise.finite import require_finite
from dnnkit.backends.stagewise.flat import Data
from dnnkit.backends.state import HostArray
from dnnkit.deferred import dataclass
from dnnkit.kernels._numba.entry_points import mark_entry_points
from dnnkit.kernels.compressed_rows import CompressedRows
from dnnkit.kernels.nonzero_columns import WORD, words

SAMPLE = 256
"""Rows sampled across the data to estimate how many zeros there are."""

MOSTLY = 0.75
"""Fraction of nonzero numbers above which marking them does not pay."""

WORTH_MARKING = 64
"""Outputs of the first layer above which marking pays for predictions, too, which use each row once."""

WORTH_THREADS = 1 << 24
"""Bytes above which several threads mark: starting them takes as long as marking a few MB."""


@dataclass(frozen=True)
class BatchSource:
    """Data as opcodes read them; absent arrays are None."""

    x: HostArray | CompressedRows
    """(N, F), uint8 or in the network's dtype."""
    scale: float
    offset: float
    targets: HostArray | None
    """Labels (N,), int64, or targets (N, outputs)."""
    weights: HostArray | None
    bits: HostArray | None

    @cached_property
    def addresses(self) -> tuple[int, ...]:
        """Addresses of x, targets, weights and bits."""
        x = self.x.values if isinstance(self.x, CompressedRows) else self.x
        return tuple(address(array) for array in (x, self.targets, self.weights, self.bits))

    @cached_property
    def entries(self) -> tuple[int, int] | None:
        """Addresses of the starts and columns of compressed rows; None for other data."""
        x = self.x
        return (address(x.starts), address(x.columns)) if isinstance(x, CompressedRows) else None


def batch_source(data: Data, rescale: Rescale, dtype: str) -> BatchSource:
    """Return the data as contiguous arrays of types that opcodes support."""
    targets, weights = (None if array is None else np.ascontiguousarray(array) for array in (data.y, data.weights))
    x = data.x if isinstance(data.x, CompressedRows) else np.ascontiguousarray(data.x)
    source = BatchSource(x, float(rescale.scale), float(rescale.offset), targets, weights, data.bits)
    assert source.x.dtype in (np.uint8, dtype), f"inputs were loaded as {source.x.dtype}"
    assert targets is None or targets.dtype in (np.int64, dtype), f"targets were loaded as {targets.dtype}"
    assert weights is None or weights.dtype == dtype, f"row weights were loaded as {weights.dtype}"
    return source


def is_worth_marking(data: Data, outputs: int) -> bool:
    """Whether knowing the nonzero columns of each row pays, for a first layer with this many outputs.

    See docs/design/0018-zeros.md.
    """
    x = data.x
    if x.shape[1] < WORD or (data.y is None and outputs < WORTH_MARKING):
        return False
    some = x[:: max(1, len(data) // SAMPLE)]
    return bool(np.count_nonzero(some != 0) <= MOSTLY * some.size)  # counting strided numbers is slow


def require_finite_samples(data: Data, num_threads: int | None) -> None:
    """Raise `DataError` if a number of the samples is not finite; several threads look through many."""
    x, threads = data.x, usable(num_threads)
    require_finite("x", x, str(x.dtype), lambda array, dtype: surely_finite(array, dtype, threads))


def marked(data: Data, num_threads: int | None) -> Data:
    """Return the data with the nonzero columns of each row; raise `DataError` if a number is not finite."""
    x, rows = plain(data.x), len(data)
    bits = np.zeros((rows, words(x.shape[1])), np.int64)
    threads = 1 if x.nbytes < WORTH_THREADS else usable(num_threads)
    finite, mark = np.zeros(threads, np.bool_), mark_entry_points(x.dtype.name)
    mark.address("mark")  # compiled in this thread, which handles signals

    def mark_part(number: int) -> None:
        part = share(rows, threads, number)
        places = (address(array[part]) for array in (x, bits))
        mark.call("mark", *places, address(finite[number:]), len(x[part]), x.shape[1], bits.shape[1])

    if threads > 1:
        in_threads(mark_part, threads, lambda: None)
    else:
        mark_part(0)
    if not finite.all():
        require_finite("x", data.x, str(data.x.dtype))
    return replace(data, bits=bits)


def plain(array: HostArray) -> HostArray:
    """Return a contiguous array, typed as writable: a second array type would compile everything again.

    Compiled code only reads data, so read-only memory is not written to.
    """
    array = np.ascontiguousarray(array)
    return array if array.flags.writeable else np.asarray(_Writable(array))


class _Writable:
    """The memory of a read-only array without the flag; keeps the array alive."""

    def __init__(self, array: HostArray) -> None:
        address, _ = array.__array_interface__["data"]
        self.__array_interface__ = {**array.__array_interface__, "data": (address, False)}
        self._array = array
