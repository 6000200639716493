"""Loss and metrics summed over the batches of an epoch, on the device until they are read."""

from collections.abc import Sequence
from typing import Any

from dnnkit.backends.measures import Metric
from dnnkit.backends.operations import Operations
from dnnkit.backends.state import EpochSums, Totals
from dnnkit.kernels.array import Array


class Accumulator:
    """Running sums. Adding never waits for the device; `read` does."""

    def __init__(self, metrics: Sequence[Metric], reduction: Any, backend: Operations) -> None:
        self._xp, self._to_numpy, self._counts = backend.xp, backend.to_numpy, [metric.sums for metric in metrics]
        self._loss = self._on_device(0.0)
        self._weight = 0.0
        self._metrics: list[Any] = [0.0 if count == 1 else self._on_device([0.0] * count) for count in self._counts]
        self._reduction = reduction
        self._first = self._steps = 0
        self._sound_steps: Array = self._xp.asarray(0)

    def add(self, loss: Array, weight: float, metrics: list[Array]) -> None:
        """Add a batch: its loss sum, sum of row weights, and the sum, or sums (S,), of each metric."""
        self._loss = self._loss + loss
        self._weight += weight
        self._metrics = [total + value for total, value in zip(self._metrics, metrics, strict=True)]
        self._steps += 1
        # A NaN total stays NaN, so the steps before it can be counted without reading from the device.
        sound = self._loss == self._loss
        self._sound_steps = self._xp.where(sound, self._sound_steps + 1, self._sound_steps)

    def sums(self) -> EpochSums:
        """Return the sums, from which the epoch can be resumed."""
        totals = self.read()
        return EpochSums(self._first, self._weight, ((totals.loss, *totals.metrics),), totals.nan_step)

    def go_on_from(self, sums: EpochSums, step: int) -> None:
        """Add to the sums of earlier steps."""
        self._first, self._weight, self._steps = sums.first, sums.weight, step
        loss, *metrics = sums.total
        self._loss, self._metrics = self._on_device(loss), []
        for count in self._counts:
            own, metrics = metrics[:count], metrics[count:]
            self._metrics.append(self._on_device(own[0] if count == 1 else own))
        self._sound_steps = self._xp.asarray(step if sums.nan_step < 0 else sums.nan_step)

    def _on_device(self, sums: Any) -> Array:
        return self._xp.asarray(sums, dtype=self._xp.float64)

    def _on_host(self) -> list[float]:
        """Return the sums of all metrics, one metric after another."""
        found: list[float] = []
        for total, count in zip(self._metrics, self._counts, strict=True):
            found += [float(total)] if count == 1 else self._to_numpy(total).tolist()
        return found

    def read(self) -> Totals:
        """Return the sums as plain numbers."""
        sound = int(self._sound_steps)
        return Totals(
            float(self._loss),
            self._weight,
            tuple(self._on_host()),
            self._reduction,
            nan_step=-1 if sound == self._steps else sound,
        )
