"""Kernels as functions on arrays, on the current backend.

    ops.sigmoid(x)                        every activation by name, including custom ones; softmax takes `axis`
    ops.sigmoid_grad(x)                   its derivative at input x; for softmax the Jacobian (..., C, C)
    ops.sigmoid_grad_from_output(y)       its derivative computed from its output y, where that is possible
    ops.mean_squared_error(y_true, y_pred)              every loss, as one number
    ops.mean_squared_error_backward(y_true, y_pred)     its gradient with respect to y_pred
    ops.binary_accuracy(y_true, y_pred), ops.categorical_accuracy(y_true, y_pred)     fraction of correct predictions

Losses have longer aliases too, `binary_cross_entropy_loss`, `binary_cross_entropy_loss_backward`, and so on. Arguments
of a loss class are keyword arguments here (`from_logits=True`; `epsilon=1e-7` for categorical cross-entropies). Arrays
may be anything that `np.asarray` accepts, or the backend's; results are the backend's arrays. Rows of a loss are
samples; a vector is one sample. Cross-entropies clip probabilities and so are always finite (see
`kernels/losses/binary_crossentropy` and `kernels/losses/categorical_crossentropy`).
"""

from collections.abc import Callable
from functools import wraps
from typing import Any

import dnnkit.losses  # noqa: F401 - registers the built-in losses
from dnnkit.activations import key_of
from dnnkit.activations import names as activation_names
from dnnkit.backends.base import Backend
from dnnkit.backends.measures import Loss, Metric
from dnnkit.backends.registry import get_backend
from dnnkit.base_loss import LOSSES, check_outputs
from dnnkit.errors import DataError, ShapeError
from dnnkit.kernels import registry
from dnnkit.kernels.array import Array
from dnnkit.network.targets import as_labels
from dnnkit.registry import did_you_mean
from dnnkit.settings import FINITE

__all__ = ["binary_accuracy", "categorical_accuracy", "softmax"]


