"""Values known without any formula of dnnkit, on every implementation."""

import numpy as np
import pytest

from dnnkit.testing import Implementation
from dnnkit.testing.cases import DTYPES


@pytest.mark.parametrize("dtype", DTYPES)
def test_hard_sigmoid_is_flat_from_its_corners_on(implementation: Implementation, dtype: str) -> None:
    x = np.array([[-4, -3, 3, 4]], dtype)
    y = implementation.activation("hard_sigmoid", x)
    np.testing.assert_array_equal(y, [[0, 0, 1, 1]])
    np.testing.assert_array_equal(implementation.activation_backward("hard_sigmoid", np.ones_like(x), y), 0 * x)


@pytest.mark.parametrize("dtype", DTYPES)
def test_step_counts_nan_as_not_positive(implementation: Implementation, dtype: str) -> None:
    x = np.array([[np.nan, -1, 0, 1]], dtype)
    np.testing.assert_array_equal(implementation.activation("step", x), [[0, 0, 0, 1]])


@pytest.mark.parametrize("dtype", DTYPES)
def test_fused_losses_at_extreme_logits_are_exact(implementation: Implementation, dtype: str) -> None:
    z = np.array([[1e4, -1e4], [-1e4, 1e4], [1e4, 1e4]], dtype)
    loss, gradient = implementation.loss("softmax_cross_entropy", z[:1], np.array([1]))
    assert loss == 2e4
    np.testing.assert_array_equal(gradient, [[1, -1]])
    loss, gradient = implementation.loss("softmax_cross_entropy", z[1:], np.array([1, 0]))
    np.testing.assert_allclose(loss, np.log(2), rtol=1e-6)
    np.testing.assert_array_equal(gradient, [[0, 0], [-0.5, 0.5]])
    loss, gradient = implementation.loss("sigmoid_cross_entropy", z[:1], np.array([[0, 1]], dtype))
    assert loss == 1e4
    np.testing.assert_array_equal(gradient, [[0.5, -0.5]])


def test_the_first_of_equal_scores_is_the_class(implementation: Implementation) -> None:
    scores, labels = np.zeros((3, 70)), np.array([0, 1, 69])
    assert implementation.metric("categorical_accuracy", scores, labels) == 1
    assert implementation.metric("binary_accuracy", np.full((2, 1), 0.5), np.array([[0.0], [1.0]])) == 1
