"""An array of a batch that is distributed over the memory of the workers."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from dnnkit.backends.aligned import address
from dnnkit.backends.state import HostArray
from dnnkit.deferred import dataclass


@dataclass(frozen=True)
class Spread:
    """The part of a batch's array that each worker has."""

    shape: tuple[int, ...]
    """Shape of the whole array."""
    parts: Sequence[HostArray]
    indices: Sequence[Any]
    """Index of each part in the whole."""
    axis: int | None
    """Axis along which parts are concatenated; None if each worker has the whole."""

    whole: HostArray | None
    """The whole array in its visible shape, if one worker has it."""
    seen: tuple[int, ...]
    """Shape visible to user-defined parts."""

    def gathered(self) -> HostArray:
        """Return the whole array."""
        if self.whole is not None:
            return self.whole
        assert self.axis is not None
        whole = np.concatenate(self.parts, self.axis)
        return whole if self.seen == self.shape else whole.reshape(self.seen)

    def scatter(self, batch: Any) -> None:
        """Write each worker's part."""
        if batch.shape != self.shape:
            batch = batch.reshape(self.shape)
        for part, index in zip(self.parts, self.indices, strict=True):
            part[...] = batch[index]


def array_at(home: HostArray, place: int, shape: tuple[int, ...]) -> HostArray:
    """Return the array of this shape at an address within another, which it keeps alive."""
    return np.ndarray(shape, home.dtype, home, place - address(home))


def spread(
    home: HostArray, places: Sequence[int], rows: Sequence[slice] | None, columns: Sequence[slice] | None,
    shape: tuple[int, ...], seen: tuple[int, ...] | None = None,
) -> Spread:  # fmt: skip
    """Return the Spread of arrays at each worker's place in `home`: its rows, or columns, of the whole, or all of it.

    `seen` is the visible shape of a row, if it differs.
    """
    if rows is not None:
        shapes = [(one.stop - one.start, *shape[1:]) for one in rows]
        indices: Sequence[Any] = rows
    elif columns is not None:
        shapes = [(shape[0], one.stop - one.start) for one in columns]
        indices = [(slice(None), one) for one in columns]
    else:
        shapes, indices = [shape] * len(places), [...] * len(places)
    parts = [array_at(home, place, its_shape) for place, its_shape in zip(places, shapes, strict=True)]
    axis = 0 if rows is not None else 1 if columns is not None else None
    seen = shape if seen is None else (shape[0], *seen)
    return Spread(shape, parts, indices, axis, parts[0].reshape(seen) if axis is None else None, seen)
