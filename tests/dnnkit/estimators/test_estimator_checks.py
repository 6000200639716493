"""scikit-learn's own checks of estimators: all that its MLP passes."""

from collections import Counter
from typing import Any

import pytest
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.utils.estimator_checks import check_estimator, estimator_checks_generator

import dnnkit as dk

QUICK = {"hidden_layer_sizes": (16,), "random_state": 0}
CASES = {
    "mlp": {"preset": "mlp", "max_iter": 40, "learning_rate_init": 0.02, **QUICK},
    "tabular": {"max_iter": 30, "n_ensemble": 1, **QUICK},
}
NOT_HERE = "is not installed", "SCIPY_ARRAY_API is not set", "does not have a decision_function"
"""Why checks are skipped: scikit-learn's MLP skips them, too."""


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("preset", CASES)
@pytest.mark.parametrize(("ours", "theirs"), [(dk.DNNClassifier, MLPClassifier), (dk.DNNRegressor, MLPRegressor)])
def test_an_estimator_passes_scikit_learns_checks(ours: Any, theirs: Any, preset: str) -> None:
    found = check_estimator(ours(**CASES[preset]), on_fail=None, on_skip=None)
    failed = {each["check_name"]: each["exception"] for each in found if each["status"] in ("failed", "xfail")}
    assert not failed
    skipped = [str(each["exception"]) for each in found if each["status"] == "skipped"]
    assert all(any(why in text for why in NOT_HERE) for text in skipped), skipped
    of_theirs = Counter(_name(check) for _, check in estimator_checks_generator(theirs(), mark="xfail"))
    missing = of_theirs - Counter(each["check_name"] for each in found)
    assert set(missing) <= {"check_estimators_nan_inf"}  # a table may have missing values
    assert preset == "tabular" or not missing


def _name(check: Any) -> str:
    return str(check.func.__name__ if hasattr(check, "func") else check.__name__)
