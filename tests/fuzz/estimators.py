"""Saves of estimators with changed JSON."""

import json
import warnings
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import strategies as st

import dnnkit as dk
from dnnkit.estimators.saving import NAME, estimator_of, files_of_estimator
from tests.fuzz.mutations import EDITS, edited, written
from tests.fuzz.reader import Reader

X = np.random.default_rng(0).normal(size=(24, 3))
GIVEN: dict[str, Any] = {"hidden_layer_sizes": (3,), "max_iter": 2, "random_state": 0, "backend": "numpy"}
NAMES = np.tile(["a", "b", "c"], 8)
KINDS = {
    "classes": lambda: dk.DNNClassifier(**GIVEN, n_ensemble=2, class_weight={"a": 2.0}).fit(X, NAMES),
    "numbers": lambda: dk.DNNRegressor(**GIVEN, n_ensemble=1, encoder=dk.TabularEncoder()).fit(X, X[:, 0]),
    "labels": lambda: dk.DNNClassifier(**GIVEN, preset="mlp").fit(X, (X > 0).astype(int)),
}


@cache
def base(kind: str) -> dict[str, bytes]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return files_of_estimator(KINDS[kind]())


def _read(case: Any, _: Path) -> None:
    kind, edits = case
    files = base(kind)
    estimator = estimator_of({**files, NAME: written(edited(json.loads(files[NAME]), edits))}, "the save")
    if estimator.n_features_in_ == 3:
        estimator.predict(X)
    repr(estimator)
    estimator_of(files_of_estimator(estimator), "the save")


def _prepare() -> None:
    for kind in KINDS:
        base(kind)


READERS = [Reader("estimator", st.tuples(st.sampled_from(sorted(KINDS)), EDITS), _read, prepare=_prepare)]
