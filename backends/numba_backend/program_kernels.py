"""Compiled kernels of a program, each compiled when a schedule first needs it."""

from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import accumulate
from typing import Any

import numpy as np

from dnnkit.backends.measures import Metric
from dnnkit.backends.numba_backend.bytecode import DIFFERENTIATING, Purpose
from dnnkit.backends.program import Program
from dnnkit.backends.stages import Activate, Dense, Stage
from dnnkit.kernels import registry
from dnnkit.kernels._engine.structures import METRIC, PART
from dnnkit.kernels._native.functions import Function
from dnnkit.kernels._numba.entry_points import (
    EntryPoints,
    activation_entry_points,
    loss_entry_points,
    metric_entry_points,
    optimizer_entry_points,
    slope_entry_points,
)
from dnnkit.kernels._numba.structure import LINE_BYTES


class ProgramKernels:
    """Kernels of a program, and their arguments."""

    def __init__(self, program: Program) -> None:
        self._program = program

    def forward(self, stage: Dense | Activate, *, trains: bool) -> Function:
        """Return the kernel of a stage's activation; in training, a dense stage may leave the derivative in z."""
        which = "forward_with_slope" if trains and _keeps_slope(stage) else "forward"
        return self._activation(stage.activation).functions[which]

    def backward(self, stage: Dense | Activate) -> Function:
        """Return the kernel of a stage's activation gradient."""
        found = slope_entry_points(self._program.dtype) if _keeps_slope(stage) else self._activation(stage.activation)
        return found.functions["backward"]

    @property
    def head(self) -> Function:
        """Kernel that computes predictions from scores."""
        return self._activation(self._program.head).functions["forward"]

    def _activation(self, name: str) -> EntryPoints:
        return activation_entry_points(name, self._program.dtype)

    @cached_property
    def loss(self) -> Function | None:
        """Kernel of the loss, or None if it is user-defined or there is none."""
        loss = self._program.loss
        if loss is None or not isinstance(loss.kernel, str):
            return None
        return loss_entry_points(loss.kernel, loss.targets, self._program.dtype).functions["loss"]

    @cached_property
    def metrics(self) -> list[Function | None]:
        """Kernel of each metric; None for a user-defined one, and for an output's loss."""
        return [
            metric_entry_points(metric.kernel, self._targets(metric), self._program.dtype).functions["total"]
            if isinstance(metric.kernel, str)
            else None
            for metric in self._program.metrics
        ]

    def _targets(self, metric: Metric) -> str:
        """Return the kind of targets that a metric reads."""
        part = self._program.part(metric)
        loss = self._program.loss if part is None else part.loss
        return "labels" if loss is None else loss.targets

    # -- several outputs -----------------------------------------------------------------------------------------------

    @cached_property
    def part_losses(self) -> list[Function | None]:
        """Kernel of each output's loss."""
        return [
            loss_entry_points(part.loss.kernel, part.loss.targets, self._program.dtype).functions["loss"]
            if part.loss is not None and isinstance(part.loss.kernel, str)
            else None
            for part in self._program.outputs
        ]

    @property
    def part_heads(self) -> list[Function]:
        """Kernel that computes predictions from scores, per output."""
        return [self._activation(part.head).functions["forward"] for part in self._program.outputs]

    def parts(self, metrics: Sequence[int]) -> tuple[tuple[tuple[int, ...], bool, bool], ...]:
        """Return, per output: its metrics among these, whether any reads predictions, whether its loss is custom."""
        found = []
        for number, part in enumerate(self._program.outputs):
            own = tuple(metric for metric in metrics if self._program.metrics[metric].output == number)
            on_predictions = any(self.on_predictions(self._program.metrics[metric]) for metric in own)
            has_own_loss = part.loss is not None and not isinstance(part.loss.kernel, str)
            found.append((own, on_predictions, has_own_loss))
        return tuple(found)

    def part_structures(self, rows: int) -> tuple[Any, int]:
        """Return (the outputs' PARTs, bytes of a worker's memory for `rows` rows of all outputs)."""
        program, size = self._program, 0
        itemsize, structures = np.dtype(program.dtype).itemsize, PART.new(max(1, len(program.outputs)))
        firsts = accumulate((metric.sums for metric in program.metrics), initial=1)
        of_losses = {one.output: first for one, first in zip(program.metrics, firsts, strict=False) if one.is_loss}
        for number, (structure, part) in enumerate(zip(structures, program.outputs, strict=False)):
            structure.column, structure.width, structure.weight = part.columns[0], part.width, part.loss_weight
            structure.target, structure.targets = part.targets[0], part.targets[1] - part.targets[0]
            structure.takes_labels, structure.first = part.takes_labels, of_losses.get(number, 0)
            structure.seen, size = size, size + LINE_BYTES
            widths = {"scores": part.width, "dscores": part.width, "targets": structure.targets, "weights": 1}
            for name, width in widths.items():
                setattr(structure, f"own_{name}", size)
                size += -(-rows * max(1, width) * max(8, itemsize) // LINE_BYTES) * LINE_BYTES
        return structures, size

    def fill_parts(self, structures: Any, purpose: Purpose) -> None:
        """Fill in the addresses of the outputs' kernels."""
        predicts = purpose in ("predict", "predict a few")
        for number, (structure, part) in enumerate(zip(structures, self._program.outputs, strict=False)):
            if not predicts and (function := self.part_losses[number]) is not None:
                structure.loss = function.address
            if predicts or any(self.on_predictions(m) for m in self._program.metrics if m.output == number):
                structure.head = self._activation(part.head).functions["forward"].address

    @property
    def makes_predictions(self) -> bool:
        """Whether a metric reads predictions that differ from the scores."""
        return any(map(self.on_predictions, self._program.metrics))

    def on_predictions(self, metric: Metric) -> bool:
        """Whether a built-in metric reads predictions that differ from the scores."""
        part = self._program.part(metric)
        head = self._program.head if part is None else part.head
        return isinstance(metric.kernel, str) and metric.reads_predictions and head != "linear"

    @cached_property
    def metric_structures(self) -> Any:
        """METRIC structures, one per metric."""
        structures, first = METRIC.new(len(self.metrics)), 1
        for structure, function, metric in zip(structures, self.metrics, self._program.metrics, strict=True):
            structure.function = 0 if function is None else function.address
            structure.first, structure.on_predictions = first, self.on_predictions(metric)
            structure.part = metric.output
            structure.threshold, first = metric.threshold, first + metric.sums
        return structures

    @cached_property
    def rule(self) -> EntryPoints:
        """Entry points of the optimizer's rule."""
        assert isinstance(self._program.rule, str)
        return optimizer_entry_points(self._program.rule, self._program.dtype)

    @property
    def update(self) -> Function:
        """Kernel of the optimizer's rule."""
        return self.rule.functions["update"]

    @property
    def average(self) -> Function | None:
        """Kernel of the parameters' running means, if they are kept."""
        if not self._program.averages:
            return None
        return optimizer_entry_points("average", self._program.dtype).functions["update"]

    @property
    def updates(self) -> Iterator[Function]:
        """Kernels that change parameters and slots."""
        yield self.update
        if (average := self.average) is not None:
            yield average

    def needed(self, stages: Sequence[Stage], purpose: Purpose, first: int) -> Iterator[Function]:
        """Yield the kernels that a schedule for this purpose calls; its backward pass ends at the stage `first`."""
        if purpose == "update":
            yield from self.updates
            return
        trains = purpose in DIFFERENTIATING
        activated = [(place, stage) for place, stage in enumerate(stages) if isinstance(stage, Dense | Activate)]
        yield from (self.forward(stage, trains=trains and place >= first) for place, stage in activated)
        if purpose in ("predict", "predict a few"):
            yield self.head
            yield from self.part_heads
            return
        if self.loss is not None:
            yield self.loss
        yield from filter(None, (*self.part_losses, *self.metrics))
        if self.makes_predictions and self._program.outputs:
            yield from self.part_heads
        if self.makes_predictions and purpose != "differentiate":
            yield self.head
        if trains:
            yield from (self.backward(stage) for place, stage in activated if place >= first)
        if purpose == "train":
            yield from self.updates


def _keeps_slope(stage: Dense | Activate) -> bool:
    return isinstance(stage, Dense) and registry.activation(stage.activation).has_own_slope
