"""One fit on one half of one data set, scored on the other."""

import os
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from time import perf_counter
from typing import Any

from benchmarks.tables import scores
from benchmarks.tables.loading import FOLDS, REPEATS, Table, folds, load
from benchmarks.tables.methods import get

ONE_THREAD = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMBA_NUM_THREADS",
    "LIGHTGBM_NUM_THREADS",
)
"""Variables that have to be 1 before a process imports NumPy."""


@dataclass(frozen=True, order=True)
class Job:
    """A fit; sorted by repeat first, so that an interrupted run has equally many repeats of all data sets."""

    repeat: int
    fold: int
    rows: int
    set: str
    method: str

    @property
    def key(self) -> tuple[str, str, int, int]:
        """Return the key of the fit's record."""
        return self.set, self.method, self.repeat, self.fold


def jobs(sets: Iterable[str], methods: Iterable[str], repeats: int = REPEATS) -> list[Job]:
    """Return all fits, in the order in which they are run.

    Arguments:
        sets: names of the catalogue.
        methods: names of the registry.
        repeats: number of times that each data set is split. Default: 5.
    """
    found, methods = [], list(methods)
    for name in sets:
        rows = len(load(name).y)
        for chosen in methods:
            if get(chosen).runs_on(name):
                found += [Job(repeat, fold, rows, name, chosen) for repeat in range(repeats) for fold in range(FOLDS)]
    return sorted(found)


def one_thread() -> None:
    """Restrict this process and its children to one thread."""
    os.environ.update(dict.fromkeys(ONE_THREAD, "1"))


def split(table: Table, job: Job) -> tuple[Any, Any]:
    """Return the rows to fit on and the rows to test on."""
    for repeat, fold, fit, test in folds(table, job.repeat + 1):
        if (repeat, fold) == (job.repeat, job.fold):
            return fit, test
    raise AssertionError(job)


def measure(job: Job) -> dict[str, Any]:
    """Fit, predict and score; a failure is recorded, too."""
    table = load(job.set)
    fit, test = split(table, job)
    record: dict[str, Any] = {"set": job.set, "method": job.method, "repeat": job.repeat, "fold": job.fold}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # defaults may stop before they converge
        begin = perf_counter()
        try:
            estimator = get(job.method).build(table.entry.task, job.repeat * FOLDS + job.fold)
            estimator.fit(table.x.iloc[fit].reset_index(drop=True), table.y[fit])
            fitted = perf_counter()
            x_test = table.x.iloc[test].reset_index(drop=True)
            if table.entry.task == "classification":
                predicted = estimator.predict_proba(x_test)
                found = scores.classification(table.y[test], predicted, estimator.classes_, table.y[fit])
            else:
                predicted = estimator.predict(x_test)
                found = scores.regression(table.y[test], predicted, table.y[fit])
        except Exception as error:
            return {**record, "failed": f"{type(error).__name__}: {error}"[:300]}
    return {**record, "seconds": round(fitted - begin, 4), **{name: round(v, 6) for name, v in found.items()}}
