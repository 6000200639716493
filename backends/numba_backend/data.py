"""Data as compiled code takes them: arrays of as few types as possible, and which of their columns are not zero."""

from dataclasses import replace
from typing import Any

import numpy as np

from dnnkit.backends.numba_backend.partition import share
from dnnkit.backends.numba_backend.threads import in_threads
from dnnkit.backends.processors import usable
from dnnkit.backends.program import HostArray, Program, Rescale
from dnnkit.backends.stagewise.finite import require_finite
from dnnkit.backends.stagewise.flat import Data
from dnnkit.kernels.nonzero_columns import WORD, words
from dnnkit.kernels.nonzero_columns.cpu import mark

SAMPLE = 256
"""Rows, spread over the data, that tell how many zeros there are."""

MOSTLY = 0.75
"""Share of numbers that are not zero above which it is not worth knowing which are."""

WORTH_MARKING = 64
"""Outputs of the first layer from which predictions, which use each row once, are worth it, too."""

WORTH_THREADS = 1 << 24
"""Bytes from which several threads look for zeros: to start them takes as long as to look through a few MB."""


def arrays(data: Data, program: Program, rescale: Rescale) -> tuple[Any, ...]:
    """(bytes, numbers, scale, offset, labels, values, weights, bits): inputs and targets in one of two forms each.

    Absent arrays are passed as empty ones.
    """
    nothing = np.zeros((0, data.x.shape[1]), np.uint8), np.zeros((0, data.x.shape[1]), program.dtype)
    bytes_, numbers = (data.x, nothing[1]) if data.x.dtype == np.uint8 else (nothing[0], data.x)
    labels, values = np.zeros(0, np.int64), np.zeros((0, program.output_features), program.dtype)
    if data.y is not None:
        has_labels = program.loss is None or program.loss.targets == "labels"
        labels, values = (data.y, values) if has_labels else (labels, data.y)
    weights = np.zeros(0, program.dtype) if data.weights is None else data.weights
    bits = np.zeros((0, words(data.x.shape[1])), np.int64) if data.bits is None else data.bits
    scale, offset = float(rescale.scale), float(rescale.offset)
    return plain(bytes_), plain(numbers), scale, offset, plain(labels), plain(values), plain(weights), bits


def is_worth_marking(data: Data, outputs: int) -> bool:
    """Whether to know which columns each row uses gains something, where the first layer has so many outputs.

    See docs/design/0018-zeros.md.
    """
    x = data.x
    if x.shape[1] < WORD or (data.y is None and outputs < WORTH_MARKING):
        return False
    some = x[:: max(1, len(data) // SAMPLE)]
    return bool(np.count_nonzero(some) <= MOSTLY * some.size)


def marked(data: Data, num_threads: int | None) -> Data:
    """The data, and which columns each row uses; `DataError` if a number is not finite."""
    x, rows = plain(data.x), len(data)
    bits = np.zeros((rows, words(x.shape[1])), np.int64)
    threads = 1 if x.nbytes < WORTH_THREADS else usable(num_threads)
    finite = np.zeros(threads, np.bool_)

    def mark_part(number: int) -> None:
        part = share(rows, threads, number)
        finite[number] = mark(x[part], bits[part])

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
