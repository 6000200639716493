"""What the networks of an estimator are trained on, and what their training looked like."""

from collections.abc import Callable
from dataclasses import field
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from dnnkit.deferred import dataclass

Task: TypeAlias = Literal["binary", "multiclass", "multilabel", "regression"]
Progress: TypeAlias = Callable[[str], None]
"""What takes a line of text for the user."""


@dataclass(frozen=True)
class Part:
    """Rows with their targets.

    Attributes:
        x: (N, F) numbers in the network's dtype, or a CSR matrix of them.
        y: class numbers (N,) int64 of the tasks "binary" and "multiclass"; rows (N, K) in the network's dtype, of
            zeros and ones for "multilabel", of numbers for "regression".
        weights: (N,), or None where all rows count alike.
    """

    x: Any
    y: NDArray[Any]
    weights: NDArray[np.float64] | None = None

    @property
    def rows(self) -> int:
        """How many there are."""
        return int(self.x.shape[0])

    def only(self, which: NDArray[np.intp]) -> "Part":
        """These rows, by their numbers."""
        return Part(self.x[which], self.y[which], None if self.weights is None else self.weights[which])


@dataclass(frozen=True)
class Columns:
    """What the columns of x were made of.

    Attributes:
        numbers: columns that are numbers.
        one_hot: columns that are zeros and ones of a category, ±1 of one with two, or whether a value is missing.
        embedded: columns of integer codes, with how many codes each has, for an Embedding layer.
    """

    numbers: tuple[int, ...] = ()
    one_hot: tuple[int, ...] = ()
    embedded: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True)
class EncodedData:
    """What members are trained on."""

    train: Part
    validation: Part | None
    """What the user gave to `fit`; what is held out of `train` is the recipe's business."""
    columns: Columns
    task: Task
    outputs: int
    """Classes of "multiclass", labels of "multilabel", numbers of "regression"; 1 of "binary"."""


@dataclass
class Curve:
    """How the training of one member went, epoch by epoch."""

    losses: list[float] = field(default_factory=list)
    scores: list[float] | None = None
    """Accuracy or R² on the rows that were held out, where that is what stops the training."""
    best_loss: float | None = None
    best_score: float | None = None
    epochs: int = 0
    """Of the last call of `fit` or `partial_fit`."""
    rows_seen: int = 0
    waited: int = 0
    """Epochs without improvement so far."""
    ended: str = ""
    """Why the training ended."""
