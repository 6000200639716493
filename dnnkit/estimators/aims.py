"""What members minimise, by task: the loss, what the network ends with, targets as the loss takes them, the score.

scikit-learn minimises half of Σ(y - t)² over outputs, and the sum of the cross-entropies of labels; dnnkit's losses are
means over outputs. The minimum is the same, the gradient is a number times the other's: so learning rates are
multiplied by that number, penalties and what is compared with gradients divided.
"""

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dnnkit.base_loss import LOSSES, Loss
from dnnkit.deferred import dataclass
from dnnkit.errors import ConfigurationError
from dnnkit.estimators.data import EncodedData, Part
from dnnkit.estimators.settings import Settings
from dnnkit.formula import Formula
from dnnkit.kernels import registry
from dnnkit.kernels.array import namespace
from dnnkit.losses import BinaryCrossentropy, MeanSquaredError, SparseCategoricalCrossentropy


@dataclass(frozen=True)
class Aim:
    """What is minimised.

    Attributes:
        loss: dnnkit's.
        objective: scikit-learn's objective, in multiples of it.
        reported: the loss that scikit-learn reports, in multiples of it.
    """

    loss: Loss
    objective: float = 1.0
    reported: float = 1.0


def aim_of(settings: Settings, data: EncodedData) -> Aim:
    """Of a loss by name and a task; raises `ConfigurationError` where the loss is none of the task's."""
    given, task, outputs = settings.loss, data.task, data.outputs
    if given == "log_loss":
        if task == "multiclass":
            return Aim(SparseCategoricalCrossentropy(label_smoothing=settings.label_smoothing))
        return Aim(BinaryCrossentropy(label_smoothing=settings.label_smoothing), outputs, outputs)
    loss = LOSSES.make(given, Loss)
    if settings.label_smoothing and hasattr(loss, "label_smoothing"):
        loss = replace(loss, label_smoothing=settings.label_smoothing)
    kernel = registry.loss(loss.kernel) if loss.kernel is not None else None
    gives = None if kernel is None else kernel.outputs
    if task != "regression" and kernel is not None and gives != ("categorical" if task == "multiclass" else "binary"):
        raise ConfigurationError(
            f"loss is {given!r}, which is none of the probabilities of a {task} target: expected 'log_loss', or "
            f"{'categorical' if task == 'multiclass' else 'binary'}_focal_crossentropy"
        )
    if isinstance(loss, MeanSquaredError):
        return Aim(loss, outputs / 2, 1 / 2)
    return Aim(loss)


def output_activation(loss: Loss, data: EncodedData) -> str | Formula:
    """The last activation: probabilities of classes, numbers, or numbers above 0 where the loss wants such."""
    if data.task != "regression":
        return "softmax" if data.task == "multiclass" else "sigmoid"
    if loss.kernel in ("poisson", "gamma"):
        return Formula("exponential", "exp(x)")
    return "linear"


def targets_of(loss: Loss, part: Part, data: EncodedData, dtype: str) -> NDArray[Any]:
    """As the loss takes them."""
    if data.task == "multiclass" and loss.targets != "labels":
        return np.eye(data.outputs, dtype=dtype)[part.y]  # type: ignore[no-any-return]
    values: NDArray[Any] = part.y.astype(dtype)
    return values[:, None] if data.task == "binary" else part.y


def exact_match(y_true: Any, y_pred: Any) -> Any:
    """Whether all labels of a row are right, as scikit-learn's accuracy of several labels has it."""
    xp = namespace(y_pred)
    return xp.astype(xp.all((y_pred > 0.5) == (y_true > 0.5), axis=1), y_pred.dtype)


SCORES: dict[str, Any] = {
    "binary": "binary_accuracy",
    "multiclass": "accuracy",
    "multilabel": exact_match,
    "regression": "r2_score",
}
"""What the score of rows that are held out is, by task."""
