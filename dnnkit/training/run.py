"""The parameters of a fit after checking, and its progress."""

from collections.abc import Callable, Iterable
from math import inf
from typing import Any, Protocol

import numpy as np

from dnnkit.backends.executable import Executable
from dnnkit.backends.many import DrawnOrders
from dnnkit.backends.state import HostArray, TrainingState
from dnnkit.deferred import dataclass
from dnnkit.diagnosis.watch import Watch
from dnnkit.seeds import entropy
from dnnkit.settings import whole
from dnnkit.training.epoch_order import Shuffle, epoch_order
from dnnkit.training.history import History
from dnnkit.training.parts import Feed

LARGEST_DRAWN = 1 << 31
"""Samples and epochs below which an order can be drawn from words of 32 bits, in halves of signed 64-bit words."""

SAMPLED = 1 << 18
"""Bytes of each array to hash when deciding whether an epoch continues with the same data."""


class Orders(Protocol):
    """Sample orders that replace the network's; their `repr` identifies them."""

    def order(self, samples: int, epoch: int) -> HostArray:
        """Return the samples in the order of an epoch."""


@dataclass(frozen=True)
class Run:
    """Parameters of a fit, after its arguments were checked and its data loaded by the executable."""

    data: Any
    samples: int
    validation: Any | None
    batch_size: int
    first_epoch: int
    epochs: int
    shuffle: Shuffle
    fingerprints: Callable[[int], tuple[str, str]]
    """Returns fingerprints of data and validation data, from the given number of bytes per array."""
    watch: Watch
    steps_per_epoch: int | None = None
    limit: int | None = None
    """Number of steps after which training ends, possibly within an epoch."""
    validates: "int | frozenset[int]" = 1
    """Validate every n epochs, or after these epochs, counted from 1."""
    validation_rows: int = 256
    """Batch size for validation, unless callbacks monitor its batches."""
    feed: Feed | None = None
    """Source of data outside memory."""
    among: HostArray | None = None
    """Rows of the data that are the samples; None for all."""
    orders: "Orders | None" = None
    """Replaces the sample orders that the network's seed determines."""

    def is_validated(self, epoch: int) -> bool:
        """Whether validation follows that epoch, counted from 0."""
        if self.validation is None:
            return False
        if isinstance(self.validates, int):
            return (epoch + 1) % self.validates == 0
        return epoch + 1 in self.validates

    @property
    def steps(self) -> int:
        """Batches per epoch; the last one of a pass over the samples may be smaller."""
        return self.steps_per_epoch or -(-self.samples // self.batch_size)

    @property
    def rows(self) -> int:
        """Samples per epoch."""
        single_pass = self.steps_per_epoch is None and self.shuffle != "with_replacement"
        return self.samples if single_pass else self.steps * self.batch_size

    @property
    def schedule(self) -> str:
        """Description of how samples become batches; an epoch is continued only with the same one."""
        if self.feed is not None:
            return f"{self.steps} steps per epoch, {self.feed.schedule}"
        return (
            f"{self.steps} steps per epoch, {self.rows} rows of {self.samples} samples, batch_size {self.batch_size}, "
            f"shuffle {self.orders or self.shuffle!r}"
        )

    def order(self, seed: int, epoch: int) -> HostArray:
        """Return the rows of the data that an epoch trains on, in order."""
        if self.orders is not None:
            order = self.orders.order(self.samples, epoch)
        else:
            order = epoch_order(self.shuffle, self.samples, self.rows, seed, epoch)
        return order if self.among is None else self.among[order]

    @property
    def is_permuted(self) -> bool:
        """Whether each epoch is a permutation of all rows of the data, given by the network's seed."""
        is_permutation = self.shuffle is True and self.rows == self.samples < LARGEST_DRAWN
        return is_permutation and self.orders is None and self.among is None

    def orders_to_draw(self, seed: int, first: int, count: int) -> list[HostArray] | DrawnOrders:
        """Return the orders of `count` epochs, for a backend that draws permutations itself."""
        if self.is_permuted and first + count <= LARGEST_DRAWN:
            words = [entropy(seed, "order", epoch) for epoch in range(first, first + count)]
            return DrawnOrders(np.array(words, np.int64), self.rows)
        return [self.order(seed, epoch) for epoch in range(first, first + count)]

    def sample_of_data(self) -> str:
        """Return a cheap fingerprint of some rows."""
        return self.fingerprints(SAMPLED)[0]

    def step_size(self, executable: Executable) -> int:
        """Return rows times parameters of a step, a rough measure of its duration."""
        return self.batch_size * executable.program.size


def check_frequency(given: Any) -> "int | frozenset[int]":
    """Parse `validation_freq`: every n epochs, or after the listed ones."""
    if not isinstance(given, Iterable) or isinstance(given, str):
        return int(whole(1).of("validation_freq", given))
    return frozenset(whole(1).of("an epoch in validation_freq", each) for each in given)


@dataclass
class Standing:
    """Progress of a fit."""

    epoch: int
    """The next epoch or the incomplete one, counted like `initial_epoch`."""
    first_step: int
    """Number of updates of the network before this fit."""
    history: History
    """History of this fit."""
    was_stopped: bool = False
    """Whether a callback stopped training."""

    def steps_left(self, run: Run, state: TrainingState) -> float:
        """Return the number of steps until the limit."""
        return inf if run.limit is None else run.limit - (state.step - self.first_step)

    def end(self, run: Run, state: TrainingState) -> int:
        """Return the number of the last epoch plus 1."""
        if run.limit is None:
            return run.epochs
        return self.epoch + -(-(state.position + int(self.steps_left(run, state))) // run.steps)

    def is_over(self, run: Run, state: TrainingState) -> bool:
        """Whether the fit is finished."""
        if self.was_stopped or run.limit is None:
            return self.was_stopped or self.epoch >= run.epochs
        was_told = not state.position or self.history.epoch[-1:] == [self.epoch]
        return self.steps_left(run, state) <= 0 and was_told
