"""Locating the file and row of an error in the data of a stream."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from dnnkit.backends.state import HostArray
from dnnkit.errors import DataError, ShapeError
from dnnkit.streams.stream import Stream


def located(
    error: DataError | ShapeError,
    stream: Stream,
    spans: Sequence[tuple[int, int]],
    parts: Sequence[HostArray | None],
    use: Callable[[Any, Any, Any], object],
) -> DataError | ShapeError:
    """Return the error with the file and row that causes it, if it is caused by a single row.

    Arguments:
        error: the error that `use` raised for all rows.
        stream: the stream that the rows come from.
        spans: (row of the stream, count), consecutive in the parts.
        parts: samples, targets and weights.
        use: the function that raises, called with fewer rows.
    """

    def what_is_wrong(first: int, last: int) -> DataError | ShapeError | None:
        try:
            use(*(None if part is None else part[first:last] for part in parts))
        except (DataError, ShapeError) as found:
            return found
        return None

    place = 0
    for row, count in spans:
        first, last = place, place + count
        if what_is_wrong(first, last) is not None:
            while last - first > 1:
                middle = (first + last) // 2
                first, last = (first, middle) if what_is_wrong(first, middle) is not None else (middle, last)
            message = str(what_is_wrong(first, last) or error).replace(", first in row 0", "")
            return type(error)(f"{stream.place(row + first - place)}{_column(stream, parts[0], first)}: {message}")
        place += count
    return error


def _column(stream: Stream, x: HostArray | None, row: int) -> str:
    """Describe the first non-finite column of a row, or return an empty string."""
    names = stream.x.columns
    if x is None or not names or x.dtype.kind != "f" or x.ndim != 2 or len(names) != x.shape[1]:
        return ""
    lost = np.flatnonzero(~np.isfinite(x[row]))
    return f", column {names[lost[0]]!r}" if len(lost) else ""
