"""An array of a batch that is distributed over the memory of the workers, by rows."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from dnnkit.backends.aligned import address
from dnnkit.backends.state import HostArray
from dnnkit.deferred import dataclass


@dataclass(frozen=True)
class Spread:
    """The rows of a batch's array that each worker has."""

    shape: tuple[int, ...]
    """Shape of the whole array."""
    parts: Sequence[HostArray]
    rows: Sequence[slice]
    whole: HostArray | None
    """The whole array, if one worker has it."""

    def gathered(self) -> HostArray:
        """Return the whole array."""
        return np.concatenate(self.parts) if self.whole is None else self.whole

    def scatter(self, batch: Any) -> None:
        """Write each worker's part."""
        if batch.shape != self.shape:
            batch = batch.reshape(self.shape)
        if self.whole is not None:
            self.whole[...] = batch
            return
        for part, rows in zip(self.parts, self.rows, strict=True):
            part[...] = batch[rows]


def array_at(home: HostArray, place: int, shape: tuple[int, ...]) -> HostArray:
    """Return the array of this shape at an address within another, which it keeps alive."""
    return np.ndarray(shape, home.dtype, home, place - address(home))


def spread(home: HostArray, places: Sequence[int], rows: Sequence[slice], shape: tuple[int, ...]) -> Spread:
    """Return the Spread of a whole array of this shape, of whose rows each worker has some at its place in `home`."""
    parts = [array_at(home, at, (one.stop - one.start, *shape[1:])) for at, one in zip(places, rows, strict=True)]
    return Spread(shape, parts, rows, parts[0] if len(parts) == 1 else None)
