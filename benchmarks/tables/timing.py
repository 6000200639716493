"""Seconds to fit and µs per row to predict, methods in turn, on an idle machine with one thread.

A few data sets, the first half of the first repeat. Each method is warmed up on a small set first (imports, loading
of compiled code). There are three rounds over all; fits longer than ten seconds are measured once.
"""

import warnings
from collections import defaultdict
from collections.abc import Collection
from functools import cache
from statistics import geometric_mean, median
from time import perf_counter
from typing import Any

from benchmarks.tables.loading import load
from benchmarks.tables.measuring import Job, split
from benchmarks.tables.methods import few, get
from benchmarks.tables.records import Record

ROUNDS, LONG = 3, 10.0
SMALL = {"classification": "iris", "regression": "diabetes"}

Times = dict[str, dict[str, dict[str, float]]]
"""By set, then method: seconds to fit, µs per row."""


def round_jobs(number: int, known: dict[tuple[str, str, int, int], Record], methods: Collection[str]) -> list[Job]:
    """Return the remaining fits of a round: all methods on one set, then on the next."""
    return [
        Job(number, 0, len(load(name).y), name, method)
        for name in few()
        for method in methods
        if get(method).runs_on(name) and (name, method, number, 0) not in known
        if number == 0 or known.get((name, method, 0, 0), {}).get("seconds", LONG + 1) <= LONG
    ]


@cache
def warm_up(method: str, task: str) -> None:
    """Make a method import and compile what it needs."""
    table = load(SMALL[task])
    estimator = get(method).build(task, 0)
    estimator.fit(table.x, table.y)
    estimator.predict(table.x)


def time(job: Job) -> dict[str, Any]:
    """Time one fit and the predictions of the other half."""
    record: dict[str, Any] = {"set": job.set, "method": job.method, "repeat": job.repeat, "fold": job.fold}
    table = load(job.set)
    fit, test = split(table, Job(0, 0, job.rows, job.set, job.method))
    x_fit, x_test = (table.x.iloc[rows].reset_index(drop=True) for rows in (fit, test))
    task = table.entry.task
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warm_up(job.method, task)
        estimator = get(job.method).build(task, 0)
        begin = perf_counter()
        estimator.fit(x_fit, table.y[fit])
        seconds = perf_counter() - begin
        predict = estimator.predict_proba if task == "classification" else estimator.predict
        predictions = []
        for _ in range(3):
            begin = perf_counter()
            predict(x_test)
            predictions.append(perf_counter() - begin)
    return {**record, "seconds": seconds, "microseconds_per_row": 1e6 * median(predictions) / len(test)}


def times(found: Collection[Record]) -> Times:
    """Return the medians over the rounds."""
    rounds: dict[tuple[str, str], list[Record]] = defaultdict(list)
    for record in found:
        rounds[record["set"], record["method"]].append(record)
    result: Times = defaultdict(dict)
    for (name, method), several in rounds.items():
        result[name][method] = {
            score: median(record[score] for record in several) for score in ("seconds", "microseconds_per_row")
        }
    return dict(result)


def typical(measured: Times, method: str, score: str) -> float | None:
    """Return the geometric mean over the sets, or None if a method was not timed on all."""
    values = [by_method[method][score] for by_method in measured.values() if method in by_method]
    return geometric_mean(values) if len(values) == len(few()) else None


def ratio(measured: Times, method: str, other: str) -> float | None:
    """Return how many times as long another method takes to fit: the geometric mean over the sets that have both."""
    both = [m for m in measured.values() if method in m and other in m]
    return geometric_mean([m[other]["seconds"] / m[method]["seconds"] for m in both]) if both else None
