"""Losses and metrics of a program."""

from collections.abc import Sequence
from typing import Literal, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from dnnkit.backends.state import HostArray
from dnnkit.deferred import dataclass
from dnnkit.kernels import registry
from dnnkit.kernels.array import Array, Namespace


class CustomLoss(Protocol):
    """Interface of a user-defined loss, on the backend's array namespace `xp`."""

    def loss_and_gradient(
        self, predictions: Array, targets: Array, weights: Array | None, scale: float, xp: Namespace
    ) -> tuple[Array, Array]:
        """Return, as a loss kernel, the weighted sum of the row losses and `scale` times its gradient (B, K)."""
        ...


class CustomMetric(Protocol):
    """Interface of a user-defined metric: one value per row, (B,), from targets and predictions."""

    def __call__(self, xp: Namespace, targets: Array, predictions: Array, weights: Array | None = None) -> Array:
        """Return one value per row, not yet multiplied by its weight."""
        ...


@dataclass(frozen=True)
class Loss:
    """A loss kernel by name, or a user-defined loss; `targets` are class labels (N,) or values (N, K).

    With "any", targets (N, ...) have any shape, and only the loss and user-defined metrics interpret them.
    """

    kernel: str | CustomLoss
    targets: Literal["labels", "values", "any"]
    reduction: Literal["mean", "sum"]

    def target_dtype(self, dtype: str, *, is_floating: bool) -> str:
        """Return the dtype of stored targets, in a program of this dtype; `is_floating` if given as floats."""
        return dtype if self.targets == "values" or (self.targets == "any" and is_floating) else "int64"


Sums: TypeAlias = NDArray[np.float64]


class Finish(Protocol):
    """Computes a metric's value from its sums."""

    def __call__(self, sums: Sums, weight: float) -> float:
        """Return the value from the sums (S,) and the sum of the row weights, which is not 0."""
        ...


class Exact(Protocol):
    """Computes a value exactly that sums can only estimate."""

    def __call__(self, targets: HostArray, predictions: HostArray, weights: HostArray | None) -> float:
        """Return the value from labels (N,) or rows (N, K), predictions (N, K) and row weights (N,)."""
        ...


class OwnLoss:
    """Placeholder kernel of a metric that is the loss of its output, which is summed where it is computed."""

    def __call__(self, xp: Namespace, targets: Array, predictions: Array, weights: Array | None = None) -> Array:
        """Never called: a loss is one sum over a batch."""
        raise NotImplementedError("the loss of an output is summed up where it is computed")


OWN_LOSS = OwnLoss()


@dataclass(frozen=True)
class Metric:
    """A number reported alongside the loss: a weighted mean over rows, or what `finish` computes from sums.

    `kernel` names one of `kernels/metrics`, or is a user-defined function. `threshold` is what binary accuracy compares
    scores with; if no score corresponds to a prediction of ½, `on_predictions` compares predictions. `sums` is the
    number of sums of the kernel. If they only estimate the value, `exact` computes it from all predictions.
    """

    name: str
    kernel: str | CustomMetric
    threshold: float = 0.5
    on_predictions: bool = False
    sums: int = 1
    finish: Finish | None = None
    exact: Exact | None = None
    output: int = 0
    """With several outputs, the one it measures."""

    @property
    def is_loss(self) -> bool:
        """Whether it is the loss of an output."""
        return self.kernel is OWN_LOSS

    @property
    def is_own(self) -> bool:
        """Whether it is user-defined."""
        return not isinstance(self.kernel, str) and not self.is_loss

    @property
    def reads_predictions(self) -> bool:
        """Whether it reads predictions rather than the scores before a head that is fused with the loss."""
        if not isinstance(self.kernel, str):
            return self.is_own
        return self.on_predictions or registry.metric(self.kernel).reads == "predictions"

    def value(self, sums: Sequence[float], weight: float) -> float:
        """Return the value from its sums and the sum of the row weights, which is not 0."""
        return sums[0] / weight if self.finish is None else float(self.finish(np.asarray(sums, np.float64), weight))
