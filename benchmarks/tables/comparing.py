"""Comparison of methods over data sets: ranks, Friedman, Nemenyi's critical difference, Wilcoxon.

Source: Demšar, Statistical Comparisons of Classifiers over Multiple Data Sets, JMLR 7 (2006).
"""

from dataclasses import dataclass

import numpy as np

ALPHA = 0.05


def ranks(scores: np.ndarray) -> np.ndarray:
    """Rank the methods on each data set.

    Arguments:
        scores: errors (sets, methods); smaller is better.

    Returns:
        (sets, methods): 1 for the best; ties get the mean of their ranks.
    """
    from scipy.stats import rankdata

    return np.asarray(rankdata(scores, axis=1))


def friedman(scores: np.ndarray) -> float:
    """Return the p-value of the hypothesis that all methods perform equally."""
    from scipy.stats import friedmanchisquare

    return float(friedmanchisquare(*scores.T).pvalue)


def critical_difference(methods: int, sets: int, alpha: float = ALPHA) -> float:
    """Return Nemenyi's critical difference of mean ranks, from which two methods differ significantly.

    q √(k (k + 1) / 6N), where q is the quantile of the studentized range for k methods and infinite
    degrees of freedom, over √2.
    """
    from scipy.stats import studentized_range

    q = float(studentized_range.ppf(1 - alpha, methods, np.inf)) / np.sqrt(2)
    return float(q * np.sqrt(methods * (methods + 1) / (6 * sets)))


def groups(mean_ranks: np.ndarray, difference: float) -> list[tuple[int, ...]]:
    """Return the largest groups of methods without a significant difference, as indices from the best rank on."""
    order = np.argsort(mean_ranks, kind="stable")
    found: list[tuple[int, ...]] = []
    for start in range(len(order)):
        group = tuple(int(i) for i in order[start:] if mean_ranks[i] - mean_ranks[order[start]] <= difference)
        if len(group) > 1 and not any(set(group) <= set(other) for other in found):
            found.append(group)
    return found


@dataclass(frozen=True)
class Comparison:
    """Comparison of two methods over data sets.

    Arguments:
        sets: number of data sets.
        wins: sets on which the first method has the smaller error.
        ties: sets on which both have the same error.
        p: two-sided Wilcoxon signed-rank test on the differences; 1 if there are none.
        median_difference: of the errors, first minus second; negative if the first is better.
    """

    sets: int
    wins: int
    ties: int
    p: float
    median_difference: float

    @property
    def share(self) -> float:
        """Return the share of sets won; a tie counts as half a win."""
        return (self.wins + self.ties / 2) / self.sets


def compare(first: np.ndarray, second: np.ndarray) -> Comparison:
    """Compare two methods' errors on the same sets."""
    from scipy.stats import wilcoxon

    off = np.asarray(first) - np.asarray(second)
    p = float(wilcoxon(off).pvalue) if np.any(off) else 1.0
    return Comparison(len(off), int((off < 0).sum()), int((off == 0).sum()), p, float(np.median(off)))
