"""The two copies of a program's parameters and slots: flat, and one per worker."""

from collections.abc import Mapping
from functools import cached_property
from typing import Literal

import numpy as np

from dnnkit.backends.aligned import address, zeros
from dnnkit.backends.numba_backend.partition import Partition, PartitionedLayout
from dnnkit.backends.stagewise.layout import FlatLayout
from dnnkit.backends.state import HostArray
from dnnkit.deferred import dataclass


@dataclass(frozen=True)
class Weights:
    """Parameters and slots: one flat row per worker, or a single row that all share."""

    parameters: HostArray
    slots: HostArray
    """(rows, slots, size), of the trained parameters; a single row if each worker updates other columns of it"""
    second: HostArray | None = None
    """Parameters of a second worker that has its own copy of the single row."""

    @cached_property
    def addresses(self) -> tuple[int, int]:
        """Addresses of the parameters and of the slots."""
        return address(self.parameters), address(self.slots)

    def copy(self) -> "Weights":
        """Return a copy in memory of the same alignment."""
        copy = Weights(*(zeros(array.shape, array.dtype.name) for array in (self.parameters, self.slots)))
        copy.take(self)
        return copy

    def take(self, other: "Weights") -> None:
        """Copy the other's numbers."""
        self.parameters[...], self.slots[...] = other.parameters, other.slots


