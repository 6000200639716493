"""Objectives of members, by task: the loss, the last activation, encoded targets, the score.

scikit-learn minimizes ½ Σ(y - t)² over outputs, and the sum of the labels' cross-entropies; dnnkit's losses are means
over outputs. The minimum is the same and the gradients are proportional, so learning rates are multiplied by the
factor, and penalties and tolerances on gradients are divided by it.
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
    """An objective.

    Attributes:
        loss: dnnkit's loss.
        objective: scikit-learn's objective divided by it.
        reported: the loss that scikit-learn reports, divided by it.
    """

    loss: Loss
    objective: float = 1.0
    reported: float = 1.0


def aim_of(settings: Settings, data: EncodedData) -> Aim:
    """Return the objective for a loss and a task; raise `ConfigurationError` if the loss does not fit the task."""
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
            f"loss is {given!r}, which is not a loss of the probabilities of a {task} target: expected 'log_loss', or "
            f"{'categorical' if task == 'multiclass' else 'binary'}_focal_crossentropy"
        )
    if isinstance(loss, MeanSquaredError):
        return Aim(loss, outputs / 2, 1 / 2)
    return Aim(loss)


def output_activation(loss: Loss, data: EncodedData) -> str | Formula:
    """Return the last activation: probabilities, numbers, or positive numbers if the loss requires them."""
    if data.task != "regression":
        return "softmax" if data.task == "multiclass" else "sigmoid"
    if loss.kernel in ("poisson", "gamma"):
        return Formula("exponential", "exp(x)")
    return "linear"


def targets_of(loss: Loss, part: Part, data: EncodedData, dtype: str) -> NDArray[Any]:
    """Return targets in the form that the loss expects."""
    if data.task == "multiclass" and loss.targets != "labels":
        return np.eye(data.outputs, dtype=dtype)[part.y]  # type: ignore[no-any-return]
    values: NDArray[Any] = part.y.astype(dtype)
    return values[:, None] if data.task == "binary" else part.y


def exact_match(y_true: Any, y_pred: Any) -> Any:
    """Return whether all labels of a row are correct, as scikit-learn's multilabel accuracy does."""
    xp = namespace(y_pred)
    return xp.astype(xp.all((y_pred > 0.5) == (y_true > 0.5), axis=1), y_pred.dtype)


SCORES: dict[str, Any] = {
    "binary": "binary_accuracy",
    "multiclass": "accuracy",
    "multilabel": exact_match,
    "regression": "r2_score",
}
"""The score of held-out rows, by task."""
