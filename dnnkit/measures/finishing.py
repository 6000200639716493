"""Metric values from accumulated sums: implementations of `backends.measures.Metric.finish`.

They are frozen dataclasses, because programs are compared by value. Metrics that sums can only estimate are also
computed here from all predictions.
"""

from typing import Literal

import numpy as np

from dnnkit.backends.measures import Sums
from dnnkit.backends.state import HostArray
from dnnkit.deferred import dataclass
from dnnkit.measures.base import Average

NOTHING = 1e-12
"""Fraction of the total weight below which a difference of sums of weights counts as 0."""


@dataclass(frozen=True)
class RootOfMean:
    """√(Σ / n)."""

    def __call__(self, sums: Sums, weight: float) -> float:  # noqa: D102
        return float(np.sqrt(sums[0] / weight))


@dataclass(frozen=True)
class Determination:
    """Coefficient of determination, R² = 1 - Σ(y - t)² / Σ(t - mean)², mean over outputs.

    For an output with constant targets it is 1 if all predictions are exact, otherwise 0, as in scikit-learn.
    """

    def __call__(self, sums: Sums, weight: float) -> float:  # noqa: D102
        targets, squares, errors = sums.reshape(3, -1)
        around_mean = squares - targets**2 / weight
        constant = around_mean <= NOTHING * squares
        share = errors / np.where(constant, 1.0, around_mean)
        return float(np.mean(np.where(constant, np.where(errors == 0, 1.0, 0.0), 1 - share)))


@dataclass(frozen=True)
class Outcomes:
    """Precision, recall or F1 from true positives, predicted positives and actual positives per output: sums (3, K).

    `of` says what the columns are: "one" output for the second of two classes, several independent "answers", or
    "classes" of which one is right. Macro averages are over classes that occur or are predicted, as in scikit-learn,
    or over all answers. 0 / 0 counts as 0.
    """

    share: Literal["precision", "recall", "f1"]
    average: Average
    of: Literal["one", "answers", "classes"]

    def __call__(self, sums: Sums, weight: float) -> float:  # noqa: D102
        counts = sums.reshape(3, -1)
        if self.of == "one" and self.average != "binary":
            counts = both_classes(counts, weight)
        if self.average == "binary":
            counts = counts[:, -1:]
        elif self.average == "micro":
            counts = counts.sum(axis=1, keepdims=True)
        right, predicted, actual = counts
        shares = {
            "precision": lambda: over(right, predicted),
            "recall": lambda: over(right, actual),
            "f1": lambda: over(2 * right, predicted + actual),
        }[self.share]()
        if self.average == "weighted":
            total = float(actual.sum())
            return float(np.dot(shares, actual)) / total if total > 0 else 0.0
        if self.average == "macro" and self.of != "answers":
            shares = shares[(predicted > 0) | (actual > 0)]
        return float(np.mean(shares)) if shares.size else 0.0


@dataclass(frozen=True)
class BalancedRecall:
    """Mean recall over the classes that occur, from the sums (3, K) of `Outcomes`."""

    of: Literal["one", "classes"]

    def __call__(self, sums: Sums, weight: float) -> float:  # noqa: D102
        counts = sums.reshape(3, -1)
        right, _, actual = both_classes(counts, weight) if self.of == "one" else counts
        occurs = actual > 0
        return float(np.mean(right[occurs] / actual[occurs])) if occurs.any() else 0.0


@dataclass(frozen=True)
class AreaOfHistograms:
    """Estimate of the area under the ROC curve from histograms (2, K, bins), mean over outputs; equal bins are ties.

    NaN if an output has rows of only one kind.
    """

    outputs: int

    def __call__(self, sums: Sums, weight: float) -> float:  # noqa: D102
        no, yes = sums.reshape(2, self.outputs, -1)
        return float(np.mean(_area(no, yes)))


@dataclass(frozen=True)
class Area:
    """Area under the ROC curve, mean over outputs, each in one-vs-rest fashion; ties count one half."""

    def __call__(self, targets: HostArray, predictions: HostArray, weights: HostArray | None) -> float:  # noqa: D102
        outputs = predictions.shape[1]
        yes = targets[:, None] == np.arange(outputs) if targets.ndim == 1 else targets > 0.5
        weight = np.ones(len(predictions)) if weights is None else np.asarray(weights, np.float64)
        return float(np.mean([_area_of_scores(yes[:, k], predictions[:, k], weight) for k in range(outputs)]))


def _area_of_scores(yes: HostArray, scores: HostArray, weight: HostArray) -> float:
    order = np.argsort(scores, kind="stable")
    scores, yes, weight = scores[order], yes[order], weight[order]
    starts = np.flatnonzero(np.append(True, scores[1:] != scores[:-1]))
    counted = [np.add.reduceat(np.where(mask, weight, 0.0), starts) for mask in (~yes, yes)]
    return float(_area(*counted))


def _area(no: HostArray, yes: HostArray) -> HostArray:
    """Fraction of pairs in which the positive has the higher score, from weights (..., scores) in ascending order."""
    below = np.cumsum(no, axis=-1) - no / 2
    pairs = np.sum(no, axis=-1) * np.sum(yes, axis=-1)
    with np.errstate(invalid="ignore"):
        return np.asarray(np.sum(yes * below, axis=-1) / np.where(pairs > 0, pairs, np.nan))


def both_classes(counts: HostArray, weight: float) -> HostArray:
    """Return the counts (3, 2) of both classes, given those of the second (3, 1) and the total weight."""
    right, predicted, actual = counts[:, 0]
    other = np.array([weight - predicted - actual + right, weight - predicted, weight - actual])
    return np.stack([np.where(other > NOTHING * weight, other, 0.0), counts[:, 0]], axis=1)


def over(some: HostArray, all_of_them: HostArray) -> HostArray:
    """Divide, with 0 / 0 = 0."""
    is_some = np.asarray(all_of_them) > 0
    return np.where(is_some, some, 0.0) / np.where(is_some, all_of_them, 1.0)
