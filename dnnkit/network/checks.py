"""Checks on what people hand over: samples, targets and weights, each with one clear error.

Arrays that a backend can read where they are (a GPU's) stay there; everything is checked in their own namespace.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from dnnkit.backends.base import Backend
from dnnkit.backends.program import Loss, Program
from dnnkit.backends.stagewise.finite import require_finite
from dnnkit.errors import ConfigurationError, DataError, ShapeError
from dnnkit.initializers import Shape
from dnnkit.kernels import registry
from dnnkit.kernels.array import Array, namespace


def as_samples(x: Any, input_shape: Shape | None, backend: Backend) -> Array:
    """x as numbers of shape (N, *input_shape), N at least 1.

    Whether they are finite is not seen here but by the executable that loads them, as it reads them anyway.
    """
    x = _as_numbers("x", x, backend)
    if x.ndim == 1:
        raise ShapeError(
            f"x has shape {_shape(x)}: expected (samples, features). For one feature use x[:, None], "
            "for one sample x[None, :]"
        )
    if input_shape is not None and _shape(x)[1:] != input_shape:
        hint = ""
        if _shape(x) == input_shape:
            hint = "; for a single sample use x[None]"
        elif np.prod(_shape(x)[1:]) == np.prod(input_shape):
            hint = f"; use x.reshape{(-1, *input_shape)}"
        raise ShapeError(f"x has shape {_shape(x)}: expected (samples, {_join(input_shape)}){hint}")
    return x


def as_targets(y: Any, samples: int, program: Program, backend: Backend) -> Array:
    """y as the loss wants it: class numbers (N,) in range, or values (N, outputs)."""
    assert program.loss is not None
    if y is None:
        raise DataError("y is missing: fit and evaluate need the targets of the samples")
    y = _as_numbers("y", y, backend)
    _check_length("y", y, samples)
    if program.loss.targets == "labels":
        _check_labels(y, program.output_features)
    else:
        _check_values(y, program.output_features, program.loss)
    require_finite("y", y, program.dtype)
    return y


def as_weights(weights: Any, samples: int, program: Program, backend: Backend) -> Array | None:
    """Row weights (N,), finite and not negative; None stays None."""
    if weights is None:
        return None
    weights = _as_numbers("sample_weight", weights, backend)
    _check_length("sample_weight", weights, samples)
    if weights.ndim != 1:
        raise ShapeError(f"sample_weight has shape {_shape(weights)}: expected ({samples},), one number a sample")
    require_finite("sample_weight", weights, program.dtype)
    xp = namespace(weights)
    if float(xp.min(weights)) < 0:
        raise DataError("sample_weight has negative numbers: expected 0 or more")
    if float(xp.max(weights)) == 0:
        raise DataError("sample_weight is 0 for every sample: nothing would be trained or measured")
    return weights


def hold_out(share: float, x: Array, y: Array, weights: Array | None, dtype: str) -> tuple[Any, Any]:
    """Samples, targets and weights to train on, and those of that share of the samples, from the end."""
    cut = int(x.shape[0] * (1 - share))
    if not 0 < cut < x.shape[0]:
        raise DataError(f"validation_split={share} of {x.shape[0]} samples leaves one side empty")
    require_finite("x", x, dtype)  # for the row's number is that in all of x, not in a part of it
    parts = [(part[:cut], part[cut:]) if part is not None else (None, None) for part in (x, y, weights)]
    kept, held_out = zip(*parts, strict=True)
    return kept, held_out


def class_weights(weights: Mapping[int, float] | None, y: Array, program: Program, backend: Backend) -> Any:
    """The weight of each row's class (N,), 1 where a class is not named; None stays None."""
    if weights is None:
        return None
    targets = backend.to_numpy(y) if backend.owns(y) else np.asarray(y)
    outputs = program.output_features
    if targets.ndim == 1:
        classes, known = targets, outputs
    elif outputs == 1:
        classes, known = (targets[:, 0] > 0.5).astype(np.int64), 2
    else:
        classes, known = targets.argmax(axis=1), outputs
    table = np.ones(known)
    for name, weight in weights.items():
        if isinstance(name, bool) or not isinstance(name, int | np.integer) or not 0 <= name < known:
            raise ConfigurationError(f"class_weight names a class {name!r}: the classes are 0 to {known - 1}")
        if not np.isfinite(weight) or weight < 0:
            raise ConfigurationError(f"class_weight[{name}] is {weight!r}: expected a finite number, 0 or more")
        table[name] = weight
    return table[classes]


