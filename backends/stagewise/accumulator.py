"""Loss and metrics summed over the batches of an epoch, on the device until they are read."""

from typing import Any

from dnnkit.backends.program import EpochSums, Totals
from dnnkit.kernels.array import Array, Namespace


class Accumulator:
    """Running sums. Adding never waits for the device; `read` does."""

    def __init__(self, metrics: int, reduction: Any, xp: Namespace) -> None:
        self._xp = xp
        self._loss: Array = xp.asarray(0.0, dtype=xp.float64)
        self._weight = 0.0
        self._metrics: list[Any] = [0.0] * metrics
        self._reduction = reduction
        self._first = self._steps = 0
        self._sound_steps: Array = xp.asarray(0)

    def add(self, loss: Array, weight: float, metrics: list[Array]) -> None:
        """A batch's loss sum, sum of row weights, and metric sums."""
        self._loss = self._loss + loss
        self._weight += weight
        self._metrics = [total + value for total, value in zip(self._metrics, metrics, strict=True)]
        self._steps += 1
        # A total that is NaN stays NaN, so the steps before that are counted without asking the device.
        sound = self._loss == self._loss
        self._sound_steps = self._xp.where(sound, self._sound_steps + 1, self._sound_steps)

    def sums(self) -> EpochSums:
        """The sums, to go on from."""
        totals = self.read()
        return EpochSums(self._first, self._weight, ((totals.loss, *totals.metrics),), totals.nan_step)

    def go_on_from(self, sums: EpochSums, step: int) -> None:
        """Add to the sums of the steps before this one."""
        self._first, self._weight, self._steps = sums.first, sums.weight, step
        loss, *metrics = (self._xp.asarray(value, dtype=self._xp.float64) for value in sums.total)
        self._loss, self._metrics = loss, metrics
        self._sound_steps = self._xp.asarray(step if sums.nan_step < 0 else sums.nan_step)

    def read(self) -> Totals:
        """The sums as plain numbers."""
        sound = int(self._sound_steps)
        return Totals(
            float(self._loss),
            self._weight,
            tuple(float(total) for total in self._metrics),
            self._reduction,
            nan_step=-1 if sound == self._steps else sound,
        )
