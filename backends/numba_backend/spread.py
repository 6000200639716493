"""An array of a batch as it is spread over the memory of the workers."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from dnnkit.backends.aligned import address
from dnnkit.backends.state import HostArray
from dnnkit.deferred import dataclass


@dataclass(frozen=True)
class Spread:
    """What each worker has of an array of the batch."""

    shape: tuple[int, ...]
    """Of all of it."""
    parts: Sequence[HostArray]
    indices: Sequence[Any]
    """Of each part in the whole."""
    axis: int | None
    """Along which they are put together; None where each worker has all."""

    whole: HostArray | None
    """All of it as it is seen, where one worker has that."""
    seen: tuple[int, ...]
    """Its shape as it is seen."""

    def gathered(self) -> HostArray:
        """All of it."""
        if self.whole is not None:
            return self.whole
        assert self.axis is not None
        return np.concatenate(self.parts, self.axis).reshape(self.seen)

    def scatter(self, batch: Any) -> None:
        """Write to each worker its part."""
        if batch.shape != self.shape:
            batch = batch.reshape(self.shape)
        for part, index in zip(self.parts, self.indices, strict=True):
            part[...] = batch[index]


def array_at(home: HostArray, place: int, shape: tuple[int, ...]) -> HostArray:
    """The array of that shape at an address within another, which it keeps alive."""
    return np.ndarray(shape, home.dtype, home, place - address(home))


def spread(
    home: HostArray, places: Sequence[int], rows: Sequence[slice] | None, columns: Sequence[slice] | None,
    shape: tuple[int, ...], seen: tuple[int, ...] | None = None,
) -> Spread:  # fmt: skip
    """What lies at each worker's place in the home: its own rows, or columns, of the whole (rows, columns), or all.

    `seen` is the shape of a row as it is seen, if another.
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
