"""The compared methods: a registry, each with its own defaults.

A method builds a scikit-learn estimator from a task and a seed; the estimator gets the DataFrame as the catalogue has
it: numbers, strings, missing values. To add a method, add a function here. All run with one thread.
"""

from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from importlib.util import find_spec
from typing import Any

import numpy as np

from benchmarks.tables.catalogue import CATALOGUE
from benchmarks.tables.tuning import REPORTED
from dnnkit.errors import DataError

Build = Callable[[str, int], Any]


@dataclass(frozen=True)
class Method:
    """One method.

    Arguments:
        name: name in records and on the command line.
        label: name in tables and figures.
        package: package that it requires.
        build: returns an unfitted estimator for a task ("classification" or "regression") and a seed.
        sets: data sets that it runs on, for slow methods. Default: all.
        baseline: whether the method is not dnnkit's; the rule that excludes sets only looks at baselines.
    """

    name: str
    label: str
    package: str
    build: Build
    sets: tuple[str, ...] | None = None
    baseline: bool = True

    def runs_on(self, name: str) -> bool:
        """Return whether it is measured on a data set."""
        return self.sets is None or name in self.sets

    @property
    def installed(self) -> bool:
        """Return whether its package is installed."""
        return find_spec(self.package) is not None


METHODS: dict[str, Method] = {}


def method(name: str, label: str, package: str = "sklearn", **options: Any) -> Callable[[Build], Build]:
    """Register a function that builds an estimator."""

    def register(build: Build) -> Build:
        METHODS[name] = Method(name, label, package, build, **options)
        return build

    return register


def get(name: str) -> Method:
    """Look a method up by its name."""
    if name not in METHODS:
        raise DataError(f"no method is called {name!r}: there are {', '.join(METHODS)}")
    return METHODS[name]


def few(classification: int = 7, regression: int = 4) -> tuple[str, ...]:
    """Return a few of the reported sets, for slow methods: those whose names have the smallest SHA-256."""
    order = sorted(REPORTED, key=lambda name: sha256(name.encode()).hexdigest())
    counts = {"classification": classification, "regression": regression}
    return tuple(
        name for task, count in counts.items() for name in [n for n in order if CATALOGUE[n].task == task][:count]
    )


# -- what the methods of others need before they see strings and missing values --------------------------------------


def is_number(x: Any) -> list[str]:
    """Return the names of numeric columns, for ColumnTransformer."""
    return [name for name in x if x[name].dtype != object]


def is_category(x: Any) -> list[str]:
    """Return the names of all other columns."""
    return [name for name in x if x[name].dtype == object]


def prepared(scaled: bool) -> Any:
    """Impute numbers with medians; one-hot encode categories and standardize numbers, or leave both as they are."""
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler

    fill = SimpleImputer(strategy="median", keep_empty_features=True)
    name = SimpleImputer(strategy="constant", fill_value="missing", missing_values=None)
    if scaled:
        numbers, categories = (
            make_pipeline(fill, StandardScaler()),
            make_pipeline(name, OneHotEncoder(handle_unknown="ignore", sparse_output=False)),
        )
    else:
        codes = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
        numbers, categories = fill, make_pipeline(name, codes)
    return ColumnTransformer([("numbers", numbers, is_number), ("categories", categories, is_category)])


class NativeCategories:
    """A method that handles categories itself: strings become pandas categories, those of the training rows.

    Arguments:
        estimator: the method.
        fill: whether missing numbers are replaced by their column's median, for methods that do not handle them.
            Default: False.
    """

    def __init__(self, estimator: Any, fill: bool = False) -> None:
        self.estimator, self.fill = estimator, fill

    def fit(self, x: Any, y: np.ndarray) -> "NativeCategories":
        import pandas

        self.kinds = {name: pandas.CategoricalDtype(sorted(x[name].dropna().unique())) for name in is_category(x)}
        self.medians = {name: x[name].median() for name in is_number(x)} if self.fill else {}
        self.estimator.fit(self._convert(x), y)
        return self

    def predict(self, x: Any) -> np.ndarray:
        return np.asarray(self.estimator.predict(self._convert(x)))

    def predict_proba(self, x: Any) -> np.ndarray:
        return np.asarray(self.estimator.predict_proba(self._convert(x)))

    @property
    def classes_(self) -> np.ndarray:
        return np.asarray(self.estimator.classes_)

    def _convert(self, x: Any) -> Any:
        import pandas

        x = x.fillna(self.medians)
        columns = {
            f"column{number}": pandas.Categorical(x[name], dtype=self.kinds[name]) if name in self.kinds else x[name]
            for number, name in enumerate(x)
        }
        return pandas.DataFrame(columns)