def _on_device(function: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap the function to run on the current backend's device."""

    @wraps(function)
    def run(*arguments: Any, **options: Any) -> Any:
        with get_backend().on_device():
            return function(*arguments, **options)

    return run


@_on_device
def softmax(x: Any, axis: int = -1) -> Array:
    """Return exp(x) / Σ exp(x) along an axis.

    Arguments:
        x: array of numbers.
        axis: axis of the sum, default the last.
    """
    backend = get_backend()
    xp = backend.xp
    moved = xp.moveaxis(_floats(x, backend), axis, -1)
    return xp.moveaxis(backend.activation(registry.activation("softmax"), moved), -1, axis)


softmax.stands_for = "softmax"  # type: ignore[attr-defined]


@_on_device
def binary_accuracy(y_true: Any, y_pred: Any, threshold: float = 0.5) -> float:
    """Return the fraction of predictions on the same side of the threshold as their targets are of ½.

    Arguments:
        y_true: targets, 0 or 1.
        y_pred: predictions, in the same shape.
        threshold: predictions above it mean 1; default 0.5.

    Raises:
        ShapeError: the shapes differ.
        DataError: there are no predictions.
    """
    backend = get_backend()
    predictions = _floats(y_pred, backend)
    targets = backend.asarray(y_true)
    shape = tuple(predictions.shape)
    if tuple(targets.shape) != shape:
        raise ShapeError(f"y_true has shape {tuple(targets.shape)} but y_pred has {shape}: expected the same")
    if 0 in shape:
        raise DataError(f"y_pred is empty, of shape {shape}: an accuracy needs at least one prediction")
    metric = Metric("binary_accuracy", "binary_accuracy", FINITE.of("threshold", threshold))
    targets = backend.xp.astype(targets, predictions.dtype)
    scores, targets = (backend.xp.reshape(a, (-1, 1)) for a in (predictions, targets))
    return float(backend.metric(metric, scores, targets, None)) / int(scores.shape[0])


@_on_device
def categorical_accuracy(y_true: Any, y_pred: Any) -> float:
    """Return the fraction of rows whose largest prediction is that of their class.

    Arguments:
        y_true: integer classes (N,), or one-hot rows (N, C).
        y_pred: predictions (N, C).

    Raises:
        ShapeError: the shapes do not match.
        DataError: there are no rows.
    """
    backend = get_backend()
    predictions = _floats(y_pred, backend)
    targets = backend.asarray(y_true)
    rows = predictions.shape[0] if predictions.ndim else 0
    if predictions.ndim != 2 or tuple(targets.shape) not in (tuple(predictions.shape), (rows,), (rows, 1)):
        raise ShapeError(
            f"y_true has shape {tuple(targets.shape)} and y_pred {tuple(predictions.shape)}: expected (N,) or (N, C) "
            "for predictions (N, C)"
        )
    if 0 in predictions.shape:
        raise DataError(f"y_pred is empty, of shape {tuple(predictions.shape)}: an accuracy needs at least one row")
    if tuple(targets.shape) != tuple(predictions.shape):
        targets = as_labels("y_true", targets, int(predictions.shape[1]))
    return float(backend.metric(Metric("accuracy", "categorical_accuracy"), predictions, targets, None)) / int(
        targets.shape[0]
    )


def __getattr__(name: str) -> Callable[..., Array]:
    function = _activation(name) or _loss(name)
    if function is None:
        names = __dir__()
        near = did_you_mean(name, names)
        raise AttributeError(f"dnnkit.ops has no function {name!r}: {near}it has {', '.join(names)}")
    function.__name__ = function.__qualname__ = name
    found = _on_device(function)
    if name in activation_names():
        found.stands_for = name  # type: ignore[attr-defined] # makes layers accept it as an activation
    return found


def __dir__() -> list[str]:
    activations = activation_names()
    references = {name: registry.activation(key_of(name)).reference for name in activations}
    from_output = [name for name in activations if hasattr(references[name], "derivative_from_output")]
    return sorted(
        {
            *__all__,
            *activations,
            *(f"{name}_grad" for name in activations),
            *(f"{name}_grad_from_output" for name in from_output),
            *LOSSES,
            *(f"{name}_backward" for name in LOSSES),
        }
    )


def _activation(name: str) -> Callable[..., Array] | None:
    base, suffix = name, ""
    for ending in ("_grad_from_output", "_grad"):
        if name.endswith(ending):
            base, suffix = name.removesuffix(ending), ending
            break
    if base not in activation_names():
        return None
    activation = registry.activation(key_of(base))
    if not suffix:

        def forward(x: Any) -> Array:
            backend = get_backend()
            return backend.activation(activation, _floats(x, backend))

        forward.__doc__ = f"Return {base}(x), elementwise."
        return forward

    attribute = "derivative" if suffix == "_grad" else "derivative_from_output"
    formula = getattr(activation.reference, attribute if activation.elementwise else "jacobian", None)
    if formula is None:
        return None

    def derivative(x: Any) -> Array:
        backend = get_backend()
        return formula(_floats(x, backend), xp=backend.xp)

    derivative.__doc__ = (
        f"Return the derivative of {base}, {'at its input' if suffix == '_grad' else 'from its output'}."
    )
    return derivative


def _loss(name: str) -> Callable[..., Array] | None:
    backward = name.endswith("_backward")
    base = name.removesuffix("_backward")
    if base not in LOSSES:
        base = base.removesuffix("_loss").replace("cross_entropy", "crossentropy")
    if base not in LOSSES:
        return None

    def function(y_true: Any, y_pred: Any, **options: Any) -> Array:
        loss, _ = LOSSES[base](**options).lower("linear")
        backend = get_backend()
        predictions = _floats(y_pred, backend)
        shape = tuple(predictions.shape)
        rows = backend.xp.reshape(predictions, (1, -1) if predictions.ndim < 2 else (shape[0], -1))
        check_outputs(loss, int(rows.shape[1]), f"y_pred of shape {shape}")
        targets = _targets(y_true, shape, rows, loss, backend)
        scale = 1.0 if loss.reduction == "sum" else 1.0 / rows.shape[0]
        total, gradient = backend.loss(loss, rows, targets, None, scale)
        return backend.xp.reshape(gradient, shape) if backward else total * scale

    what = f"the gradient with respect to y_pred of the loss {base}" if backward else f"the loss {base}"
    function.__doc__ = f"Return {what}; options are the arguments of its class in `dnnkit.losses`."
    return function


def _targets(y_true: Any, shape: tuple[int, ...], rows: Array, loss: Loss, backend: Backend) -> Array:
    targets = backend.asarray(y_true)
    if loss.targets == "labels":
        labels = backend.xp.reshape(targets, (-1,))
        if labels.shape[0] != rows.shape[0]:
            raise ShapeError(f"y_true has {labels.shape[0]} labels for {rows.shape[0]} rows of y_pred")
        return as_labels("y_true", labels, int(rows.shape[1]))
    if tuple(targets.shape) != shape:
        raise ShapeError(f"y_true has shape {tuple(targets.shape)} but y_pred has {shape}: expected the same")
    return backend.xp.astype(backend.xp.reshape(targets, rows.shape), rows.dtype)


def _floats(x: Any, backend: Backend) -> Array:
    """Convert x to a floating-point array of the backend; integers become float64."""
    array = backend.asarray(x)
    return array if backend.xp.isdtype(array.dtype, "real floating") else backend.asarray(array, "float64")
