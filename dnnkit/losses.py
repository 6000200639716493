"""Losses. A cross-entropy that follows its matching activation is fused with it into a kernel on logits.

For losses defined by a formula see `dk.loss`.
"""

from dataclasses import KW_ONLY
from functools import partial
from typing import Any, ClassVar

from dnnkit.backends.measures import Loss as LossDescription
from dnnkit.base_loss import LOSSES, KernelLoss, Loss
from dnnkit.deferred import dataclass
from dnnkit.errors import ConfigurationError
from dnnkit.kernels import registry
from dnnkit.kernels._reference.rows import one_hot, weigh
from dnnkit.kernels.array import Array, Namespace
from dnnkit.losses_of_values import (
    Gamma,
    Hinge,
    Huber,
    LogCosh,
    MeanAbsoluteError,
    MeanSquaredError,
    OfValues,
    Poisson,
    Quantile,
    SquaredHinge,
    SumSquaredError,
)
from dnnkit.namespaces import open_namespace
from dnnkit.settings import FLAG, NOT_NEGATIVE, SHARE, numbers


@LOSSES.named("binary_crossentropy", "bce")
@dataclass(frozen=True)
class BinaryCrossentropy(OfValues):
    """-mean(t log p + (1 - t) log(1 - p)) over rows and outputs; targets are in [0, 1].

    Arguments:
        from_logits: whether the network outputs logits; default False.
        label_smoothing: s in [0, 1) replaces targets by (1 - s) t + s / 2; default 0.
        output_weights: as for all elementwise losses, the weight of each output in the mean; default equal weights.
    """

    from_logits: bool = False
    label_smoothing: float = 0.0

    kernel = "binary_crossentropy"
    fused = ("sigmoid", "sigmoid_cross_entropy")
    expects: ClassVar = {**OfValues.expects, "from_logits": FLAG, "label_smoothing": SHARE}


@LOSSES.named("binary_focal_crossentropy")
@dataclass(frozen=True)
class BinaryFocalCrossentropy(OfValues):
    """Binary cross-entropy times mᵞ, with m the predicted probability of the wrong answer: easy cases count less.

    Arguments:
        apply_class_balancing: whether positives have weight `alpha` and negatives 1 - alpha; default False.
        alpha: weight of positives, from 0 to 1; default 0.25.
        gamma: focusing exponent, at least 0; default 2. 0 gives the cross-entropy.
        from_logits: whether the network outputs logits; default False.
        label_smoothing: s in [0, 1) replaces targets by (1 - s) t + s / 2; default 0.
        output_weights: weight of each output in the mean; default equal weights.

    Source: Lin et al., "Focal Loss for Dense Object Detection", ICCV 2017.
    """

    apply_class_balancing: bool = False
    alpha: float = 0.25
    gamma: float = 2.0
    from_logits: bool = False
    label_smoothing: float = 0.0

    kernel = "binary_focal_crossentropy"
    fused = ("sigmoid", "sigmoid_focal_cross_entropy")
    expects: ClassVar = {
        **BinaryCrossentropy.expects,
        "apply_class_balancing": FLAG,
        "alpha": numbers("a number from 0 to 1", lambda number: 0 <= number <= 1),
        "gamma": NOT_NEGATIVE,
    }

    @property
    def positive(self) -> float:
        """Weight of positive targets."""
        return self.alpha if self.apply_class_balancing else 1.0

    @property
    def negative(self) -> float:
        """Weight of negative targets."""
        return 1 - self.alpha if self.apply_class_balancing else 1.0


@LOSSES.named("kl_divergence", "kld")
@dataclass(frozen=True)
class KLDivergence(Loss):
    """Kullback-Leibler divergence Σ t log(t / p), mean over rows; targets are rows of probabilities."""

    kernel = "kl_divergence"


