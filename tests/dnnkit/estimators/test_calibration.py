"""The temperature minimizes the loss of the predictions."""

import numpy as np
import pytest
from scipy.optimize import minimize_scalar

from dnnkit.estimators.calibration import LIMITS, as_classes, temperature_of
from dnnkit.estimators.members import tempered


def loss(probabilities: np.ndarray, y: np.ndarray, weights: np.ndarray, temperature: float) -> float:
    """By its definition: one added row, of the mean weight, has all classes equally."""
    share = 1 / (len(y) + 1)
    targets = (1 - share) * np.eye(probabilities.shape[1])[y] + share / probabilities.shape[1]
    said = tempered(probabilities, temperature, across=True)
    return float(-(weights[:, None] * targets * np.log(said)).sum())


@pytest.mark.parametrize("sharpness", [0.3, 1.0, 4.0])
def test_it_is_the_minimum_of_the_loss(sharpness: float) -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(300, 4))
    right = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    y = np.array([rng.choice(4, p=row) for row in right])
    weights = rng.uniform(0.1, 2, 300)
    said = right**sharpness / (right**sharpness).sum(axis=1, keepdims=True)
    found = temperature_of(said, y, weights)
    best = minimize_scalar(
        lambda t: loss(said, y, weights, t), bounds=LIMITS, method="bounded", options={"xatol": 1e-8}
    )
    assert found == pytest.approx(best.x, rel=1e-4)
    assert found == pytest.approx(sharpness, rel=0.3)  # which is the true value
    assert temperature_of(said[:, :2], (y == 1).astype(int)) != temperature_of(said, y)


def test_where_all_are_right_it_is_sure_but_not_without_end() -> None:
    said = as_classes(np.full((50, 1), 0.9))
    found = temperature_of(said, np.ones(50, int))
    assert tempered(said, found, across=True)[0, 1] == pytest.approx(1 - 0.5 / 51, abs=1e-4)  # one added row says ½
    assert temperature_of(said, np.zeros(50, int)) == LIMITS[1]
    assert temperature_of(said[:0], np.zeros(0, int)) == 1.0
