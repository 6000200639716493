"""The preset "mlp" learns what scikit-learn's MLP learns."""

import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.neural_network import MLPClassifier, MLPRegressor

import dnnkit as dk


@pytest.mark.filterwarnings("ignore")
def test_a_classifier_is_as_accurate_as_scikit_learns() -> None:
    x, y = load_iris(return_X_y=True)
    ours = dk.DNNClassifier(preset="mlp", random_state=0, max_iter=100).fit(x, y)
    theirs = MLPClassifier(random_state=0, max_iter=100).fit(x, y)
    assert ours.score(x, y) > theirs.score(x, y) - 0.05
    assert ours.loss_ == pytest.approx(theirs.loss_, rel=0.3)
    assert ours.predict_proba(x).sum(axis=1) == pytest.approx(1, abs=1e-5)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("solver", ["sgd", "lbfgs"])
def test_a_regressor_is_as_accurate_as_scikit_learns(solver: str) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 3))
    y = np.stack([np.sin(x[:, 0]), x[:, 1] - x[:, 2]], axis=1)
    given = {"hidden_layer_sizes": (20,), "solver": solver, "max_iter": 30}
    ours = [dk.DNNRegressor(preset="mlp", random_state=seed, **given).fit(x, y).loss_ for seed in range(5)]
    theirs = [MLPRegressor(random_state=seed, **given).fit(x, y).loss_ for seed in range(5)]
    assert np.median(ours) == pytest.approx(np.median(theirs), rel=0.4)
