"""The two homes of a program's parameters and slots."""

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
    """Parameters and slots: one flat row per worker, or a single one that all share."""

    parameters: HostArray
    slots: HostArray
    """(rows, slots, size), of what is trained"""

    @cached_property
    def addresses(self) -> tuple[int, int]:
        """Of the parameters and of the slots."""
        return address(self.parameters), address(self.slots)

    def copy(self) -> "Weights":
        """The same numbers, in memory of their own that is as aligned."""
        copy = Weights(*(zeros(array.shape, array.dtype.name) for array in (self.parameters, self.slots)))
        copy.take(self)
        return copy

    def take(self, other: "Weights") -> None:
        """Become equal to the other."""
        self.parameters[...], self.slots[...] = other.parameters, other.slots


class TwoHomes:
    """Parameters and slots, flat and whole, and, where a team is partitioned by units, a shard per worker.

    What is read, saved and predicted with is flat. The home that was written last is the `newest`; the other is brought
    up to date when it is next used, so neither a step nor a read pays for a copy that nobody needs. Where both are,
    parameters that are written one by one go to the flat home, and their shards wait for the next team.
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
        """Parameters whose shards are older than what is flat, where otherwise both are the newest."""
        self.writing: Weights | None = None
        """The numbers that were last asked for to be written, as long as they are the newest there are."""

    @property
    def parameters(self) -> HostArray:
        """Flat, up to date, and to be read only."""
        self.collect()
        return self._flat

    @property
    def slots(self) -> HostArray:
        """(slots, size), at least one row, up to date, and to be read only."""
        self.collect()
        return self._slots

    def replace(self, parameters: HostArray | None = None, slots: list[HostArray] | None = None) -> None:
        """Give these numbers, flat; what is not given stays."""
        self.collect()
        if parameters is not None:
            self._flat, self._whole = parameters, None
        for row, slot in zip(self._slots, slots or [], strict=False):
            row[...] = slot
        self.newest, self.writing = "flat", None  # shards are cut anew before they are used

    def write(self, name: str, value: HostArray) -> None:
        """Replace one parameter, where the newest numbers are."""
        if self.newest == "sharded":
            self._cut({name: value})
            return
        self._layout.view(self._flat, name, np)[...] = value
        if self.newest == "both":
            self._waiting.add(name)

    def _cut(self, parameters: Mapping[str, HostArray]) -> None:
        """Write these parameters to the workers' shards."""
        assert self._sharded is not None
        assert self._sharded_layout is not None
        self._sharded_layout.scatter(parameters, self._sharded.parameters)

    def _cut_waiting(self) -> None:
        """Bring the shards up to date where only some parameters were written since."""
        if self._waiting:
            self._cut({name: self._layout.view(self._flat, name, np) for name in self._waiting})
            self._waiting.clear()

    def to_write(self, partition: Partition, layout: PartitionedLayout) -> Weights:
        """The numbers as a team of that partition keeps them, which it will change."""
        if partition.by == "rows" or partition.workers == 1:
            return self.flat_to_write()
        if self._sharded is None or self._sharded_layout is not layout:
            self.collect()
            rows = partition.workers
            slots = zeros((rows, len(self._slots), layout.trained_size), self._dtype)
            self._sharded, self._sharded_layout = Weights(zeros((rows, layout.size), self._dtype), slots), layout
            self.newest = "flat"
        if self.newest == "flat":
            layout.scatter(self._layout.views(self._flat, np), self._sharded.parameters)
            for place, slot in enumerate(self._slots[: self._slot_count]):
                layout.scatter(self._trained.views(slot, np), self._sharded.slots[:, place])
            self._waiting.clear()
        self._cut_waiting()
        self.newest, self.writing = "sharded", self._sharded
        return self._sharded

    def changed(self) -> None:
        """Note that shards, which a team is writing, are newer than what was collected meanwhile."""
        if self.newest == "both":
            self._cut_waiting()
            self.newest = "sharded"

    def flat_to_write(self) -> Weights:
        """The flat numbers, which their user will change."""
        self.collect()
        self.newest, self.writing = "flat", self.whole()
        return self.writing

    def whole(self, parameters: HostArray | None = None) -> Weights:
        """The flat numbers, for those who share them; with other parameters, if given."""
        if parameters is not None and parameters is not self._flat:
            return Weights(parameters[None], self._slots[None])
        if self._whole is None:
            self._whole = Weights(self._flat[None], self._slots[None])
        return self._whole

    def collect(self) -> None:
        """Bring the flat numbers up to date."""
        if self.newest == "sharded":
            assert self._sharded is not None
            assert self._sharded_layout is not None
            self.newest, self.writing = "both", None
            self._sharded_layout.gather(self._sharded.parameters, self._layout.views(self._flat, np))
            for place, slot in enumerate(self._slots[: self._slot_count]):
                self._sharded_layout.gather(self._sharded.slots[:, place], self._trained.views(slot, np))
