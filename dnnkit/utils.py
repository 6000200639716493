"""Small utilities under Keras's names."""

import random
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dnnkit.errors import DataError
from dnnkit.instead import refuse
from dnnkit.namespaces import open_namespace
from dnnkit.network.checks import check_count
from dnnkit.seeds import check_seed, reset_seed
from dnnkit.settings import shown

__all__ = ["normalize", "plot_model", "set_random_seed", "to_categorical"]

SHOWN = frozenset({"show_shapes", "show_layer_names", "show_layer_activations", "show_trainable", "rankdir", "dpi"})
"""Keras's options for a picture, accepted and ignored: names, shapes, activations, frozen layers are always shown."""


def to_categorical(x: Any, num_classes: int | None = None) -> NDArray[np.float32]:
    """Return one-hot rows (..., C) of integer classes (...) or (..., 1).

    Arguments:
        x: integers from 0.
        num_classes: C; default the largest class plus 1.

    Raises:
        DataError: a number is not an integer, negative, or too large for `num_classes`.
    """
    given = np.asarray(x)
    if given.dtype.kind not in "biuf" or not given.size:
        raise DataError(f"x is {shown(x)}: expected class numbers, such as [0, 2, 1]")
    labels = given.astype(np.int64)
    if not (labels == given).all():
        raise DataError(f"x has {given[labels != given][0]:g}: expected whole class numbers")
    if labels.ndim > 1 and labels.shape[-1] == 1:
        labels = labels[..., 0]
    least, most = int(labels.min()), int(labels.max())
    classes = most + 1 if num_classes is None else check_count("num_classes", num_classes)
    if least < 0 or most >= classes:
        raise DataError(f"x has class numbers from {least} to {most}: expected 0 to {max(classes, 1) - 1}")
    rows = np.zeros((*labels.shape, classes), np.float32)
    np.put_along_axis(rows, labels[..., None], 1, axis=-1)
    return rows


def plot_model(model: Any, to_file: str | Path = "model.png", **shown: Any) -> Any:
    """Write a picture of a network; Keras's name for `net.plot(to_file)`.

    Arguments:
        model: the network.
        to_file: file to write, in the format of its extension.
        shown: Keras's `show_shapes` and similar options, accepted and ignored: everything is always shown.

    Returns:
        A matplotlib `Figure`.
    """
    refuse("plot_model", [name for name in shown if name not in SHOWN], plot_model)
    return model.plot(to_file)


def set_random_seed(seed: int) -> None:
    """Seed Python's `random`, NumPy's `np.random`, and networks created without a seed.

    Arguments:
        seed: integer from 0 to 2**32 - 1.
    """
    checked = check_seed(seed)
    random.seed(checked)
    np.random.seed(checked)
    reset_seed(checked)


def normalize(x: Any, axis: int = -1, order: int = 2) -> NDArray[Any]:
    """Divide x by its norm along an axis; all-zero vectors stay zero.

    Arguments:
        x: array of numbers.
        axis: axis of the norm, default the last.
        order: order of the norm, default 2.
    """
    given = np.asarray(x, float)
    norm = np.linalg.norm(given, order, axis, keepdims=True)
    return given / np.where(norm == 0, 1, norm)


open_namespace(__name__)
