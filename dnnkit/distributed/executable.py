"""Base of the executables whose steps all ranks run together; each rank wraps its own network's executable.

Rank 0 leads: it runs the usual training loop, and forwards what the loop asks of the executable to the others, which
do the same (`ranks.py`). Everything that a step needs to know about other ranks travels with the sum in that step:
whether rank 0 wants to stop, and whether a rank failed.
"""

from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from dnnkit.backends.around import Around
from dnnkit.backends.executable import Executable
from dnnkit.backends.state import EpochSums, HostArray, Hyperparameters, Snapshot, Totals
from dnnkit.distributed.batches import Batches, InMemory, OfPortion
from dnnkit.distributed.communicator import Communicator
from dnnkit.errors import ConfigurationError
from dnnkit.kernels.array import Array
from dnnkit.training.parts import Portion, Share

if TYPE_CHECKING:
    from dnnkit.streams.feeding import StreamFeed

TAIL = 2
STOP, FAILED = -2, -1
"""Positions of two numbers after the summed ones: the number of ranks that want to stop, and that failed."""

AllGather = Callable[[Any], list[Any]]
"""All-gather of objects; raises if a rank reports a failure."""


class Begin(NamedTuple):
    """Rank 0 begins an epoch."""

    order: HostArray
    batch_size: int


class Turn(NamedTuple):
    """Rank 0 begins an epoch of a stream, or continues it on another chunk; each rank has read its share of it."""

    key: tuple[int, int, int]
    """Seed, epoch and number of the chunk."""
    batch_size: int
    sums: EpochSums | None
    step: int
    """The next step, counted within the chunk."""
    position: int


class GoOn(NamedTuple):
    """Rank 0 continues an epoch that began elsewhere, with its sums."""

    sums: EpochSums
    position: int


class Run(NamedTuple):
    """Rank 0 runs steps; `numbers` are its parameters and state if they changed other than by steps."""

    first: int
    last: int
    hyperparameters: Hyperparameters
    numbers: Snapshot | None


def trains_elsewhere() -> ConfigurationError:
    """Return the error for a callback that trains on other data."""
    return ConfigurationError(
        "a callback trains the network on other data during distributed training: remove the callback, or leave out "
        "distributed="
    )


