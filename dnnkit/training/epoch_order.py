"""The samples of an epoch and their order, as a function of only the network's seed and the epoch."""

from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from dnnkit.errors import ConfigurationError
from dnnkit.seeds import stream

Shuffle: TypeAlias = bool | Literal["with_replacement"]


def check_shuffle(shuffle: Shuffle) -> Shuffle:
    """Return the argument if it is a valid kind of shuffling."""
    if isinstance(shuffle, bool | np.bool_) or (isinstance(shuffle, str) and shuffle == "with_replacement"):
        return shuffle
    raise ConfigurationError(f"shuffle is {shuffle!r}: expected True, False or 'with_replacement'")


def epoch_order(shuffle: Shuffle, samples: int, rows: int, seed: int, epoch: int) -> NDArray[np.int64]:
    """Return the samples (rows,) of an epoch in order.

    True: every sample once before any is repeated. "with_replacement": each row is drawn from all samples. False: in
    order, each epoch continuing where the previous one of the same length ended.
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
