"""Which samples an epoch shows, in which order: a function of the network's seed and the epoch alone."""

from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from dnnkit.errors import ConfigurationError
from dnnkit.seeds import stream

Shuffle: TypeAlias = bool | Literal["with_replacement"]


def check_shuffle(shuffle: Shuffle) -> Shuffle:
    """The way of shuffling, if there is one of that name."""
    if isinstance(shuffle, bool | np.bool_) or (isinstance(shuffle, str) and shuffle == "with_replacement"):
        return shuffle
    raise ConfigurationError(f"shuffle is {shuffle!r}: expected True, False or 'with_replacement'")


def epoch_order(shuffle: Shuffle, samples: int, rows: int, seed: int, epoch: int) -> NDArray[np.int64]:
    """The samples (rows,) that an epoch shows.

    True: every sample once before any is shown again. "with_replacement": each row is drawn from all samples. False:
    one after the other, each epoch going on where as many epochs of that length end.
    """
    if shuffle == "with_replacement":
        return stream(seed, "order", epoch).integers(samples, size=rows)
    if not shuffle:
        once = (np.arange(samples) + epoch * rows % samples) % samples
        return np.tile(once, -(-rows // samples))[:rows]
    generator = stream(seed, "order", epoch)
    order = np.empty(rows, np.int64)
    for start in range(0, rows, samples):
        order[start : start + samples] = generator.permutation(samples)[: rows - start]
    return order