class TwoHomes:
    """Parameters and slots, flat and, if several workers train, as one shard per worker.

    By units, a shard has the worker's parameters and their slots; by rows, all parameters, and the slots stay flat.

    Reading, saving and predicting use the flat copy. The copy that was written last is the `newest`; the other is
    updated when it is next used, so neither a step nor a read pays for an unneeded copy. If both are up to date, single
    parameters are written to the flat copy, and their shards are updated for the next team.
    """

    def __init__(self, layout: FlatLayout, trained: FlatLayout, slots: int, dtype: str) -> None:
        self._layout, self._trained, self._dtype, self._slot_count = layout, trained, dtype, slots
        self._flat = zeros((layout.size,), dtype)
        self._slots = zeros((max(1, slots), trained.size), dtype)
        self._whole: Weights | None = None
        self._sharded: Weights | None = None
        self._sharded_layout: PartitionedLayout | None = None
        self.newest: Literal["flat", "sharded", "both"] = "flat"
        self._waiting: set[str] = set()
        """Parameters whose shards are out of date although `newest` is "both"."""
        self.writing: Weights | None = None
        """The numbers last handed out for writing, while they are the newest."""
        self._pair: Weights | None = None
        """The flat numbers, and a copy of the parameters for a second worker."""
        self._is_assigned = self._is_paired = False
        """Whether parameters were assigned one by one; whether the copy is up to date."""

    @property
    def parameters(self) -> HostArray:
        """Flat parameters, up to date, read-only."""
        self.collect()
        return self._flat

    @property
    def slots(self) -> HostArray:
        """Flat slots (slots, size), at least one row, up to date, read-only."""
        self.collect()
        return self._slots

    def replace(self, parameters: HostArray | None = None, slots: list[HostArray] | None = None) -> None:
        """Replace the flat parameters or slots; None leaves them unchanged."""
        self.collect()
        if parameters is not None:
            self._flat, self._whole = parameters, None
        for row, slot in zip(self._slots, slots or [], strict=False):
            row[...] = slot
        self._unpair()
        self._pair = None
        self.newest, self.writing = "flat", None  # shards are rebuilt before their next use

    def write(self, name: str, value: HostArray) -> None:
        """Replace one parameter in the newest copy, and in that of a second worker."""
        if self.newest == "sharded":
            self._cut({name: value})
            return
        self._layout.view(self._flat, name, np)[...] = value
        if self.newest == "both":
            self._waiting.add(name)
        self._is_assigned = True
        if self._is_paired:
            assert self._pair is not None
            assert self._pair.second is not None
            self._layout.view(self._pair.second, name, np)[...] = value

    def to_differentiate(self, workers: int) -> Weights:
        """Return the flat numbers for workers that compute gradients by rows.

        Of two workers, the second gets its own copy if the user assigns parameters one by one: the caller's thread
        would be slow to write what both have read (docs/design/0066-no-shared-parameters.md). More workers would need
        more copies.
        """
        self.collect()
        if workers != 2 or not self._is_assigned:
            return self.whole()
        if self._pair is None:
            self._pair = Weights(self._flat[None], self._slots[None], zeros(self._flat.shape, self._dtype))
        if not self._is_paired:
            assert self._pair.second is not None
            self._pair.second[...] = self._flat
            self._is_paired, self.writing = True, None  # so that the next writer asks for the numbers again
        return self._pair

    def _unpair(self) -> None:
        """Record that the flat parameters are about to change as a whole."""
        self._is_assigned = self._is_paired = False

    def _cut(self, parameters: Mapping[str, HostArray]) -> None:
        """Write these parameters to the workers' shards."""
        assert self._sharded is not None
        assert self._sharded_layout is not None
        self._sharded_layout.scatter(parameters, self._sharded.parameters)

    def _cut_waiting(self) -> None:
        """Update the shards of parameters that were written one by one."""
        if self._waiting:
            self._cut({name: self._layout.view(self._flat, name, np) for name in self._waiting})
            self._waiting.clear()

    def to_write(self, partition: Partition, layout: PartitionedLayout) -> Weights:
        """Return the numbers in the form of a team with this partition, which will change them."""
        if partition.workers == 1:
            return self.flat_to_write()
        if self._sharded is None or self._sharded_layout is not layout:
            self.collect()
            rows, slots = partition.workers, self._slots[None]
            if partition.by == "units":
                slots = zeros((rows, len(self._slots), layout.trained_size), self._dtype)
            self._sharded, self._sharded_layout = Weights(zeros((rows, layout.size), self._dtype), slots), layout
            self.newest = "flat"
        if self.newest == "flat":
            layout.scatter(self._layout.views(self._flat, np), self._sharded.parameters)
            for place, slot in self._sharded_slots():
                layout.scatter(self._trained.views(slot, np), self._sharded.slots[:, place])
            self._waiting.clear()
        self._cut_waiting()
        self.newest, self.writing = "sharded", self._sharded
        return self._sharded

    def _sharded_slots(self) -> "enumerate[HostArray]":
        """Return the flat slots of which the shards have copies, numbered."""
        assert self._sharded is not None
        is_copied = len(self._sharded.slots) == len(self._sharded.parameters)
        return enumerate(self._slots[: self._slot_count] if is_copied else ())

    def changed(self) -> None:
        """Record that a team's shards are newer than what was collected in the meantime."""
        self._unpair()
        if self.newest == "both":
            self._cut_waiting()
            self.newest = "sharded"

    def flat_to_write(self) -> Weights:
        """Return the flat numbers for a caller that changes them."""
        self.collect()
        self._unpair()
        self.newest, self.writing = "flat", self.whole()
        return self.writing

    def whole(self, parameters: HostArray | None = None) -> Weights:
        """Return the flat numbers for workers that share them; with other parameters, if given."""
        if parameters is not None and parameters is not self._flat:
            return Weights(parameters[None], self._slots[None])
        if self._whole is None:
            self._whole = Weights(self._flat[None], self._slots[None])
        return self._whole

    def collect(self) -> None:
        """Update the flat numbers."""
        if self.newest == "sharded":
            assert self._sharded is not None
            assert self._sharded_layout is not None
            self._unpair()
            self.newest, self.writing = "both", None
            self._sharded_layout.gather(self._sharded.parameters, self._layout.views(self._flat, np))
            for place, slot in self._sharded_slots():
                self._sharded_layout.gather(self._sharded.slots[:, place], self._trained.views(slot, np))
