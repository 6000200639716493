"""State of an epoch on the GPU: the next step, and what differs from step to step.

All of it has fixed addresses, so every step is launched with the same arguments. The host writes the order and the
numbers of future steps; kernels count the steps and sum what is measured (`kernels/_cuda/clock.cu`).
"""

from collections.abc import Hashable, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from dnnkit.backends.stagewise.flat import Data
from dnnkit.backends.state import EpochSums, HostArray, Totals
from dnnkit.kernels.array import Array

if TYPE_CHECKING:
    from dnnkit.backends.cupy_backend.backend import CupyBackend

CLOCK = 4
"""Numbers of the clock: next step of the epoch, optimizer step, optimizer step at the epoch's start, steps without NaN.
"""

EVER = 1 << 62
"""More steps than any epoch has."""


MOST_SEEN = 64
"""Kinds of single steps remembered: a user's loop passes new data in each."""


class Source(NamedTuple):
    """Where a step's rows come from: `order` holds those of `period` steps, and then repeats."""

    data: Data
    order: Array
    period: int = EVER
    steps: int = EVER
    """Number of steps, from the requested one on, for which that holds."""


class Timeline:
    """Memory for epochs of up to this many steps and rows."""

    def __init__(self, backend: "CupyBackend", dtype: str, steps: int, rows: int, numbers: int, sums: int) -> None:
        self.steps, self.rows = steps, rows
        self.order = backend.buffer((rows,), np.int64)
        self.table = backend.buffer((steps, numbers), dtype)
        """Numbers of each step: the scale of the loss's gradient, then the optimizer's."""
        self.numbers = backend.buffer((numbers,), dtype)
        """Numbers of the current step."""
        self.clock = backend.buffer((CLOCK,), np.int64)
        self.totals = backend.buffer((sums,), np.float64)
        self.steps_recorded: dict[Hashable, Any] = {}
        """Recorded steps with these addresses, by everything else they depend on."""
        self._data: Hashable = None
        self._seen: set[Hashable] = set()
        self._clock_set_to: tuple[int, int] | None = None

    def begin(self, order: HostArray, data: Hashable) -> None:
        """Begin an epoch on these data, in this order of rows (empty if it is elsewhere); reset the sums.

        Recorded steps of other data are dropped, because they keep the data alive.
        """
        if data != self._data:
            self.steps_recorded.clear()
            self._data = data
        if len(order):
            self.order[: len(order)].set(np.ascontiguousarray(order, np.int64))
        self.clock.set(np.zeros(CLOCK, np.int64))
        self.totals.set(np.zeros(self.totals.size))
        self._clock_set_to = 0, 0

    def set_clock(self, first: int, optimizer_step: int, numbers: Sequence[tuple[float, ...]]) -> None:
        """Set the numbers of steps from `first`, the next step, and the optimizer's step at that point."""
        self.table[first : first + len(numbers)].set(np.array(numbers, self.table.dtype))
        wanted = first, optimizer_step - first
        if self._clock_set_to != wanted:
            self.clock[:3].set(np.array([first, optimizer_step, wanted[1]], np.int64))
            self._clock_set_to = wanted

    def passed(self, next_step: int) -> None:
        """Record that kernels have counted up to this step."""
        self._clock_set_to = None if self._clock_set_to is None else (next_step, self._clock_set_to[1])

    def doubt(self) -> None:
        """Mark the kernels' count as unknown, so that it is written again."""
        self._clock_set_to = None

    def knows(self, kind: Hashable) -> bool:
        """Whether such a step was requested before; a single one of its kind is not worth recording."""
        if kind in self._seen:
            return True
        if len(self._seen) >= MOST_SEEN:
            self._seen.clear()
        self._seen.add(kind)
        return False

    def forget_steps(self) -> None:
        """Drop recorded steps, which keep all memory that they use."""
        self.steps_recorded.clear()


class RunningSums:
    """Loss and metrics of the steps so far, on the GPU until they are read; as `stagewise.Accumulator`."""

    def __init__(self, totals: Array, clock: Array, places: Sequence[slice], reduction: Literal["mean", "sum"]) -> None:
        self._totals, self._clock, self._places, self._reduction = totals, clock, places, reduction
        self._first = self._steps = 0
        self._weight = 0.0

    def passed(self, weights: HostArray) -> None:
        """Record that further steps were measured, with these sums of row weights."""
        self._steps += len(weights)
        self._weight = float(np.add.accumulate([self._weight, *weights])[-1])  # added one by one, in order

    def sums(self) -> EpochSums:
        """Return the sums, from which the epoch can be resumed."""
        totals = self.read()
        return EpochSums(self._first, self._weight, ((totals.loss, *totals.metrics),), totals.nan_step)

    def go_on_from(self, sums: EpochSums, step: int) -> None:
        """Add to the sums of earlier steps."""
        self._first, self._weight, self._steps = sums.first, sums.weight, step
        totals = np.zeros(self._totals.size)
        totals[0], *metrics = sums.total
        for place in self._places:
            count = place.stop - place.start
            totals[place], metrics = metrics[:count], metrics[count:]
        self._totals.set(totals)
        self._clock[CLOCK - 1 :].set(np.array([step if sums.nan_step < 0 else sums.nan_step], np.int64))

    def read(self) -> Totals:
        """Return the sums as plain numbers; waits for the GPU."""
        totals, sound = self._totals.get().tolist(), int(self._clock.get()[CLOCK - 1])
        metrics = tuple(chain.from_iterable(totals[place] for place in self._places))
        nan_step = -1 if sound == self._steps else sound
        return Totals(totals[0], self._weight, metrics, self._reduction, nan_step)
