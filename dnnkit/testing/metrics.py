"""Questions about metrics: a weighted sum of one value per row, or several sums."""

from collections.abc import Iterator
from typing import Literal

import numpy as np

from dnnkit.backends.state import HostArray
from dnnkit.errors import DnnkitError
from dnnkit.kernels import registry
from dnnkit.own_metrics import Function
from dnnkit.testing.cases import DTYPES, Case, pairwise
from dnnkit.testing.comparing import check_bits, check_close, check_same
from dnnkit.testing.implementations import Implementation
from dnnkit.testing.questions import question

SHAPES = [(0, 2), (1, 1), (7, 1), (7, 10), (65, 2), (33, 33), (7, 300), (1100, 10), (5000, 7)]
THRESHOLDS = [0.0, 0.5, 1.0]
OWN: dict[str, Function] = {
    "a value per row": lambda y_true, y_pred: y_pred[:, 0] - y_true[:, 0],
    "a value per output": lambda y_true, y_pred: (y_true - y_pred) ** 2,
    "a column": lambda y_true, y_pred: y_pred[:, :1],
    "one number": lambda y_true, y_pred: 0.5,
    "the old form": lambda xp, targets, predictions: xp.max(xp.abs(predictions - targets), axis=1),
}
"""Custom metrics that work with any library's arrays."""


def _targets(kernel: str) -> tuple[Literal["values", "labels"], ...]:
    """Return the kinds of targets: rows, and labels if the reference accepts them."""
    try:
        registry.metric(kernel).total(np.zeros((1, 2)), np.array([1]), None, 0.5, np)
    except Exception:
        return ("values",)
    return ("values", "labels")


def _values(implementation: Implementation, kernel: str) -> Iterator[Case]:
    metric, most = registry.metric(kernel), 10 * implementation.largest
    shapes = [shape for shape in SHAPES if metric.number_of_sums(shape[1]) <= most]
    factors = {"shape": shapes, "given": implementation.variations, "targets": _targets(kernel), "kind": THRESHOLDS}
    for chosen in pairwise(**factors, dtype=DTYPES, weighted=(False, True)):
        yield Case(kernel, **chosen)


def _plain(implementation: Implementation, kernel: str) -> Iterator[Case]:
    for chosen in pairwise(targets=_targets(kernel), shape=[(65, 1), (65, 3), (65, 40)], dtype=DTYPES):
        yield Case(kernel, **chosen)


def _labels(implementation: Implementation, kernel: str) -> Iterator[Case]:
    if "labels" in _targets(kernel):
        for chosen in pairwise(shape=[(65, 3), (65, 300)], kind=["int64", "int32", "uint8"]):
            yield Case(kernel, targets="labels", **chosen)


def _own(implementation: Implementation, kernel: str) -> Iterator[Case]:
    for chosen in pairwise(
        kind=list(OWN), shape=[(1, 1), (7, 1), (7, 10), (33, 33)], dtype=DTYPES, weighted=[False, True]
    ):
        if not (chosen["weighted"] and chosen["kind"] == "one number"):
            yield Case(kernel, **chosen)


@question("metric", "metric", _values)
def values(implementation: Implementation, case: Case) -> None:
    """Sums match the reference, with many ties and many scores exactly at the threshold."""
    rng, (rows, outputs) = case.rng, case.shape
    scores = (rng.integers(0, 5, case.shape) / 2).astype(case.dtype)
    labels = rng.integers(0, outputs, rows)
    rows_of_targets = [np.eye(outputs)[labels], rng.integers(0, 5, case.shape) / 4, -rng.integers(0, 4, case.shape) / 1]
    weights = rng.uniform(0, 2, rows).astype(case.dtype) if case.weighted else None
    for targets in [labels] if case.targets == "labels" else [rows.astype(case.dtype) for rows in rows_of_targets]:
        actual = implementation.metric(case.kernel, scores, targets, weights, case.kind, case.given)
        expected = _expected(case, scores, targets, weights, case.kind)
        check_close("the sum", actual, expected, 1e-12 * np.maximum(1.0, np.abs(expected)))


