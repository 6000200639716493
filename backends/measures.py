"""What a program measures: its loss, and the metrics beside it."""

from collections.abc import Sequence
from typing import Literal, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from dnnkit.backends.state import HostArray
from dnnkit.deferred import dataclass
from dnnkit.kernels import registry
from dnnkit.kernels.array import Array, Namespace


class CustomLoss(Protocol):
    """What a user's own loss computes, on the backend's array namespace `xp`."""

    def loss_and_gradient(
        self, predictions: Array, targets: Array, weights: Array | None, scale: float, xp: Namespace
    ) -> tuple[Array, Array]:
        """As a loss kernel: the weighted sum of the row losses, and `scale` times its gradient (B, K)."""
        ...


class CustomMetric(Protocol):
    """What a user's own metric computes: one value a row, (B,), from targets and predictions."""

    def __call__(self, xp: Namespace, targets: Array, predictions: Array, weights: Array | None = None) -> Array:
        """One value a row, which its weight is not yet part of."""
        ...


@dataclass(frozen=True)
class Loss:
    """A loss kernel by name, or a user's own; `targets` are class labels (N,) or values (N, K).

    Those of a user's own may be "any", (N, ...), which only it, and metrics of the user's own, understand.
    """

    kernel: str | CustomLoss
    targets: Literal["labels", "values", "any"]
    reduction: Literal["mean", "sum"]

    def target_dtype(self, dtype: str, *, is_floating: bool) -> str:
        """What targets are kept as, in a program of that dtype; `is_floating`: they are given as real numbers."""
        return dtype if self.targets == "values" or (self.targets == "any" and is_floating) else "int64"


Sums: TypeAlias = NDArray[np.float64]


class Finish(Protocol):
    """The number that is made of a metric's sums."""

    def __call__(self, sums: Sums, weight: float) -> float:
        """From the sums (S,) and the sum of the row weights, which is not 0."""
        ...


class Exact(Protocol):
    """A number that sums can only estimate."""

    def __call__(self, targets: HostArray, predictions: HostArray, weights: HostArray | None) -> float:
        """From labels (N,) or rows (N, K), predictions (N, K) and row weights (N,)."""
        ...


class OwnLoss:
    """Stands for the kernel of a metric that is the loss of its output, which is summed where that is computed."""

    def __call__(self, xp: Namespace, targets: Array, predictions: Array, weights: Array | None = None) -> Array:
        """Never asked: a loss is one sum of a batch."""
        raise NotImplementedError("the loss of an output is summed up where it is computed")


OWN_LOSS = OwnLoss()


@dataclass(frozen=True)
class Metric:
    """A number reported beside the loss: a mean over rows, weighted like the loss, or what `finish` makes of sums.

    `kernel` names one of `kernels/metrics`, or is a user's own function; `threshold` is what binary accuracy compares
    scores with, or, where no number among the scores means the same as ½ of the predictions, `on_predictions` those.
    The kernel has so many `sums`. If they only estimate the number, `exact` gives it where all predictions are there.
    """

    name: str
    kernel: str | CustomMetric
    threshold: float = 0.5
    on_predictions: bool = False
    sums: int = 1
    finish: Finish | None = None
    exact: Exact | None = None
    output: int = 0
    """Which output it measures, where there are several."""

    @property
    def is_loss(self) -> bool:
        """Whether it is the loss of an output."""
        return self.kernel is OWN_LOSS

    @property
    def is_own(self) -> bool:
        """Whether a user wrote it."""
        return not isinstance(self.kernel, str) and not self.is_loss

    @property
    def reads_predictions(self) -> bool:
        """Whether it wants the network's predictions, not the scores before a head that the loss has taken over."""
        if not isinstance(self.kernel, str):
            return self.is_own
        return self.on_predictions or registry.metric(self.kernel).reads == "predictions"

    def value(self, sums: Sequence[float], weight: float) -> float:
        """The number, of its sums and the sum of the row weights, which is not 0."""
        return sums[0] / weight if self.finish is None else float(self.finish(np.asarray(sums, np.float64), weight))
