"""Sums of a step whose numbers are on the GPU: loss, metrics and penalties, added to running sums."""

from typing import TYPE_CHECKING, Any

import numpy as np

from dnnkit.backends.measures import Metric
from dnnkit.backends.outputs import Output
from dnnkit.backends.program import Program
from dnnkit.backends.stagewise.buffers import Buffers
from dnnkit.backends.stagewise.measuring import Measuring
from dnnkit.backends.stagewise.regularization import Regularization
from dnnkit.backends.state import HostArray
from dnnkit.kernels import registry
from dnnkit.kernels._cuda import outputs as launchers
from dnnkit.kernels.array import Array
from dnnkit.kernels.stages.columns.gpu import copy_columns

if TYPE_CHECKING:
    from dnnkit.backends.cupy_backend.backend import CupyBackend


class StepSums:
    """Layout of a program's sums among the totals, and how those of a step are added.

    The first of the totals is the loss. The first of a step's numbers are the scales of the losses' gradients, then, if
    there are penalties, their factor.
    """

    def __init__(
        self, backend: "CupyBackend", program: Program, regularization: Regularization, measuring: Measuring
    ) -> None:
        self._backend, self._program, self._regularization, self._measuring = (
            backend,
            program,
            regularization,
            measuring,
        )
        several = bool(program.outputs)
        self._in_loss = None if several else next(filter(backend.is_in_loss, program.metrics), None)
        """The metric summed in the launch of the loss."""
        others = [metric for metric in program.metrics if metric is not self._in_loss]
        ends, self._of_metric = 1, dict[Metric, slice]()
        for metric in [*([] if self._in_loss is None else [self._in_loss]), *others]:
            self._of_metric[metric] = slice(ends, ends + metric.sums)
            ends += metric.sums
        self.places = [self._of_metric[metric] for metric in program.metrics]
        """Places of each metric's sums among the totals."""
        with_loss = [output for output in program.outputs if output.loss is not None]
        self._loss_weights = np.array([output.loss_weight for output in with_loss] or [1.0])
        own_losses = [self._of_metric[metric].start for metric in program.metrics if metric.is_loss]
        self._places_of_losses = np.array(own_losses, np.int32)
        self.numbers = len(self._loss_weights) + bool(program.penalties)
        """How many of a step's numbers are used here."""

    def numbers_of(self, scales: HostArray, weights: HostArray) -> list[list[float]]:
        """Return these numbers of several steps, from the scales of their losses' gradients and their row weights."""
        numbers = np.outer(scales, self._loss_weights)
        if self._program.penalties:
            numbers = np.column_stack([numbers, weights if self._is_mean else np.ones_like(weights)])
        found: list[list[float]] = numbers.tolist()
        return found

    @property
    def _is_mean(self) -> bool:
        """Whether penalties in a sum over rows are multiplied by the row weights."""
        assert self._program.loss is not None, "the network checks that it is compiled"
        return self._program.loss.reduction == "mean"

    def add_penalties(self, parameters: Array, totals: Array, weight: float) -> None:
        """Add the penalties of an evaluation over rows of this weight."""
        if self._regularization.factors is not None:
            trained = parameters[: self._regularization.factors[0].size]
            self._backend.add_penalty(
                trained, *self._regularization.factors, totals[:1], weight if self._is_mean else 1.0
            )

    def add(
        self,
        scores: Array,
        y: Array | None,
        weights: Array | None,
        numbers: Array,
        clock: Array,
        totals: Array,
        out: Array,
        buffers: Buffers,
        parameters: Array | None = None,
    ) -> None:
        """Write the loss's gradient to out, add the sums of loss and metrics to totals, and end the step.

        With parameters, their penalties are added, too.
        """
        program, backend, factors = self._program, self._backend, self._regularization.factors
        assert program.loss is not None, "the network checks that it is compiled"
        if parameters is not None and factors is not None:  # first, because the loss launch checks the sum for NaN
            trained, place = parameters[: factors[0].size], self.numbers - 1
            backend.add_penalty(trained, *factors, totals[:1], numbers=numbers, place=place)
        if program.outputs:
            self._add_of_outputs(scores, y, weights, numbers, clock, totals, out, buffers)
            return
        backend.end_step(program.loss, self._in_loss, scores, y, weights, numbers, clock, totals, out)
        others = [metric for metric in program.metrics if metric is not self._in_loss]
        predictions = scores
        if any(metric.reads_predictions for metric in others):
            predictions = buffers.get("predictions", tuple(scores.shape))
            predictions = self._measuring.predictions(scores, predictions)
        for metric in others:
            read = predictions if metric.reads_predictions else scores
            backend.add_metric(metric, read, y, weights, totals[self._of_metric[metric]])

    def _add_of_outputs(
        self,
        scores: Array,
        y: Array | None,
        weights: Array | None,
        numbers: Array,
        clock: Array,
        totals: Array,
        out: Array,
        buffers: Buffers,
    ) -> None:
        backend, loss_number = self._backend, 0
        losses: Any = buffers.get("losses", self._loss_weights.shape, dtype=np.float64)
        for number, output in enumerate(self._program.outputs):
            first, width = output.columns[0], output.width
            if output.loss is None:
                copy_columns(None, 0, out, first, width)
                continue
            own = buffers.get("scores", (len(scores), width), number)
            slope = buffers.get("dscores", (len(scores), width), number)
            copy_columns(scores, first, own, 0, width)
            wanted = self._targets_of(output, y, buffers, number)
            counts: Any = weights
            if weights is not None and weights.ndim > 1:
                counts = buffers.get("weights", (len(scores),), number)
                copy_columns(weights, number, counts.reshape(-1, 1), 0, 1)
            place = slice(loss_number, loss_number + 1)
            backend.add_loss(output.loss, own, wanted, counts, numbers[place], slope, losses[place])
            copy_columns(slope, 0, out, first, width)
            loss_number += 1
            self._add_metrics(output, number, own, wanted, counts, totals, buffers)
        loss_weights = self._constant(buffers, "loss weights", self._loss_weights)
        places = self._constant(buffers, "places of losses", self._places_of_losses)
        launchers.join_losses(losses, loss_weights, places, totals, clock, self._program.dtype)

    @staticmethod
    def _constant(buffers: Buffers, name: str, values: HostArray) -> Array:
        return buffers.get(name, values.shape, dtype=values.dtype, fill=values)

    def _targets_of(self, output: Output, y: Array | None, buffers: Buffers, number: int) -> Array:
        assert y is not None, "an output with a loss has targets"
        first, last = output.targets
        if output.takes_labels:
            labels = buffers.get("labels", (len(y),), number, np.int64)
            launchers.labels_of(y, first, labels)
            return labels
        targets = buffers.get("targets", (len(y), last - first), number)
        copy_columns(y, first, targets, 0, last - first)
        return targets

    def _add_metrics(
        self,
        output: Output,
        number: int,
        own: Array,
        wanted: Array,
        weights: Array | None,
        totals: Array,
        buffers: Buffers,
    ) -> None:
        predictions = None
        for metric in self._program.metrics:
            if metric.output != number or metric.is_loss:
                continue
            read = own
            if metric.reads_predictions:
                if predictions is None:
                    predictions = buffers.get("predictions", tuple(own.shape), number)
                    predictions = self._backend.activation(registry.activation(output.head), own, out=predictions)
                read = predictions
            self._backend.add_metric(metric, read, wanted, weights, totals[self._of_metric[metric]])
