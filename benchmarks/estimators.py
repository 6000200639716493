"""Estimators compared with scikit-learn's MLP: `python -m benchmarks.estimators [--rounds N] [--seeds N] [--json
FILE]`.

`DNNClassifier` and `DNNRegressor` with the preset "mlp" are compared with `MLPClassifier` and `MLPRegressor` on
scikit-learn's data sets, standardized, with the same architecture, batch size and number of epochs (scikit-learn's
defaults; all 200 epochs are run). Fit times are wall-clock medians over rounds in which both take turns, after a
warm-up. Scores are on a held-out quarter of the rows, over different seeds; their difference is tested with
Wilcoxon's signed-rank test. The first fit of a process is measured in separate processes.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import dnnkit as dk
from dnnkit.bench.machine import describe

EPOCHS = 200
GIVEN = {"max_iter": EPOCHS, "tol": 0.0, "n_iter_no_change": 10 * EPOCHS}
FIRST = """
import time, warnings
warnings.simplefilter("ignore")
from sklearn.datasets import load_iris
x, y = load_iris(return_X_y=True)
start = time.perf_counter()
{importing}
imported = time.perf_counter()
{estimator}(max_iter=200, tol=0.0, n_iter_no_change=2000, random_state=0{preset}).fit(x, y)
print(imported - start, time.perf_counter() - imported)
"""


@dataclass(frozen=True)
class Problem:
    """A data set."""

    x: NDArray[Any]
    y: NDArray[Any]
    is_classes: bool

    def ours(self, seed: int) -> Any:
        """Return dnnkit's estimator."""
        kind = dk.DNNClassifier if self.is_classes else dk.DNNRegressor
        return kind(preset="mlp", random_state=seed, **GIVEN)

    def theirs(self, seed: int) -> Any:
        """Return scikit-learn's estimator."""
        from sklearn.neural_network import MLPClassifier, MLPRegressor

        return (MLPClassifier if self.is_classes else MLPRegressor)(random_state=seed, **GIVEN)


@dataclass(frozen=True)
class Outcome:
    """Medians of both estimators."""

    ours: float
    theirs: float
    ratios: list[float]
    our_scores: list[float]
    their_scores: list[float]
    p: float
    """p-value of Wilcoxon's test; 1 if no score differs."""


def problems() -> dict[str, Problem]:
    """Return the problems by name."""
    from sklearn import datasets
    from sklearn.preprocessing import scale

    found = {}
    for name in ("iris", "wine", "breast_cancer", "digits"):
        x, y = getattr(datasets, f"load_{name}")(return_X_y=True)
        found[name] = Problem(scale(x), y, True)
    x, y = datasets.load_diabetes(return_X_y=True)
    found["diabetes"] = Problem(scale(x), scale(y), False)
    x, y = datasets.make_classification(10_000, 20, n_informative=10, n_classes=4, random_state=0)
    found["make_classification, 10,000 rows"] = Problem(scale(x), y, True)
    return found


def seconds(fit: Callable[[], Any]) -> float:
    """Return wall-clock seconds."""
    start = time.perf_counter()
    fit()
    return time.perf_counter() - start


def measured(problem: Problem, rounds: int, seeds: int) -> Outcome:
    """Return times and scores of both."""
    from scipy.stats import wilcoxon
    from sklearn.model_selection import train_test_split

    x, y = problem.x, problem.y
    ours, theirs = list[float](), list[float]()
    for number in range(rounds + 1):
        pair = [problem.ours(number), problem.theirs(number)]
        turns = [0, 1] if number % 2 else [1, 0]
        took = dict.fromkeys(turns, 0.0)
        for turn in turns:
            took[turn] = seconds(lambda estimator=pair[turn]: estimator.fit(x, y))  # type: ignore[misc]
        if number:
            ours.append(took[0])
            theirs.append(took[1])
    scores: list[list[float]] = [[], []]
    for seed in range(seeds):
        split = train_test_split(x, y, test_size=0.25, random_state=seed, stratify=y if problem.is_classes else None)
        for place, estimator in enumerate((problem.ours(seed), problem.theirs(seed))):
            scores[place].append(float(estimator.fit(split[0], split[2]).score(split[1], split[3])))
    differ = [a - b for a, b in zip(*scores, strict=True)]
    p = float(wilcoxon(differ).pvalue) if any(differ) else 1.0
    ratios = [b / a for a, b in zip(ours, theirs, strict=True)]
    return Outcome(statistics.median(ours), statistics.median(theirs), ratios, scores[0], scores[1], p)


def first_fits(times: int) -> dict[str, list[list[float]]]:
    """Return the seconds to import and to fit iris, in separate processes."""
    ways = {
        "dnnkit": ("import dnnkit as dk; dk.DNNClassifier", "dk.DNNClassifier", ', preset="mlp"'),
        "scikit-learn": ("from sklearn.neural_network import MLPClassifier", "MLPClassifier", ""),
    }
    found: dict[str, list[list[float]]] = {way: [] for way in ways}
    for _ in range(times + 1):
        for way, (importing, estimator, preset) in ways.items():
            code = FIRST.format(importing=importing, estimator=estimator, preset=preset)
            done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
            found[way].append([float(word) for word in done.stdout.split()])
    return {way: each[1:] for way, each in found.items()}


def main() -> None:
    """Measure, print, and write."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.estimators", description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--seeds", type=int, default=15)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    found = {}
    print("| | dnnkit, s | scikit-learn, s | times | score | scikit-learn's | p |\n| --- |" + " --- |" * 6)
    for name, problem in problems().items():
        one = found[name] = measured(problem, options.rounds, options.seeds)
        ours, theirs = (f"{np.mean(s):.3f} ± {np.std(s):.3f}" for s in (one.our_scores, one.their_scores))
        times = statistics.median(one.ratios)
        print(
            f"| {name} | {one.ours:.4f} | {one.theirs:.4f} | {times:.1f} | {ours} | {theirs} | {one.p:.2f} |",
            flush=True,
        )
    first = first_fits(options.rounds)
    print("\nthe first fit of a process (iris), medians in seconds")
    for way, each in first.items():
        imported, fitted = (statistics.median(values) for values in zip(*each, strict=True))
        print(f"{way:14} import {imported:.2f}, fit {fitted:.3f}")
    if options.json:
        about = {"rounds": options.rounds, "seeds": options.seeds, "epochs": EPOCHS, "machine": describe()}
        outcomes = {name: asdict(one) for name, one in found.items()}
        options.json.write_text(json.dumps({**about, "problems": outcomes, "first fits": first}, indent=1) + "\n")


if __name__ == "__main__":
    main()
