"""Encoded data that the networks of an estimator are trained on, and curves of their training."""

from collections.abc import Callable
from dataclasses import field
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from dnnkit.deferred import dataclass

Task: TypeAlias = Literal["binary", "multiclass", "multilabel", "regression"]
Progress: TypeAlias = Callable[[str], None]
"""Accepts lines of text for the user."""


@dataclass(frozen=True)
class Part:
    """Rows with their targets.

    Attributes:
        x: (N, F) numbers in the network's dtype, as an array or `CompressedRows`.
        y: class numbers (N,) int64 for the tasks "binary" and "multiclass"; rows (N, K) in the network's dtype, of
            zeros and ones for "multilabel", of numbers for "regression".
        weights: weight of each row (N,); None for equal weights.
    """

    x: Any
    y: NDArray[Any]
    weights: NDArray[np.float64] | None = None

    @property
    def rows(self) -> int:
        """Number of rows."""
        return int(self.x.shape[0])

    def only(self, which: NDArray[np.intp]) -> "Part":
        """Return the rows with the given indices."""
        return Part(self.x[which], self.y[which], None if self.weights is None else self.weights[which])


@dataclass(frozen=True)
class Columns:
    """The origin of the columns of x.

    Attributes:
        numbers: columns that are numbers.
        one_hot: indicator columns: zeros and ones of a category, ±1 of a category with two values, missing values.
        embedded: columns of integer codes for an Embedding layer, as (column, number of codes).
    """

    numbers: tuple[int, ...] = ()
    one_hot: tuple[int, ...] = ()
    embedded: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True)
class EncodedData:
    """The data that members are trained on."""

    train: Part
    validation: Part | None
    """Validation data given to `fit`; what is held out of `train` is decided by the preset."""
    columns: Columns
    task: Task
    outputs: int
    """Number of classes for "multiclass", labels for "multilabel", targets for "regression"; 1 for "binary"."""


@dataclass
class Curve:
    """History of the training of one member."""

    losses: list[float] = field(default_factory=list)
    scores: list[float] | None = None
    """Accuracy or R² on the held-out rows, if the preset computes it."""
    best_loss: float | None = None
    best_score: float | None = None
    epochs: int = 0
    """Epochs of the last call of `fit` or `partial_fit`."""
    rows_seen: int = 0
    waited: int = 0
    """Epochs since the last improvement."""
    ended: str = ""
    """Reason why training ended."""