@question("metric", "metric", _plain)
def nan_and_inf(implementation: Implementation, case: Case) -> None:
    """NaN and infinite scores and targets count as in the reference."""
    rng, (rows, outputs) = case.rng, case.shape
    scores = rng.choice([0.0, 1.0, np.nan, np.inf, -np.inf], case.shape).astype(case.dtype)
    targets = rng.integers(0, outputs, rows) if case.targets == "labels" else scores[::-1].copy()
    actual, expected = implementation.metric(case.kernel, scores, targets), _expected(case, scores, targets, None, 0.5)
    finite = np.isfinite(expected)
    check_same("where the sum is finite", np.isfinite(actual), finite)
    check_same("the sum that is not", actual[~finite], expected[~finite])
    check_close("the sum", actual[finite], expected[finite], 1e-12 * rows)


@question("metric", "metric", _plain)
def any_numbers(implementation: Implementation, case: Case) -> None:
    """Scores and targets without exact representations; differences and sums are in float64."""
    rng, (rows, outputs) = case.rng, case.shape
    scores, weights = rng.normal(size=case.shape).astype(case.dtype), rng.uniform(0, 2, rows).astype(case.dtype)
    targets = rng.integers(0, outputs, rows) if case.targets == "labels" else rng.normal(size=case.shape)
    targets = targets if case.targets == "labels" else targets.astype(case.dtype)
    expected = _expected(case, scores, targets, weights, 0.5)
    actual = implementation.metric(case.kernel, scores, targets, weights)
    check_close("the sum", actual, expected, 1e-12 * np.maximum(1.0, np.abs(expected)) * rows)


@question("metric", "metric", _labels)
def labels_are_one_hot_rows(implementation: Implementation, case: Case) -> None:
    """Labels of any integer dtype are equivalent to one-hot rows; labels out of range are refused or never right."""
    rng, (rows, outputs) = case.rng, case.shape
    scores, labels = rng.normal(size=case.shape), np.minimum(rng.integers(0, outputs, rows), 255)
    scores[np.arange(0, rows, 2), labels[::2]] = 9
    by_label = implementation.metric(case.kernel, scores, labels.astype(case.kind))
    by_row = implementation.metric(case.kernel, scores, np.eye(outputs)[labels])
    check_close("by labels against one-hot rows", by_label, by_row, 1e-12 * rows)
    for label in (-1, outputs, 2**40):
        try:
            actual = implementation.metric(case.kernel, scores[:3], np.full(3, label))
        except (IndexError, ValueError, DnnkitError):
            continue
        expected = _expected(case, scores[:3], np.full(3, label), None, 0.5)
        check_close(f"of labels {label}", actual, expected, 1e-12)


@question("metric", "metric", _plain)
def same_value_each_time(implementation: Implementation, case: Case) -> None:
    """Repeated runs are bitwise identical."""
    rng, (rows, outputs) = case.rng, case.shape
    scores, weights = rng.normal(size=case.shape).astype(case.dtype), rng.uniform(0, 2, rows).astype(case.dtype)
    targets = rng.integers(0, outputs, rows) if case.targets == "labels" else scores[::-1].copy()
    first, second = (implementation.metric(case.kernel, scores, targets, weights) for _ in range(2))
    check_bits("the sum", [[first], [second]])


@question("own metric", "own_metric", _own)
def own(implementation: Implementation, case: Case) -> None:
    """A custom metric of each accepted form matches NumPy in float64."""
    rng, function = case.rng, OWN[case.kind]
    scores, targets = (rng.integers(-4, 5, case.shape).astype(case.dtype) / 4 for _ in range(2))
    weights = rng.integers(0, 5, case.shape[0]).astype(case.dtype) if case.weighted else None
    given = function(np, targets, scores) if case.kind == "the old form" else function(targets, scores)
    columns = np.broadcast_to(given, case.shape[:1])[:, None] if np.ndim(given) < 2 else given
    rows = np.asarray(np.mean(columns, axis=1, dtype=np.float64))
    expected = float(np.sum(rows if weights is None else rows * weights))
    check_close("the sum", implementation.own_metric(function, scores, targets, weights), expected, 1e-12 * len(rows))


def _expected(
    case: Case, scores: HostArray, targets: HostArray, weights: HostArray | None, threshold: float
) -> HostArray:
    with np.errstate(all="ignore"):
        return np.asarray(registry.metric(case.kernel).total(scores, targets, weights, threshold, np))
