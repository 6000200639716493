"""Aggregated records: means of each data set and method over the same halves, and the excluded sets."""

from collections import defaultdict
from collections.abc import Collection, Iterable
from statistics import mean

import numpy as np

from benchmarks.tables.catalogue import CATALOGUE
from benchmarks.tables.methods import METHODS
from benchmarks.tables.records import Record

EASY, HARD = 0.005, 0.98
"""A set is excluded if every baseline that runs on all sets has an error below the first, or none has a normalised
error below the second: such a set cannot distinguish methods. The rule does not look at results of dnnkit."""

Means = dict[str, dict[str, dict[str, float]]]
"""By set, then method: mean scores, and the number of halves."""


def means(found: Iterable[Record], methods: Collection[str]) -> Means:
    """Average over the halves on which all these methods were measured; sets that lack a method are left out."""
    by_set: dict[str, dict[str, dict[tuple[int, int], Record]]] = defaultdict(lambda: defaultdict(dict))
    for record in found:
        if record["method"] in methods:
            by_set[record["set"]][record["method"]][record["repeat"], record["fold"]] = record
    kept: Means = {}
    for name in CATALOGUE:
        halves = set.intersection(*(set(by_set[name][method]) for method in methods))
        if halves:
            kept[name] = {m: average([by_set[name][m][half] for half in sorted(halves)]) for m in methods}
    return kept


def average(records: list[Record]) -> dict[str, float]:
    """Return the mean of each score over some records."""
    names = [name for name in records[0] if name not in ("set", "method", "repeat", "fold")]
    return {"halves": len(records), **{name: mean(record[name] for record in records) for name in names}}


def left_out(found: Iterable[Record]) -> dict[str, str]:
    """Return the sets that the rule excludes, with reasons."""
    everywhere = [m.name for m in METHODS.values() if m.baseline and m.sets is None]
    reasons = {}
    for name, scores in means(found, everywhere).items():
        if CATALOGUE[name].task == "classification" and max(s["error"] for s in scores.values()) < EASY:
            reasons[name] = f"every baseline errs in less than {EASY:.1%}"
        elif (best := min(s["normalised"] for s in scores.values())) > HARD:
            reasons[name] = f"the best baseline has {best:.2f} of the constant prediction's error"
    return reasons


def matrix(scores: Means, sets: Collection[str], methods: Collection[str], score: str = "normalised") -> np.ndarray:
    """Return one score as an array (sets, methods)."""
    return np.array([[scores[name][method][score] for method in methods] for name in sets])
