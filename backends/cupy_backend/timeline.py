"""An epoch as the GPU knows it: which step is next, and what differs from step to step.

All of it lies at addresses that stay, so every step is launched with the same arguments. The host writes the order and
the numbers of the steps ahead; kernels count the steps and add up what is measured (`kernels/_cuda/clock.cu`).
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
"""Numbers of the clock: the next step of the epoch, the optimizer's, that at the epoch's begin, and sound steps."""

EVER = 1 << 62
"""More steps than there are."""


MOST_SEEN = 64
"""Kinds of single steps that are remembered: a loop of the user's own has new data in each."""


class Source(NamedTuple):
    """Where a step's rows come from: `order` has those of `period` steps, and begins anew after that."""

    data: Data
    order: Array
    period: int = EVER
    steps: int = EVER
    """For how many steps from the one asked for that is so."""


class Timeline:
    """Room for epochs of up to so many steps and rows."""

    def __init__(self, backend: "CupyBackend", dtype: str, steps: int, rows: int, numbers: int, sums: int) -> None:
        self.steps, self.rows = steps, rows
        self.order = backend.buffer((rows,), np.int64)
        self.table = backend.buffer((steps, numbers), dtype)
        """The numbers of each step: the scale of the loss's gradient, then the optimizer's."""
        self.numbers = backend.buffer((numbers,), dtype)
        """Those of the step that is computed."""
        self.clock = backend.buffer((CLOCK,), np.int64)
        self.totals = backend.buffer((sums,), np.float64)
        self.steps_recorded: dict[Hashable, Any] = {}
        """What was recorded with these addresses, by what else it was recorded with."""
        self._data: Hashable = None
        self._seen: set[Hashable] = set()
        self._told: tuple[int, int] | None = None

    def begin(self, order: HostArray, data: Hashable) -> None:
        """An epoch of those data in that order of rows, empty where others have it; nothing is measured yet.

        What was recorded with other data goes: it holds on to them.
        """
        if data != self._data:
            self.steps_recorded.clear()
            self._data = data
        if len(order):
            self.order[: len(order)].set(np.ascontiguousarray(order, np.int64))
        self.clock.set(np.zeros(CLOCK, np.int64))
        self.totals.set(np.zeros(self.totals.size))
        self._told = 0, 0

    def tell(self, first: int, optimizer_step: int, numbers: Sequence[tuple[float, ...]]) -> None:
        """The numbers of steps from `first` on, which is next, and the optimizer's step then."""
        self.table[first : first + len(numbers)].set(np.array(numbers, self.table.dtype))
        told = first, optimizer_step - first
        if self._told != told:
            self.clock[:3].set(np.array([first, optimizer_step, told[1]], np.int64))
            self._told = told

    def passed(self, next_step: int) -> None:
        """Kernels have counted up to there."""
        self._told = None if self._told is None else (next_step, self._told[1])

    def doubt(self) -> None:
        """Who knows how far kernels have counted: they are told again."""
        self._told = None

    def knows(self, kind: Hashable) -> bool:
        """Whether such a step was asked for before; a single one of its kind is not worth being recorded."""
        if kind in self._seen:
            return True
        if len(self._seen) >= MOST_SEEN:
            self._seen.clear()
        self._seen.add(kind)
        return False

    def forget_steps(self) -> None:
        """What was recorded holds on to all memory that it uses."""
        self.steps_recorded.clear()


class RunningSums:
    """Loss and metrics of the steps so far, on the GPU until they are read; as `stagewise.Accumulator`."""

    def __init__(self, totals: Array, clock: Array, places: Sequence[slice], reduction: Literal["mean", "sum"]) -> None:
        self._totals, self._clock, self._places, self._reduction = totals, clock, places, reduction
        self._first = self._steps = 0
        self._weight = 0.0

    def passed(self, weights: HostArray) -> None:
        """So many steps more are measured, of these sums of row weights."""
        self._steps += len(weights)
        self._weight = float(np.add.accumulate([self._weight, *weights])[-1])  # one after the other, as they come

    def sums(self) -> EpochSums:
        """The sums, to go on from."""
        totals = self.read()
        return EpochSums(self._first, self._weight, ((totals.loss, *totals.metrics),), totals.nan_step)

    def go_on_from(self, sums: EpochSums, step: int) -> None:
        """Add to the sums of the steps before this one."""
        self._first, self._weight, self._steps = sums.first, sums.weight, step
        totals = np.zeros(self._totals.size)
        totals[0], *metrics = sums.total
        for place in self._places:
            count = place.stop - place.start
            totals[place], metrics = metrics[:count], metrics[count:]
        self._totals.set(totals)
        self._clock[CLOCK - 1 :].set(np.array([step if sums.nan_step < 0 else sums.nan_step], np.int64))

    def read(self) -> Totals:
        """The sums as plain numbers; this waits for the GPU."""
        totals, sound = self._totals.get().tolist(), int(self._clock.get()[CLOCK - 1])
        metrics = tuple(chain.from_iterable(totals[place] for place in self._places))
        nan_step = -1 if sound == self._steps else sound
        return Totals(totals[0], self._weight, metrics, self._reduction, nan_step)
