"""The compiled kernels that a program names, each compiled when a schedule first needs it."""

from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import Any

from dnnkit.backends.numba_backend.bytecode import Purpose
from dnnkit.backends.program import Activate, Dense, Metric, Program, Stage
from dnnkit.kernels._engine.structures import METRIC
from dnnkit.kernels._native.functions import Function
from dnnkit.kernels._numba.entry_points import (
    EntryPoints,
    activation_entry_points,
    loss_entry_points,
    metric_entry_points,
    optimizer_entry_points,
)


class ProgramKernels:
    """A program's kernels, and what they are called with."""

    def __init__(self, program: Program) -> None:
        self._program = program

    def forward(self, activation: str) -> Function:
        """Of an activation."""
        return activation_entry_points(activation, self._program.dtype).functions["forward"]

    def backward(self, activation: str) -> Function:
        """Of an activation's gradient."""
        return activation_entry_points(activation, self._program.dtype).functions["backward"]

    @property
    def head(self) -> Function:
        """Of what makes predictions of scores."""
        return self.forward(self._program.head)

    @cached_property
    def loss(self) -> Function | None:
        """Of the loss, if there is one that is built in."""
        loss = self._program.loss
        if loss is None or not isinstance(loss.kernel, str):
            return None
        return loss_entry_points(loss.kernel, loss.targets, self._program.dtype).functions["loss"]

    @cached_property
    def metrics(self) -> list[Function | None]:
        """Of each metric; None of the user's own."""
        targets = "labels" if self._program.loss is None else self._program.loss.targets
        kernels = [metric.kernel for metric in self._program.metrics]
        return [
            metric_entry_points(kernel, targets, self._program.dtype).functions["total"]
            if isinstance(kernel, str)
            else None
            for kernel in kernels
        ]

    @property
    def makes_predictions(self) -> bool:
        """Whether a metric takes predictions, which are not the scores."""
        return any(map(self.on_predictions, self._program.metrics))

    def on_predictions(self, metric: Metric) -> bool:
        """Whether a built-in metric takes them."""
        return isinstance(metric.kernel, str) and metric.reads_predictions and self._program.head != "linear"

    @cached_property
    def metric_structures(self) -> Any:
        """What the engine knows of each metric."""
        structures, first = METRIC.new(len(self.metrics)), 1
        for structure, function, metric in zip(structures, self.metrics, self._program.metrics, strict=True):
            structure.function = 0 if function is None else function.address
            structure.first, structure.on_predictions = first, self.on_predictions(metric)
            structure.threshold, first = metric.threshold, first + metric.sums
        return structures

    @cached_property
    def rule(self) -> EntryPoints:
        """Of the optimizer, which there is."""
        assert isinstance(self._program.rule, str)
        return optimizer_entry_points(self._program.rule, self._program.dtype)

    @property
    def update(self) -> Function:
        """Of the optimizer's rule."""
        return self.rule.functions["update"]

    def needed(self, stages: Iterable[Stage], purpose: Purpose) -> Iterator[Function]:
        """Those that a schedule for that purpose calls."""
        if purpose == "update":
            yield self.update
            return
        activations = [stage.activation for stage in stages if isinstance(stage, Dense | Activate)]
        yield from map(self.forward, activations)
        if purpose in ("predict", "predict a few"):
            yield self.head
            return
        if self.loss is not None:
            yield self.loss
        yield from filter(None, self.metrics)
        if self.makes_predictions and purpose != "differentiate":
            yield self.head
        if purpose != "evaluate":
            yield from map(self.backward, activations)
        if purpose == "train":
            yield self.update