# -- the methods -------------------------------------------------------------------------------------------------------


@method("mlp-raw", "scikit-learn's MLP, raw")
def build_raw(task: str, seed: int) -> Any:
    from sklearn.neural_network import MLPClassifier, MLPRegressor
    from sklearn.pipeline import make_pipeline

    kind = MLPClassifier if task == "classification" else MLPRegressor
    return make_pipeline(prepared(scaled=False), kind(random_state=seed))


@method("mlp-scaled", "scikit-learn's MLP, scaled")
def build_scaled(task: str, seed: int) -> Any:
    from sklearn.compose import TransformedTargetRegressor
    from sklearn.neural_network import MLPClassifier, MLPRegressor
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    if task == "classification":
        return make_pipeline(prepared(scaled=True), MLPClassifier(random_state=seed))
    network = make_pipeline(prepared(scaled=True), MLPRegressor(random_state=seed))
    return TransformedTargetRegressor(network, transformer=StandardScaler())


@method("linear", "logistic or ridge regression")
def build_linear(task: str, seed: int) -> Any:
    from sklearn.linear_model import LogisticRegression, Ridge
    from sklearn.pipeline import make_pipeline

    model = LogisticRegression(max_iter=1000, random_state=seed) if task == "classification" else Ridge()
    return make_pipeline(prepared(scaled=True), model)


@method("hist-gradient-boosting", "HistGradientBoosting")
def build_boosting(task: str, seed: int) -> Any:
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    kind = HistGradientBoostingClassifier if task == "classification" else HistGradientBoostingRegressor
    return NativeCategories(kind(categorical_features="from_dtype", random_state=seed))


@method("lightgbm", "LightGBM", "lightgbm")
def build_lightgbm(task: str, seed: int) -> Any:
    from lightgbm import LGBMClassifier, LGBMRegressor

    kind = LGBMClassifier if task == "classification" else LGBMRegressor
    return NativeCategories(kind(random_state=seed, n_jobs=1, verbose=-1))


@method("realmlp-td-s", "RealMLP-TD-S", "pytabkit", sets=few())
def build_realmlp_s(task: str, seed: int) -> Any:
    from pytabkit import RealMLP_TD_S_Classifier, RealMLP_TD_S_Regressor

    kind = RealMLP_TD_S_Classifier if task == "classification" else RealMLP_TD_S_Regressor
    return NativeCategories(kind(random_state=seed, device="cpu", n_threads=1), fill=True)


@method("realmlp-td", "RealMLP-TD", "pytabkit", sets=few())
def build_realmlp(task: str, seed: int) -> Any:
    from pytabkit import RealMLP_TD_Classifier, RealMLP_TD_Regressor

    kind = RealMLP_TD_Classifier if task == "classification" else RealMLP_TD_Regressor
    return NativeCategories(kind(random_state=seed, device="cpu", n_threads=1), fill=True)


@method("dnnkit", "dnnkit", "dnnkit", baseline=False)
def build_dnnkit(task: str, seed: int) -> Any:
    import dnnkit as dk

    return (dk.DNNClassifier if task == "classification" else dk.DNNRegressor)(n_jobs=1, random_state=seed)


@method("dnnkit-single", "dnnkit, one network", "dnnkit", baseline=False)
def build_single(task: str, seed: int) -> Any:
    import dnnkit as dk

    return (dk.DNNClassifier if task == "classification" else dk.DNNRegressor)(
        n_ensemble=1, n_jobs=1, random_state=seed
    )
