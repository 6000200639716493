"""What a fit was asked for, and how far it has come."""

from collections.abc import Callable, Iterable
from math import inf, prod
from typing import Any, Protocol

from dnnkit.backends.executable import Executable
from dnnkit.backends.state import HostArray, TrainingState
from dnnkit.deferred import dataclass
from dnnkit.diagnosis.watch import Watch
from dnnkit.settings import whole
from dnnkit.training.epoch_order import Shuffle, epoch_order
from dnnkit.training.history import History
from dnnkit.training.parts import Feed

SAMPLED = 1 << 18
"""Bytes of an array that tell whether an epoch goes on with the data with which it began."""


class Orders(Protocol):
    """Orders that are not a network's own; its `repr` says which they are."""

    def order(self, samples: int, epoch: int) -> HostArray:
        """The samples, in the order of an epoch."""


@dataclass(frozen=True)
class Run:
    """What `fit` was asked for, after its arguments were checked and the data handed to the executable."""

    data: Any
    samples: int
    validation: Any | None
    batch_size: int
    first_epoch: int
    epochs: int
    shuffle: Shuffle
    fingerprints: Callable[[int], tuple[str, str]]
    """Of data and validation data, from so many bytes of each array."""
    watch: Watch
    steps_per_epoch: int | None = None
    limit: int | None = None
    """Steps after which training ends, perhaps within an epoch."""
    validates: "int | frozenset[int]" = 1
    """After every so many epochs there is a validation, or after these, counted from 1."""
    validation_rows: int = 256
    """Of a batch of the validation data, unless somebody looks at each."""
    feed: Feed | None = None
    """Where the data come from, if they are not in memory; there are none to be had at once then."""
    among: HostArray | None = None
    """The rows of the data that are the samples; None where all are."""
    orders: "Orders | None" = None
    """What gives the orders of epochs in place of the network's seed."""

    def is_validated(self, epoch: int) -> bool:
        """Whether the validation data are looked at after that epoch, counted from 0."""
        if self.validation is None:
            return False
        if isinstance(self.validates, int):
            return (epoch + 1) % self.validates == 0
        return epoch + 1 in self.validates

    @property
    def steps(self) -> int:
        """Batches per epoch; the last of a single pass over the samples may be smaller."""
        return self.steps_per_epoch or -(-self.samples // self.batch_size)

    @property
    def rows(self) -> int:
        """Samples per epoch."""
        single_pass = self.steps_per_epoch is None and self.shuffle != "with_replacement"
        return self.samples if single_pass else self.steps * self.batch_size

    @property
    def schedule(self) -> str:
        """How samples become batches, in words: an epoch goes on only with the same."""
        if self.feed is not None:
            return f"{self.steps} steps per epoch, {self.feed.schedule}"
        return (
            f"{self.steps} steps per epoch, {self.rows} rows of {self.samples} samples, batch_size {self.batch_size}, "
            f"shuffle {self.orders or self.shuffle!r}"
        )

    def order(self, seed: int, epoch: int) -> HostArray:
        """The rows of the data that an epoch shows, one after the other."""
        if self.orders is not None:
            order = self.orders.order(self.samples, epoch)
        else:
            order = epoch_order(self.shuffle, self.samples, self.rows, seed, epoch)
        return order if self.among is None else self.among[order]

    def sample_of_data(self) -> str:
        """A fingerprint that costs nothing, of some rows."""
        return self.fingerprints(SAMPLED)[0]

    def step_size(self, executable: Executable) -> int:
        """Rows times parameters of a step: how long it takes, roughly."""
        return self.batch_size * sum(prod(parameter.shape) for parameter in executable.program.parameters)


def check_frequency(given: Any) -> "int | frozenset[int]":
    """How often there is a validation: every so many epochs, or after those that are listed."""
    if not isinstance(given, Iterable) or isinstance(given, str):
        return int(whole(1).of("validation_freq", given))
    return frozenset(whole(1).of("an epoch in validation_freq", each) for each in given)


@dataclass
class Standing:
    """How far a fit has come."""

    epoch: int
    """The next, or the one that has not ended, counted from the run's first."""
    first_step: int
    """Updates of the network before the fit."""
    history: History
    """Of this fit's epochs."""
    was_stopped: bool = False
    """Whether a callback ended it."""

    def steps_left(self, run: Run, state: TrainingState) -> float:
        """Steps until its limit."""
        return inf if run.limit is None else run.limit - (state.step - self.first_step)

    def end(self, run: Run, state: TrainingState) -> int:
        """The epoch before which it ends."""
        if run.limit is None:
            return run.epochs
        return self.epoch + -(-(state.position + int(self.steps_left(run, state))) // run.steps)

    def is_over(self, run: Run, state: TrainingState) -> bool:
        """Whether nothing is left to do."""
        if self.was_stopped or run.limit is None:
            return self.was_stopped or self.epoch >= run.epochs
        was_told = not state.position or self.history.epoch[-1:] == [self.epoch]
        return self.steps_left(run, state) <= 0 and was_told