@LOSSES.named("categorical_focal_crossentropy")
@dataclass(frozen=True)
class CategoricalFocalCrossentropy(Loss):
    """-alpha Σ t (1 - p)ᵞ log p, mean over rows; targets are rows of probabilities, usually one-hot.

    Arguments:
        alpha: overall factor, at least 0; default 0.25.
        gamma: focusing exponent, at least 0; default 2. 0 gives the cross-entropy.
        from_logits: must be False: end the network with a softmax.
        label_smoothing: s in [0, 1) replaces targets by (1 - s) t + s / C for C classes; default 0.

    Source: Lin et al., "Focal Loss for Dense Object Detection", ICCV 2017.
    """

    alpha: float = 0.25
    gamma: float = 2.0
    from_logits: bool = False
    label_smoothing: float = 0.0

    kernel = "categorical_focal_crossentropy"
    expects: ClassVar = {"alpha": NOT_NEGATIVE, "gamma": NOT_NEGATIVE, "from_logits": FLAG, "label_smoothing": SHARE}

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.from_logits:
            raise ConfigurationError(
                "CategoricalFocalCrossentropy(from_logits=True): expected False, because this loss takes "
                "probabilities. End the network with activation='softmax'"
            )


@LOSSES.named("categorical_crossentropy", "cce")
@dataclass(frozen=True)
class CategoricalCrossentropy(Loss):
    """-Σ t log p, mean over rows; targets are rows of probabilities, usually one-hot.

    Arguments:
        from_logits: whether the network outputs logits; default False.
        label_smoothing: s in [0, 1) replaces targets by (1 - s) t + s / C for C classes; default 0.
        epsilon: if not 0, the loss is -Σ t log(p + ε), the textbook form that avoids log 0. It is then not fused but
            computed in Python, like a custom loss. Default 0.
    """

    from_logits: bool = False
    label_smoothing: float = 0.0
    _: KW_ONLY
    epsilon: float = 0.0

    kernel = "categorical_crossentropy"
    fused = ("softmax", "softmax_cross_entropy")
    expects: ClassVar = {
        "from_logits": FLAG,
        "label_smoothing": SHARE,
        "epsilon": numbers("a number of at least 0 and below 1, such as 1e-7", lambda number: 0 <= number < 1),
    }

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.epsilon and self.from_logits:
            raise ConfigurationError("epsilon is added to probabilities: it cannot be combined with from_logits=True")

    def lower(self, last_activation: str) -> tuple[LossDescription, bool]:  # noqa: D102
        if self.epsilon:
            return LossDescription(self, self.targets, "mean"), False
        return super().lower(last_activation)

    def loss_and_gradient(  # noqa: D102
        self, predictions: Array, targets: Array, weights: Array | None, scale: float, xp: Namespace
    ) -> tuple[Array, Array]:
        smoothing, classes = self.label_smoothing, predictions.shape[1]
        t = one_hot(targets, predictions, xp) * (1 - smoothing) + smoothing / classes
        p = predictions + self.epsilon
        return weigh(-xp.sum(t * xp.log(p), axis=1), -t / p * scale, weights, xp)


@LOSSES.named("sparse_categorical_crossentropy", "scce")
@dataclass(frozen=True)
class SparseCategoricalCrossentropy(CategoricalCrossentropy):
    """-log p of the true class, mean over rows; targets are integer classes (N,).

    Arguments:
        from_logits, label_smoothing, epsilon: as for `CategoricalCrossentropy`.
    """

    targets = "labels"


def _kernels(loss: Any) -> set[str | None]:
    return {getattr(loss, "kernel", None), *(getattr(loss, "fused", None) or ())}


for _name in registry.names("loss"):  # a kernel that no class above uses is a loss by its own name
    if not any(_name in _kernels(loss) for loss in LOSSES.added()):
        LOSSES.add(_name, partial(KernelLoss, _name))

__all__ = [
    "LOSSES",
    "BinaryCrossentropy",
    "BinaryFocalCrossentropy",
    "CategoricalCrossentropy",
    "CategoricalFocalCrossentropy",
    "Gamma",
    "Hinge",
    "Huber",
    "KLDivergence",
    "KernelLoss",
    "LogCosh",
    "Loss",
    "MeanAbsoluteError",
    "MeanSquaredError",
    "OfValues",
    "Poisson",
    "Quantile",
    "SparseCategoricalCrossentropy",
    "SquaredHinge",
    "SumSquaredError",
]


open_namespace(__name__, LOSSES)
