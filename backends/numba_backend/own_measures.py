"""User-defined losses and metrics, each with its part of a batch and the place of its sum."""

from collections.abc import Iterator
from itertools import accumulate

from dnnkit.backends.measures import CustomLoss, CustomMetric, Metric
from dnnkit.backends.outputs import Output, of_output
from dnnkit.backends.program import Program
from dnnkit.backends.state import HostArray
from dnnkit.deferred import dataclass


@dataclass(frozen=True)
class OwnLoss:
    """A user-defined loss; with several outputs, of output `number`."""

    loss: CustomLoss
    place: int
    """Index of its sum among those of loss and metrics."""
    number: int = 0
    part: Output | None = None

    @property
    def factor(self) -> float:
        """Factor of its gradient in the sum of all."""
        return 1.0 if self.part is None else self.part.loss_weight

    def of(self, targets: HostArray, scores: HostArray) -> tuple[HostArray, HostArray]:
        """Return its part of all targets and scores."""
        return of_output(self.part, targets, scores)


@dataclass(frozen=True)
class OwnMetric:
    """A user-defined metric; with several outputs, of output `number`."""

    metric: CustomMetric
    place: int
    number: int
    part: Output | None = None

    def of(self, targets: HostArray, scores: HostArray) -> tuple[HostArray, HostArray]:
        """Return its part of all targets and scores."""
        return of_output(self.part, targets, scores)


def own_losses(program: Program) -> list[OwnLoss]:
    """Return a program's user-defined losses."""
    if not program.outputs:
        loss = program.loss
        return [] if loss is None or isinstance(loss.kernel, str) else [OwnLoss(loss.kernel, 0)]
    return [
        OwnLoss(part.loss.kernel, place, metric.output, part)
        for metric, place in _placed(program)
        if metric.is_loss
        for part in [program.outputs[metric.output]]
        if part.loss is not None and not isinstance(part.loss.kernel, str)
    ]


def own_metrics(program: Program) -> list[OwnMetric]:
    """Return a program's user-defined metrics."""
    return [
        OwnMetric(metric.kernel, place, metric.output, program.part(metric))
        for metric, place in _placed(program)
        if metric.is_own and not isinstance(metric.kernel, str)
    ]


def _placed(program: Program) -> Iterator[tuple[Metric, int]]:
    """Yield each metric with the index of its first sum."""
    return zip(program.metrics, accumulate((metric.sums for metric in program.metrics), initial=1), strict=False)