class SharedExecutable(Around):
    """Steps that all ranks run together.

    Arguments:
        inner: this rank's executable.
        communicator: connection to the other ranks.
        all_gather: all-gather of objects, which raises on failures.
        leads: whether this is rank 0.
    """

    can_run_epochs = False

    def __init__(self, inner: Executable, communicator: Communicator, all_gather: AllGather, leads: bool) -> None:
        super().__init__(inner)
        self._communicator, self._all_gather, self.leads = communicator, all_gather, leads
        self.data: Any = None
        """The data that all ranks train on; of a stream, this rank's share of a chunk."""
        self.feed: StreamFeed | None = None
        """Where this rank reads its share of a stream."""
        self.is_within_step = False
        """Whether other ranks wait for this rank's part of a sum."""
        self._batches: Batches = InMemory(np.empty(0, np.int64), 1, lambda rows: 0.0)
        self._first = self._last = 0
        """The steps that were run, counted like the batches."""
        self._offset, self._weight_before = 0, 0.0
        """Steps of the epoch before these batches, and the row weights of those that were run."""
        self._epoch_first = 0
        self._before: list[list[float]] = []
        """Rows of sums of the steps before this epoch was resumed."""
        self._rows: list[list[float]] = []
        self._nan_step = -1
        self._wants_stop = self.is_changed = False
        self._failure: Exception | None = None
        self._reduction = inner.program.loss.reduction if inner.program.loss is not None else "mean"

    def obey(self, command: Any) -> None:
        """Do what rank 0 asks."""
        match command:
            case Begin(order, batch_size):
                self._begin(order, batch_size)
            case Turn(key, batch_size, sums, step, position):
                assert self.feed is not None
                part, self.state.position = self.feed.part(*key), position
                self._turn(part.data, batch_size, sums, step)
                part.begun()
            case GoOn(sums, position):
                self.state.position = position
                self._go_on_from(sums)
            case Run(first, last, hyperparameters, numbers):
                if numbers is not None:
                    self._take(numbers)
                self.state.position = self._run(first, last, hyperparameters) + self._offset

    # -- called on rank 0 --------------------------------------------------------------------------------------------

    def begin_epoch(self, data: Any, order: HostArray, batch_size: int) -> None:
        """Begin an epoch on every rank."""
        if isinstance(data, Portion):
            self.turn_to(data, order, batch_size, None, self.state.position)
            return
        self._require_shared(data)
        self._all_gather(Begin(order, batch_size))
        self._begin(order, batch_size)

    def turn_to(self, data: Any, order: HostArray, batch_size: int, sums: EpochSums | None, step: int = 0) -> None:
        """Continue the epoch on another chunk of a stream on every rank."""
        if not isinstance(data, Portion):
            raise trains_elsewhere()
        self._all_gather(Turn(data.key, batch_size, sums, step, self.state.position))
        self._turn(data, batch_size, sums, step)

    def go_on_from(self, sums: EpochSums) -> None:  # noqa: D102
        self._all_gather(GoOn(sums, self.state.position))
        self._go_on_from(sums)

    def run_steps(self, first: int, last: int, hyperparameters: Hyperparameters) -> int:
        """Run steps on every rank."""
        numbers, self.is_changed = (self._inner.snapshot() if self.is_changed else None), False
        self._all_gather(Run(first, last, hyperparameters, numbers))
        return self._run(first, last, hyperparameters)

    def request_stop(self) -> None:  # noqa: D102
        self._wants_stop = True

    def _require_shared(self, data: Any) -> None:
        if data is not self.data:
            raise trains_elsewhere()

    # -- on every rank -----------------------------------------------------------------------------------------------

    @property
    @abstractmethod
    def share(self) -> Share:
        """The rows of each batch that this rank computes."""

    def _begin(self, order: HostArray, batch_size: int) -> None:
        self._begin_with(InMemory(order, batch_size, partial(self._inner.weight, self.data)))

    def _begin_with(self, batches: Batches) -> None:
        self._batches, self._offset, self._weight_before, self._epoch_first = batches, 0, 0.0, 0
        self._first = self._last = 0
        self._before, self._rows, self._nan_step, self._wants_stop = [], [], -1, False
        self._begin_own()

    def _turn(self, portion: Portion, batch_size: int, sums: EpochSums | None, step: int) -> None:
        self.data = portion.data
        batches = OfPortion(portion, self.share, batch_size)
        weights = batches.own_weights(partial(self._inner.weight, portion.data)) if portion.is_weighted else None
        gathered = self._all_gather(weights)
        if portion.is_weighted:
            batches.take_weights(gathered)
        self._begin_with(batches)
        self._offset = self.state.position - step
        self._first = self._last = step
        self._epoch_first = self.state.position
        if sums is not None:
            self._take_sums(sums)
            self._weight_before, self._epoch_first = sums.weight, sums.first

    def _go_on_from(self, sums: EpochSums) -> None:
        self._take_sums(sums)
        self._first, self._last, self._epoch_first = sums.first, self.state.position, sums.first

    def _take_sums(self, sums: EpochSums) -> None:
        self._nan_step = sums.nan_step
        self._before, self._rows = ([], list(map(list, sums.sums))) if self._takes(sums) else ([list(sums.total)], [])

    def _run(self, first: int, last: int, hyperparameters: Hyperparameters) -> int:
        """Run steps until rank 0 wants to stop; then share the sums of all ranks."""
        if self._last == 0:
            self._first = first
            if not self._offset:
                self._epoch_first = first
        self._wants_stop = self._wants_stop and self.leads
        self.is_within_step = True
        done = self._run_own(first, last, hyperparameters)
        self.is_within_step = False
        self._last, self._wants_stop = done, False
        if self._failure is not None:
            failure, self._failure = self._failure, None
            raise failure  # the others are waiting for it
        gathered = self._all_gather(self._measured())
        self._rows = [row for rows, _ in gathered for row in rows]
        found = [step + self._offset for _, step in gathered if step >= 0]
        if self._nan_step < 0 and found:
            self._nan_step = min(found)
        return done

    def _add_flags(self, summand: HostArray) -> None:
        """Append the flags for other ranks to a summand of this rank."""
        summand[STOP], summand[FAILED] = self._wants_stop and self.leads, self._failure is not None

    def _take(self, numbers: Snapshot) -> None:
        """Continue with rank 0's parameters and state."""
        self._inner.restore(numbers)

    @abstractmethod
    def _begin_own(self) -> None:
        """Begin an epoch."""

    def _takes(self, sums: EpochSums) -> bool:
        """Continue from this rank's rows of these sums; return False if the work was divided differently."""
        return False

    @abstractmethod
    def _run_own(self, first: int, last: int, hyperparameters: Hyperparameters) -> int:
        """Run steps and return the next one; an exception is stored in `_failure` and reported to the others first."""

    @abstractmethod
    def _measured(self) -> tuple[list[list[float]], int]:
        """Return (this rank's rows of sums in this epoch, the first step with a NaN loss or -1)."""

    # -- sums --------------------------------------------------------------------------------------------------------

    def sums(self) -> EpochSums | None:  # noqa: D102
        rows = [*self._before, *self._rows]
        if not rows:
            return self.state.sums
        weight = self._batches.weight_of_steps(self._first, self._last, self._weight_before)
        return EpochSums(self._epoch_first, weight, tuple(map(tuple, rows)), self._nan_step)

    def totals(self) -> Totals:  # noqa: D102
        sums = self.sums()
        if sums is None or not sums.sums:
            return Totals(0.0, 0.0, (0.0,) * (self.program.measured - 1), self._reduction)
        loss, *metrics = sums.total
        return Totals(loss, sums.weight, tuple(metrics), self._reduction, sums.nan_step)

    # -- parameters and state ----------------------------------------------------------------------------------------

    def snapshot(self) -> Snapshot:  # noqa: D102
        found = self._inner.snapshot()
        sums = self.sums() if found.state.position else None
        return replace(found, state=replace(found.state, sums=sums))

    def restore(self, snapshot: Snapshot) -> None:  # noqa: D102
        self.is_changed = True
        self._take(snapshot)
        self._rows, self._before = [], []

    def write_parameter(self, name: str, value: HostArray) -> None:  # noqa: D102
        self.is_changed = True
        self._inner.write_parameter(name, value)

    def write_average(self, name: str, value: HostArray) -> None:  # noqa: D102
        self.is_changed = True
        self._inner.write_average(name, value)

    def averages(self) -> Any:  # noqa: D102
        return self._inner.averages()

    def update(self, gradients: Mapping[str, Array], hyperparameters: Hyperparameters) -> None:  # noqa: D102
        self.is_changed = True
        self._inner.update(gradients, hyperparameters)

    def take_over(self, other: Executable) -> None:  # noqa: D102
        self.is_changed = True
        self._inner.take_over(other)

    def follow(self, other: Executable, share: float) -> None:  # noqa: D102
        self.is_changed = True
        self._inner.follow(other, share)
