"""Evaluation and prediction of data that are loaded part by part."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from dnnkit.backends.executable import AfterBatch, Executable
from dnnkit.backends.outputs import of_output, weights_of
from dnnkit.backends.state import HostArray, Totals
from dnnkit.errors import ConfigurationError
from dnnkit.kernels.array import namespace
from dnnkit.streams.batches import BatchFeed
from dnnkit.streams.feeding import StreamFeed
from dnnkit.training.parts import InParts


class LoadedInParts(InParts):
    """Data that are loaded one part at a time; measured values are sums over the parts.

    Arguments:
        parts: returns an iterator over the loaded parts and their numbers of rows.
        rows: total number of rows; 0 if it is unknown before the end.
    """

    def __init__(self, parts: Callable[[], Iterator[tuple[Any, int]]], rows: int = 0) -> None:
        self._parts, self.rows = parts, rows

    @classmethod
    def of(cls, feed: StreamFeed | BatchFeed, rows: int = 0) -> "LoadedInParts":
        """Return the data of a feed."""
        return cls(feed.loaded, rows)

    def measure(
        self, executable: Executable, batch_size: int, parameters: Any, after_batch: AfterBatch | None = None
    ) -> dict[str, float]:
        """See `Executable.measure`. Metrics that need all predictions at once keep them, with the targets."""
        program = executable.program
        exact = [metric for metric in program.metrics if metric.exact is not None]
        kept = list[tuple[HostArray, HostArray, HostArray | None]]()
        totals: Totals | None = None
        batches = seen = 0
        for data, rows in self._parts():
            if totals is not None and program.penalties and totals.reduction == "sum":
                raise ConfigurationError(
                    "the loss is a sum, and layers have penalties: this cannot be measured on data that are loaded in "
                    "parts. Evaluate arrays, or use a loss that is a mean"
                )
            size = min(batch_size, rows)
            report = None if after_batch is None else _offset(after_batch, batches, totals)
            totals = _sum(totals, executable.evaluate(data, size, parameters, report))
            batches, seen = batches + -(-rows // size), seen + rows
            if exact:
                kept.append((executable.predict(data, size, parameters), *executable.targets(data)))
        assert totals is not None, "there is a first part"
        self.rows = seen
        values = totals.means(program.metrics)
        if exact:
            predictions, targets = (np.concatenate([each[place] for each in kept]) for place in (0, 1))
            weighed = kept[0][2] is not None
            weights = np.concatenate([each[2] for each in kept]) if weighed else None
            for metric in exact:
                own = of_output(program.part(metric), targets, predictions)
                assert metric.exact is not None
                values[metric.name] = metric.exact(*own, weights_of(weights, metric.output, namespace(targets)))
        return values

    def predict(self, executable: Executable, batch_size: int, parameters: Any) -> HostArray:
        """See `Executable.predict`."""
        found = [executable.predict(data, min(batch_size, rows), parameters) for data, rows in self._parts()]
        return np.concatenate(found)


def _sum(before: Totals | None, own: Totals) -> Totals:
    """Add two totals."""
    if before is None:
        return own
    metrics = tuple(one + other for one, other in zip(before.metrics, own.metrics, strict=True))
    return own._replace(loss=before.loss + own.loss, weight=before.weight + own.weight, metrics=metrics)


def _offset(after_batch: AfterBatch, batches: int, before: Totals | None) -> AfterBatch:
    return lambda batch, totals: after_batch(batches + batch, _sum(before, totals))
