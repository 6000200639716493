"""Data as compiled code takes them: arrays of as few types as possible, and which of their columns are not zero."""

from dataclasses import replace
from functools import cached_property

import numpy as np

from dnnkit.backends.aligned import address
from dnnkit.backends.numba_backend.partition import share
from dnnkit.backends.numba_backend.threads import in_threads
from dnnkit.backends.processors import usable
from dnnkit.backends.stages import Rescale
from dnnkit.backends.stagewise.finite import require_finite
from dnnkit.backends.stagewise.flat import Data
from dnnkit.backends.state import HostArray
from dnnkit.deferred import dataclass
from dnnkit.errors import DataError
from dnnkit.kernels._numba.entry_points import mark_entry_points
from dnnkit.kernels.nonzero_columns import WORD, words

SAMPLE = 256
"""Rows, spread over the data, that tell how many zeros there are."""

MOSTLY = 0.75
"""Share of numbers that are not zero above which it is not worth knowing which are."""

WORTH_MARKING = 64
"""Outputs of the first layer from which predictions, which use each row once, are worth it, too."""

WORTH_THREADS = 1 << 24
"""Bytes from which several threads look for zeros: to start them takes as long as to look through a few MB."""


@dataclass(frozen=True)
class BatchSource:
    """Data as opcodes read them; what is absent is None."""

    x: HostArray
    """(N, F), bytes or numbers of the network's dtype."""
    scale: float
    offset: float
    targets: HostArray | None
    """Labels (N,), int64, or targets (N, outputs)."""
    weights: HostArray | None
    bits: HostArray | None

    @cached_property
    def addresses(self) -> tuple[int, ...]:
        """Of x, targets, weights and bits."""
        return tuple(address(array) for array in (self.x, self.targets, self.weights, self.bits))


def batch_source(data: Data, rescale: Rescale, dtype: str) -> BatchSource:
    """The data, contiguous; of types that opcodes know."""
    targets, weights = (None if array is None else np.ascontiguousarray(array) for array in (data.y, data.weights))
    source = BatchSource(
        np.ascontiguousarray(data.x), float(rescale.scale), float(rescale.offset), targets, weights, data.bits
    )
    assert source.x.dtype in (np.uint8, dtype), f"inputs were loaded as {source.x.dtype}"
    assert targets is None or targets.dtype in (np.int64, dtype), f"targets were loaded as {targets.dtype}"
    assert weights is None or weights.dtype == dtype, f"row weights were loaded as {weights.dtype}"
    return source


def is_worth_marking(data: Data, outputs: int) -> bool:
    """Whether to know which columns each row uses gains something, where the first layer has so many outputs.

    See docs/design/0018-zeros.md.
    """
    x = data.x
    if x.shape[1] < WORD or (data.y is None and outputs < WORTH_MARKING):
        return False
    some = x[:: max(1, len(data) // SAMPLE)]
    return bool(np.count_nonzero(some) <= MOSTLY * some.size)


def require_finite_samples(data: Data, num_threads: int | None) -> None:
    """Raise `DataError` if a number of the samples is not finite; several threads look through many."""
    x, rows = data.x, len(data)
    threads = 1 if x.nbytes < WORTH_THREADS or x.dtype.kind != "f" else usable(num_threads)
    if threads > 1:
        try:
            in_threads(lambda n: require_finite("x", x[share(rows, threads, n)], x.dtype.name), threads, lambda: None)
        except DataError:
            pass  # which of all rows is the first is said below
        else:
            return
    require_finite("x", x, str(x.dtype))


def marked(data: Data, num_threads: int | None) -> Data:
    """The data, and which columns each row uses; `DataError` if a number is not finite."""
    x, rows = plain(data.x), len(data)
    bits = np.zeros((rows, words(x.shape[1])), np.int64)
    threads = 1 if x.nbytes < WORTH_THREADS else usable(num_threads)
    finite, mark = np.zeros(threads, np.bool_), mark_entry_points(x.dtype.name)
    mark.address("mark")  # compiled by this thread, which hears signals

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
    """The array contiguous, and typed as one that may be written: a second type would compile everything again.

    Data are only read, so memory that must not be written is not.
    """
    array = np.ascontiguousarray(array)
    return array if array.flags.writeable else np.asarray(_Writable(array))


class _Writable:
    """The memory of a read-only array, under another flag; keeps the array alive."""

    def __init__(self, array: HostArray) -> None:
        address, _ = array.__array_interface__["data"]
        self.__array_interface__ = {**array.__array_interface__, "data": (address, False)}
        self._array = array
