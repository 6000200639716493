"""Conversion of targets to the form a loss expects, from rows, columns, lists, booleans and integers of any type."""

from typing import Any

import numpy as np

from dnnkit.backends.base import Backend
from dnnkit.backends.measures import Loss
from dnnkit.backends.program import Program
from dnnkit.backends.stagewise.finite import require_finite
from dnnkit.errors import ConfigurationError, DataError, ShapeError
from dnnkit.kernels import registry
from dnnkit.kernels.array import Array, namespace
from dnnkit.network.checks import as_numbers, check_length, shape_of
from dnnkit.network.target_range import check_range
from dnnkit.settings import NOT_NEGATIVE, shown


def as_targets(y: Any, samples: int, program: Program, backend: Backend) -> Array:
    """Return y as the loss expects it: integer classes (N,), values (N, outputs), or anything for a custom loss.

    Classes are checked to be in range, and may also be a column (N, 1), booleans or integral floats. Values of a single
    output may be a vector (N,).
    """
    assert program.loss is not None
    return as_targets_of("y", y, samples, program.loss, program.output_features, program.dtype, backend)


def as_targets_of(name: str, y: Any, samples: int, loss: Loss, outputs: int, dtype: str, backend: Backend) -> Array:
    """`as_targets` for one loss on `outputs` columns; errors refer to the targets as `name`."""
    if y is None:
        raise DataError("y is missing: fit and evaluate need the targets of the samples")
    y = as_numbers(name, y, backend)
    check_length(name, y, samples)
    if loss.targets == "labels":
        return as_labels(name, y, outputs, dtype)
    if loss.targets == "values":
        y = _as_values(name, y, outputs, loss)
    require_finite(name, y, dtype, backend.surely_finite)
    return y


def as_labels(name: str, y: Array, classes: int, dtype: str = "float64") -> Array:
    """Return classes (N,) of an integer type, each in [0, classes); errors refer to them as `name`."""
    xp, rows = namespace(y), y.shape[0]
    if y.ndim == 2 and y.shape[1] == classes and classes > 1:
        raise ShapeError(
            f"{name} has shape {shape_of(y)}: expected class numbers ({rows},). For one-hot rows use "
            f"loss='categorical_crossentropy', or pass {name}.argmax(axis=1)"
        )
    if shape_of(y) not in ((rows,), (rows, 1)):
        raise ShapeError(
            f"{name} has shape {shape_of(y)}: expected class numbers, ({rows},) or ({rows}, 1), one per sample"
        )
    y = xp.reshape(y, (-1,))
    if isinstance(y, np.ndarray) and not y.dtype.isnative:
        y = y.astype(y.dtype.newbyteorder("="))
    if xp.isdtype(y.dtype, "bool"):
        y = xp.astype(y, xp.int64)
    elif not xp.isdtype(y.dtype, "integral"):
        require_finite(name, y, dtype)
        is_part = xp.floor(y) != y
        if bool(xp.any(is_part)):
            row = int(xp.argmax(xp.astype(is_part, xp.int64)))
            raise DataError(
                f"{name} has {float(y[row]):g} in row {row}: expected whole class numbers from 0 to {classes - 1}. "
                "For targets that are arbitrary numbers use loss='mean_squared_error'"
            )
        check_labels(y, classes, name)
        return xp.astype(y, xp.int64)
    check_labels(y, classes, name)
    return y


def check_labels(labels: Array, classes: int, name: str) -> None:
    """Raise `DataError` unless every label is in [0, classes)."""
    xp = namespace(labels)
    least, most = int(xp.min(labels)), int(xp.max(labels))
    if least < 0 or most >= classes:
        raise DataError(
            f"{name} has labels from {least} to {most}: expected 0 to {classes - 1}, one for each of the {classes} "
            "outputs. Renumber the labels, or give the last layer one unit per class"
        )


def _as_values(name: str, y: Array, outputs: int, loss: Loss) -> Array:
    """Return values (N, outputs); a vector is accepted for one output."""
    xp, shape, kernel = namespace(y), shape_of(y), registry.loss(loss.kernel) if isinstance(loss.kernel, str) else None
    if y.ndim == 1 and outputs == 1:
        y = xp.reshape(y, (-1, 1))
    elif shape != (shape[0], outputs):
        hint = ""
        if kernel is not None and kernel.takes_labels and shape in ((shape[0],), (shape[0], 1)):
            hint = ". For class numbers use loss='sparse_categorical_crossentropy'"
        raise ShapeError(f"{name} has shape {shape}: expected ({shape[0]}, {outputs}), like the network's output{hint}")
    if kernel is not None:
        check_range(y, kernel, name)
    return y


def class_weights(
    weights: Any, y: Array, loss: Loss | None, outputs: int, backend: Backend, of: str = "class_weight"
) -> Any:
    """Return the weight of each row's class (N,), 1 for unlisted classes; None stays None. Errors call it `of`."""
    if weights is None:
        return None
    if not hasattr(weights, "items"):
        raise ConfigurationError(
            f"{of} is {shown(weights)}: expected a mapping of class numbers to weights, such as {{0: 1, 1: 2.5}}. "
            "To balance the classes: dict(enumerate(len(y) / (classes * np.bincount(y))))"
        )
    if loss is not None and loss.targets == "any":
        raise ConfigurationError(
            f"{of} is given, but only your custom loss knows which targets are which class: give sample_weight"
        )
    targets = backend.to_numpy(y) if backend.owns(y) else np.asarray(y)
    if targets.ndim == 1:
        classes, known = targets, outputs
    elif outputs == 1:
        classes, known = (targets[:, 0] > 0.5).astype(np.int64), 2
    else:
        classes, known = targets.argmax(axis=1), outputs
    table = np.ones(known)
    for name, weight in weights.items():
        if isinstance(name, bool) or not isinstance(name, int | np.integer) or not 0 <= name < known:
            raise ConfigurationError(f"{of} has a weight for a class {name!r}: the classes are 0 to {known - 1}")
        table[name] = NOT_NEGATIVE.of(f"{of}[{name}]", weight)
    return table[classes]
