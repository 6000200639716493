"""The statistics, against published tables, SciPy and cases computed by hand."""

import math
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from benchmarks.tables import results, scores
from benchmarks.tables.comparing import compare, critical_difference, friedman, groups, ranks
from benchmarks.tables.figure import draw
from benchmarks.tables.methods import METHODS
from benchmarks.tables.records import Record

DEMSAR = np.array(
    [
        [0.763, 0.768, 0.771, 0.798],
        [0.599, 0.591, 0.590, 0.569],
        [0.954, 0.971, 0.968, 0.967],
        [0.628, 0.661, 0.654, 0.657],
        [0.882, 0.888, 0.886, 0.898],
        [0.936, 0.931, 0.916, 0.931],
        [0.661, 0.668, 0.609, 0.685],
        [0.583, 0.583, 0.563, 0.625],
        [0.775, 0.838, 0.866, 0.875],
        [1.000, 1.000, 1.000, 1.000],
        [0.940, 0.962, 0.965, 0.962],
        [0.619, 0.666, 0.614, 0.669],
        [0.972, 0.981, 0.9751, 0.975],  # printed as 0.975, but ranked before the last
        [0.957, 0.978, 0.946, 0.970],
    ]
)
"""AUC of C4.5 with and without its two parameters on 14 data sets: Demšar 2006, table 6."""


def test_ranks_friedman_and_critical_difference_are_those_of_demsar() -> None:
    errors = -DEMSAR
    mean_ranks = ranks(errors).mean(axis=0)
    assert mean_ranks == pytest.approx([3.143, 2.000, 2.893, 1.964], abs=1e-3)
    tied = sum(int(n**3 - n) for row in errors for n in np.unique(row, return_counts=True)[1])
    corrected = 9.28 / (1 - tied / (14 * 4 * (4**2 - 1)))  # Demšar does not correct for ties
    assert friedman(errors) == pytest.approx(stats.chi2.sf(corrected, 3), rel=0.01)
    assert critical_difference(4, 14) == pytest.approx(1.25, abs=0.005)
    assert critical_difference(4, 14, alpha=0.10) == pytest.approx(1.12, abs=0.005)


@pytest.mark.parametrize(("methods", "q"), [(2, 1.960), (3, 2.343), (5, 2.728), (7, 2.949), (10, 3.164)])
def test_nemenyi_quantiles_are_those_of_the_table(methods: int, q: float) -> None:
    assert critical_difference(methods, 6) == pytest.approx(q * math.sqrt(methods * (methods + 1)) / 6, rel=1e-3)


def test_groups_are_the_largest_that_do_not_differ() -> None:
    assert groups(np.array([3.0, 1.0, 2.0, 5.0]), 1.2) == [(1, 2), (2, 0)]
    assert groups(np.array([1.0, 2.0, 3.0]), 2.0) == [(0, 1, 2)]
    assert groups(np.array([1.0, 4.0]), 1.0) == []


def test_a_comparison_counts_wins_and_ties_and_is_scipys_wilcoxon() -> None:
    generator = np.random.default_rng(0)
    first = generator.random(30)
    second = first + generator.normal(0.05, 0.1, 30)
    second[:3] = first[:3]
    found = compare(first, second)
    assert (found.sets, found.ties) == (30, 3)
    assert found.wins == np.sum(first < second)
    assert found.share == (found.wins + 1.5) / 30
    assert found.p == stats.wilcoxon(first, second).pvalue
    assert found.median_difference < 0
    assert compare(first, first).p == 1.0


def test_scores_of_classes_are_scikit_learns() -> None:
    from sklearn import metrics

    generator = np.random.default_rng(1)
    y_fit, y = np.array(["b"] * 6 + ["a"] * 3 + ["c"] * 2), generator.choice(["a", "b", "c"], 50)
    raw = generator.random((50, 3))
    probabilities = raw / raw.sum(axis=1, keepdims=True)
    found = scores.classification(y, probabilities, np.array(["a", "b", "c"]), y_fit)
    predicted = np.array(["a", "b", "c"])[probabilities.argmax(axis=1)]
    assert found["error"] == pytest.approx(1 - metrics.accuracy_score(y, predicted))
    assert found["normalised"] == pytest.approx(found["error"] / np.mean(y != "b"))
    assert found["log_loss"] == pytest.approx(metrics.log_loss(y, probabilities))
    assert found["auc"] == pytest.approx(metrics.roc_auc_score(y, probabilities, multi_class="ovr"))


def test_scores_of_numbers_are_zero_for_the_truth_and_one_for_the_mean() -> None:
    y_fit, y = np.array([1.0, 2.0, 6.0]), np.array([2.0, 8.0])
    assert scores.regression(y, y[:, None], y_fit) == {"error": 0.0, "normalised": 0.0, "mean_absolute": 0.0}
    constant = scores.regression(y, np.full(2, 3.0), y_fit)
    assert constant["normalised"] == 1.0
    assert constant["error"] == pytest.approx(math.sqrt((1 + 25) / 2))


def test_means_cover_halves_of_all_methods_and_exclusion_ignores_dnnkit() -> None:
    baselines = [m.name for m in METHODS.values() if m.baseline and m.sets is None]

    def record(name: str, method: str, repeat: int, error: float, normalised: float) -> Record:
        where = {"set": name, "method": method, "repeat": repeat, "fold": 0}
        return {**where, "seconds": 1.0, "error": error, "normalised": normalised}

    found = [record("iris", method, 0, 0.004, 0.006) for method in baselines]
    found += [record("wine", method, 0, 0.02 + 0.01 * k, 0.1) for k, method in enumerate(baselines)]
    found += [record("diabetes", method, 0, 70.0, 0.985) for method in baselines]
    found += [record("sonar", method, 0, 0.2, 0.4) for method in baselines[1:]]
    found += [record("wine", baselines[0], 1, 0.8, 0.9), record("wine", "dnnkit", 0, 0.0, 0.0)]
    means = results.means(found, baselines)
    assert set(means) == {"iris", "wine", "diabetes"}  # sonar lacks a method
    assert means["wine"][baselines[0]] == {"halves": 1, "seconds": 1.0, "error": 0.02, "normalised": 0.1}
    assert set(results.left_out(found)) == {"iris", "diabetes"}


def test_the_diagram_is_a_picture(tmp_path: Path) -> None:
    path = tmp_path / "ranks.png"
    draw(path, [("a", ["one", "two", "dnnkit"], np.array([1.2, 2.0, 2.8]), 1.0)])
    assert path.read_bytes().startswith(b"\x89PNG")
