"""Losses: what training minimises. A cross-entropy after its own activation is fused with it, on logits."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, Literal

from dnnkit.backends.program import Loss as LossDescription
from dnnkit.errors import ConfigurationError
from dnnkit.kernels import registry
from dnnkit.kernels._reference.rows import one_hot, weigh
from dnnkit.kernels.array import Array, Namespace
from dnnkit.registry import Registry
from dnnkit.settings import FLAG, Settings, numbers


class Loss(Settings):
    """Base of all losses, and of your own.

    Your own loss is a frozen dataclass with `loss_and_gradient`; set `targets` to "labels" if it wants class numbers
    (N,), to "any" if it reads targets of any shape (N, ...) by itself, and `reduction` to "sum" if it is not a mean
    over rows.
    """

    kernel: ClassVar[str | None] = None
    """The loss kernel on what the network puts out."""
    fused: ClassVar[tuple[str, str] | None] = None
    """(activation, kernel): the kernel on logits that takes the place of the activation and the loss."""
    targets: ClassVar[Literal["labels", "values", "any"]] = "values"
    reduction: ClassVar[Literal["mean", "sum"]] = "mean"
    from_logits: bool = False

    def lower(self, last_activation: str) -> tuple[LossDescription, bool]:
        """The loss as backends see it, and whether it has taken over the network's last activation."""
        if self.kernel is None:
            return LossDescription(self, self.targets, self.reduction), False
        takes_over = self.fused is not None and last_activation == self.fused[0] and not self.from_logits
        on_logits = takes_over or self.from_logits
        kernel = self.fused[1] if self.fused is not None and on_logits else self.kernel
        return LossDescription(kernel, self.targets, registry.loss(kernel).reduction), takes_over

    def loss_and_gradient(
        self, predictions: Array, targets: Array, weights: Array | None, scale: float, xp: Namespace
    ) -> tuple[Array, Array]:
        """Your own loss: weighted sum of row losses, and `scale` times its gradient in the predictions (B, K)."""
        raise NotImplementedError(f"{type(self).__name__} has no loss_and_gradient")


@dataclass(frozen=True)
class KernelLoss(Loss):
    """A loss kernel by its name, on what the network puts out."""

    kernel: str  # type: ignore[misc] # here of the object, elsewhere of the class


def _is_loss(thing: object) -> bool:
    kind = thing.func if isinstance(thing, partial) else thing
    return isinstance(kind, type) and issubclass(kind, Loss)


LOSSES: Registry[Callable[..., Loss]] = Registry("loss", "a subclass of Loss", _is_loss, plural="losses")


@LOSSES.named("mean_squared_error", "mse")
@dataclass(frozen=True)
class MeanSquaredError(Loss):
    """Mean over rows and outputs of (y - t)²."""

    kernel = "mean_squared_error"


@LOSSES.named("sum_squared_error")
@dataclass(frozen=True)
class SumSquaredError(Loss):
    """½ Σ (y - t)², over outputs and rows."""

    kernel = "sum_squared_error"


@LOSSES.named("binary_crossentropy", "bce")
@dataclass(frozen=True)
class BinaryCrossentropy(Loss):
    """-mean(t log p + (1 - t) log(1 - p)); targets in [0, 1]."""

    from_logits: bool = False

    kernel = "binary_crossentropy"
    fused = ("sigmoid", "sigmoid_cross_entropy")
    expects: ClassVar = {"from_logits": FLAG}


@LOSSES.named("categorical_crossentropy", "cce")
@dataclass(frozen=True)
class CategoricalCrossentropy(Loss):
    """-Σ t log p, mean over rows; targets are rows of probabilities, usually one-hot.

    With an `epsilon` the loss is -Σ t log(p + ε), as textbooks write it to keep away from log 0. It is then no longer
    the fused kernel on logits, but computed in Python as a loss of your own.
    """

    from_logits: bool = False
    epsilon: float = 0.0

    kernel = "categorical_crossentropy"
    fused = ("softmax", "softmax_cross_entropy")
    expects: ClassVar = {
        "from_logits": FLAG,
        "epsilon": numbers("a number of at least 0 and below 1, such as 1e-7", lambda number: 0 <= number < 1),
    }

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.epsilon and self.from_logits:
            raise ConfigurationError("epsilon is added to probabilities: it cannot go with from_logits=True")

    def lower(self, last_activation: str) -> tuple[LossDescription, bool]:  # noqa: D102
        if self.epsilon:
            return LossDescription(self, self.targets, "mean"), False
        return super().lower(last_activation)

    def loss_and_gradient(  # noqa: D102
        self, predictions: Array, targets: Array, weights: Array | None, scale: float, xp: Namespace
    ) -> tuple[Array, Array]:
        t, p = one_hot(targets, predictions, xp), predictions + self.epsilon
        return weigh(-xp.sum(t * xp.log(p), axis=1), -t / p * scale, weights, xp)


@LOSSES.named("sparse_categorical_crossentropy", "scce")
@dataclass(frozen=True)
class SparseCategoricalCrossentropy(CategoricalCrossentropy):
    """-log p of the true class, mean over rows; targets are class numbers (N,). See CategoricalCrossentropy."""

    targets = "labels"


def _kernels(loss: Any) -> set[str | None]:
    return {getattr(loss, "kernel", None), *(getattr(loss, "fused", None) or ())}


for _name in registry.names("loss"):  # a kernel that no class above takes is a loss by its own name
    if not any(_name in _kernels(loss) for loss in LOSSES.added()):
        LOSSES.add(_name, partial(KernelLoss, _name))