def check_labels(labels: Array, classes: int, name: str) -> None:
    """Raise `DataError` unless every label is in [0, classes)."""
    xp = namespace(labels)
    least, most = int(xp.min(labels)), int(xp.max(labels))
    if least < 0 or most >= classes:
        raise DataError(
            f"{name} has labels from {least} to {most}: expected 0 to {classes - 1}, one for each of the {classes} "
            "outputs. Renumber the labels, or give the last layer as many units as there are classes"
        )


def check_count(name: str, value: Any, least: int = 1) -> int:
    """The value, if it is a whole number of at least `least`."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
        raise ConfigurationError(f"{name} is {value!r}: expected a whole number, {least} or more")
    return int(value)


def check_optional_count(name: str, value: Any) -> int | None:
    """As `check_count`; None stays None."""
    return None if value is None else check_count(name, value)


# -- one property each -----------------------------------------------------------------------------------------------


def _shape(array: Array) -> tuple[int, ...]:
    return tuple(int(size) for size in array.shape)


def _join(shape: tuple[int, ...]) -> str:
    return ", ".join(map(str, shape))


def _as_numbers(name: str, given: Any, backend: Backend) -> Array:
    try:
        array = backend.as_input(given)
    except ValueError as error:
        raise DataError(f"{name} cannot be made an array: {error}. Expected rows of equal length") from error
    xp = namespace(array)
    if isinstance(array, np.ndarray) and array.dtype.kind not in "biuf":
        raise DataError(f"{name} has dtype {array.dtype}: expected numbers; convert it with astype")
    if not xp.isdtype(array.dtype, ("bool", "integral", "real floating")):
        raise DataError(f"{name} has dtype {array.dtype}: expected real numbers; convert it first")
    if array.ndim == 0:
        raise ShapeError(f"{name} is a single number: expected an array with one row a sample")
    if 0 in array.shape:
        raise DataError(f"{name} is empty, of shape {_shape(array)}: expected at least one sample")
    return array


def _check_length(name: str, array: Array, samples: int) -> None:
    if array.shape[0] != samples:
        raise ShapeError(f"x has {samples} samples but {name} has {array.shape[0]}: expected one row for each sample")


def _check_labels(y: Array, classes: int) -> None:
    xp = namespace(y)
    if y.ndim == 2 and y.shape[1] == classes and classes > 1:
        raise ShapeError(
            f"y has shape {_shape(y)}: expected class numbers ({y.shape[0]},). For one-hot rows use "
            "loss='categorical_crossentropy', or pass y.argmax(axis=1)"
        )
    if y.ndim != 1:
        raise ShapeError(f"y has shape {_shape(y)}: expected class numbers ({y.shape[0]},); use y.reshape(-1)")
    if not xp.isdtype(y.dtype, "integral"):
        raise DataError(f"y has dtype {y.dtype}: expected whole class numbers; use y.astype(int)")
    check_labels(y, classes, "y")


def _check_values(y: Array, outputs: int, loss: Loss) -> None:
    shape, kernel = _shape(y), registry.loss(loss.kernel) if isinstance(loss.kernel, str) else None
    if shape != (shape[0], outputs):
        hint = ""
        if y.ndim == 1 and outputs == 1:
            hint = ". Use y[:, None]"
        elif y.ndim == 1 and kernel is not None and kernel.takes_labels:
            hint = ". For class numbers use loss='sparse_categorical_crossentropy'"
        raise ShapeError(f"y has shape {shape}: expected ({shape[0]}, {outputs}), like the network's output{hint}")
    xp = namespace(y)
    if kernel is not None and kernel.outputs == "binary":
        least, most = float(xp.min(y)), float(xp.max(y))
        if least < 0 or most > 1:
            raise DataError(f"y goes from {least:g} to {most:g}: a binary cross-entropy expects targets in [0, 1]")
