"""Every loss kernel against its formula written independently, and its gradient against central differences."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special

from dnnkit.kernels import registry
from tests.oracles import central_difference

LOSSES = [
    "mean_squared_error",
    "sum_squared_error",
    "inner_product",
    "binary_crossentropy",
    "categorical_crossentropy",
    "softmax_cross_entropy",
    "sigmoid_cross_entropy",
    "mean_absolute_error",
    "huber",
    "log_cosh",
    "poisson",
    "gamma",
    "quantile",
    "hinge",
    "squared_hinge",
    "kl_divergence",
    "binary_focal_crossentropy",
    "sigmoid_focal_cross_entropy",
    "categorical_focal_crossentropy",
]
OF_CLASSES = ["categorical_crossentropy", "softmax_cross_entropy", "kl_divergence", "categorical_focal_crossentropy"]
ON_PROBABILITIES = ["binary_crossentropy", "categorical_crossentropy", "kl_divergence"]
ON_PROBABILITIES += ["binary_focal_crossentropy", "categorical_focal_crossentropy"]
POSITIVE = ["poisson", "gamma"]
CLIPPED = 1e-7

ROW_LOSSES: dict[str, Callable[[np.ndarray, np.ndarray], float]] = {
    "mean_squared_error": lambda y, t: np.mean(np.square(y - t)),
    "sum_squared_error": lambda y, t: np.linalg.norm(y - t) ** 2 / 2,
    "inner_product": lambda y, t: np.dot(y, t),
    "binary_crossentropy": lambda y, t: -np.mean(special.xlogy(t, y) + special.xlog1py(1 - t, -y)),
    "categorical_crossentropy": lambda y, t: -np.sum(special.xlogy(t, y)),
    "softmax_cross_entropy": lambda z, t: -np.sum(t * special.log_softmax(z)),
    "sigmoid_cross_entropy": lambda z, t: -np.mean(t * special.log_expit(z) + (1 - t) * special.log_expit(-z)),
    "mean_absolute_error": lambda y, t: np.mean(np.abs(y - t)),
    "huber": lambda y, t: np.mean(special.huber(1.0, y - t)),
    "log_cosh": lambda y, t: np.mean(np.log(np.cosh(y - t))),
    "poisson": lambda y, t: np.mean(y - special.xlogy(t, y + CLIPPED)),
    "gamma": lambda y, t: np.mean(2 * (np.log((y + CLIPPED) / t) + t / (y + CLIPPED) - 1)),
    "quantile": lambda y, t: np.mean(np.maximum(0.5 * (t - y), -0.5 * (t - y))),
    "hinge": lambda y, t: np.mean(np.clip(1 - np.where(t == 1, y, -y), 0, None)),
    "squared_hinge": lambda y, t: np.mean(np.clip(1 - np.where(t == 1, y, -y), 0, None) ** 2),
    "kl_divergence": lambda y, t: np.sum(special.rel_entr(t, y)),
    "sigmoid_focal_cross_entropy": lambda z, t: focal(special.expit(z), t),
    "categorical_focal_crossentropy": lambda y, t: -0.25 * np.sum((1 - y) ** 2 * special.xlogy(t, y)),
}
"""The loss of one row, (K,) and (K,) to a number."""


def focal(p: np.ndarray, t: np.ndarray) -> float:
    """T.-Y. Lin et al.: a cross-entropy, times the square of the probability of being wrong."""
    entropies = -special.xlogy(t, p) - special.xlog1py(1 - t, -p)
    return float(np.mean((1 - (t * p + (1 - t) * (1 - p))) ** 2 * entropies))


ROW_LOSSES["binary_focal_crossentropy"] = focal


def call(name: str, scores, targets, weights=None, scale=1.0):
    return registry.loss(name).loss_and_gradient(scores, targets, weights, scale)


def sample(name: str, rows: int, outputs: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Draw scores and targets (B, K) that the loss is made for."""
    scores, targets = rng.normal(size=(rows, outputs)), rng.normal(size=(rows, outputs))
    if name in ON_PROBABILITIES:
        scores = rng.uniform(0.05, 0.95, (rows, outputs))
    if name in ("binary_crossentropy", "sigmoid_cross_entropy") or "focal" in name:
        targets = rng.uniform(0, 1, (rows, outputs))
    if name in OF_CLASSES:
        targets = special.softmax(targets, axis=1)
    if name in POSITIVE:
        scores, targets = rng.uniform(0.1, 3, (2, rows, outputs))
    if "hinge" in name:
        targets = rng.choice([0, 1], (rows, outputs)).astype(float)
    return scores, targets


def test_every_loss_here_is_registered():
    assert set(registry.names("loss")) >= set(LOSSES)


@pytest.mark.parametrize("name", LOSSES)
def test_reduction_is_the_mean_but_for_the_sums(name):
    assert registry.loss(name).reduction == ("sum" if name in ("sum_squared_error", "inner_product") else "mean")


@pytest.mark.parametrize(("rows", "outputs"), [(1, 1), (7, 2), (64, 1), (65, 10)])
@pytest.mark.parametrize("name", LOSSES)
def test_value_is_the_sum_of_the_rows_formula(name, rows, outputs, rng):
    scores, targets = sample(name, rows, outputs, rng)
    expected = sum(ROW_LOSSES[name](y, t) for y, t in zip(scores, targets, strict=True))
    loss, gradient = call(name, scores, targets)
    np.testing.assert_allclose(loss, expected, rtol=1e-12, atol=1e-14)
    assert np.shape(loss) == ()
    assert gradient.shape == scores.shape


@pytest.mark.parametrize(("rows", "outputs", "weighted"), [(1, 2, False), (7, 1, True), (7, 10, False), (3, 3, True)])
@pytest.mark.parametrize("name", LOSSES)
def test_gradient_against_central_differences(name, rows, outputs, weighted, rng):
    scores, targets = sample(name, rows, outputs, rng)
    weights = rng.uniform(0, 2, rows) if weighted else None
    numerical = central_difference(lambda y: call(name, y, targets, weights)[0], scores)
    gradient = call(name, scores, targets, weights)[1]
    np.testing.assert_allclose(gradient, numerical, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("name", LOSSES)
def test_scale_multiplies_the_gradient_and_not_the_loss(name, rng):
    scores, targets = sample(name, 7, 3, rng)
    loss, gradient = call(name, scores, targets)
    scaled_loss, scaled_gradient = call(name, scores, targets, scale=0.125)
    assert scaled_loss == loss
    np.testing.assert_allclose(scaled_gradient, 0.125 * gradient, rtol=1e-14)
    np.testing.assert_array_equal(call(name, scores, targets, scale=0.0)[1], np.zeros_like(scores))


@pytest.mark.parametrize("name", LOSSES)
@settings(deadline=None, max_examples=25)
@given(weights=st.lists(st.floats(0, 1e3), min_size=1, max_size=9), seed=st.integers(0, 2**32 - 1))
def test_weights_equal_rows_one_by_one_times_their_weight(name, weights, seed):
    scores, targets = sample(name, len(weights), 3, np.random.default_rng(seed))
    loss, gradient = call(name, scores, targets, np.array(weights))
    rows = [call(name, scores[i : i + 1], targets[i : i + 1]) for i in range(len(weights))]
    np.testing.assert_allclose(loss, sum(w * row for w, (row, _) in zip(weights, rows, strict=True)), rtol=1e-12)
    expected = np.concatenate([w * g for w, (_, g) in zip(weights, rows, strict=True)])
    np.testing.assert_allclose(gradient, expected, rtol=1e-12, atol=1e-300)


@pytest.mark.parametrize("name", LOSSES)
@settings(deadline=None, max_examples=25)
@given(counts=st.lists(st.integers(0, 4), min_size=1, max_size=7), seed=st.integers(0, 2**32 - 1))
def test_a_whole_weight_repeats_the_row_and_zero_removes_it(name, counts, seed):
    scores, targets = sample(name, len(counts), 3, np.random.default_rng(seed))
    loss, gradient = call(name, scores, targets, np.array(counts, np.float64))
    repeated_loss, repeated_gradient = call(name, scores.repeat(counts, axis=0), targets.repeat(counts, axis=0))
    np.testing.assert_allclose(loss, repeated_loss, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(gradient.sum(axis=0), repeated_gradient.sum(axis=0), rtol=1e-11, atol=1e-12)
    np.testing.assert_array_equal(gradient[np.array(counts) == 0], 0)


@pytest.mark.parametrize("name", LOSSES)
def test_float32_stays_float32_and_is_accurate(name, rng):
    scores, targets = (array.astype(np.float32) for array in sample(name, 65, 10, rng))
    weights = rng.uniform(0, 2, 65).astype(np.float32)
    loss, gradient = call(name, scores, targets, weights, 1 / 65)
    exact = call(name, *(array.astype(np.float64) for array in (scores, targets, weights)), 1 / 65)
    assert gradient.dtype == np.float32
    assert loss.dtype == np.float64  # summed over rows in float64
    few = 16 * np.finfo(np.float32).eps
    np.testing.assert_allclose(loss, exact[0], rtol=few)
    np.testing.assert_allclose(gradient, exact[1], rtol=few, atol=few * np.abs(exact[1]).max())


# Fused losses, on logits


def test_fused_softmax_equals_its_two_halves(rng):
    z, t = sample("softmax_cross_entropy", 7, 5, rng)
    loss, dz = call("softmax_cross_entropy", z, t)
    softmax = registry.activation("softmax")
    y = softmax.forward(z)
    two_step_loss, dy = call("categorical_crossentropy", y, t)
    np.testing.assert_allclose(loss, two_step_loss, rtol=1e-12)
    np.testing.assert_allclose(dz, softmax.backward(dy, y), rtol=1e-10, atol=1e-14)


def test_fused_sigmoid_equals_its_two_halves(rng):
    z, t = sample("sigmoid_cross_entropy", 7, 5, rng)
    loss, dz = call("sigmoid_cross_entropy", z, t)
    sigmoid = registry.activation("sigmoid")
    y = sigmoid.forward(z)
    two_step_loss, dy = call("binary_crossentropy", y, t)
    np.testing.assert_allclose(loss, two_step_loss, rtol=1e-12)
    np.testing.assert_allclose(dz, sigmoid.backward(dy, y), rtol=1e-10, atol=1e-14)


def test_softmax_gradient_for_targets_that_do_not_sum_to_one(rng):
    z, t = rng.normal(size=(4, 3)), rng.uniform(0, 2, (4, 3))
    numerical = central_difference(lambda v: call("softmax_cross_entropy", v, t)[0], z)
    np.testing.assert_allclose(call("softmax_cross_entropy", z, t)[1], numerical, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_fused_softmax_at_extreme_logits(dtype):
    z = np.array([[1e4, -1e4], [-1e4, 1e4], [1e4, 1e4], [-1e4, -1e4]], dtype)
    loss, gradient = call("softmax_cross_entropy", z[:1], np.array([1]))
    assert loss == 2e4
    np.testing.assert_array_equal(gradient, [[1, -1]])
    loss, gradient = call("softmax_cross_entropy", z, np.array([0, 1, 0, 1]))
    np.testing.assert_allclose(loss, 2 * np.log(2), rtol=1e-6)
    np.testing.assert_array_equal(gradient, [[0, 0], [0, 0], [-0.5, 0.5], [0.5, -0.5]])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    ("z", "t", "loss", "gradient"),
    [(1e4, 0, 1e4, 1), (1e4, 1, 0, 0), (-1e4, 0, 0, 0), (-1e4, 1, 1e4, -1), (1e4, 0.5, 5e3, 0.5)],
)
def test_fused_sigmoid_at_extreme_logits(z, t, loss, gradient, dtype):
    actual = call("sigmoid_cross_entropy", np.array([[z]], dtype), np.array([[t]], dtype))
    assert actual[0] == loss
    assert actual[1] == gradient


@settings(deadline=None)
@given(z=st.lists(st.floats(-1e4, 1e4), min_size=2, max_size=6), label=st.integers(0, 1))
def test_fused_losses_are_finite_and_not_negative(z, label):
    row = np.array([z])
    for name, targets in (
        ("softmax_cross_entropy", np.array([label])),
        ("sigmoid_cross_entropy", np.full_like(row, label)),
    ):
        loss, gradient = call(name, row, targets)
        assert np.isfinite(loss)
        assert loss >= 0
        assert np.isfinite(gradient).all()
        assert np.abs(gradient).max() <= 1


# Clipping, on probabilities


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("y", [-0.5, 0.0, 1.0, 1.5])
@pytest.mark.parametrize("t", [0.0, 0.5, 1.0])
def test_binary_crossentropy_clips(y, t, dtype):
    loss, gradient = call("binary_crossentropy", np.array([[y]], dtype), np.array([[t]], dtype))
    one = np.float64(dtype(1) - dtype(CLIPPED)) if dtype is np.float32 else 1 - CLIPPED
    p = np.clip(y, CLIPPED, one)
    np.testing.assert_allclose(loss, -(t * np.log(p) + (1 - t) * np.log1p(-p)), rtol=1e-6, atol=2e-7)
    assert np.isfinite(loss)
    assert gradient == 0


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("y", [-0.5, 0.0])
def test_categorical_crossentropy_clips(y, dtype):
    loss, gradient = call("categorical_crossentropy", np.array([[y, 0.25]], dtype), np.array([[0.5, 0.5]], dtype))
    np.testing.assert_allclose(loss, -0.5 * np.log(CLIPPED) - 0.5 * np.log(0.25), rtol=1e-6)
    np.testing.assert_array_equal(gradient, [[0, -2]])


def test_categorical_crossentropy_does_not_clip_one():
    loss, gradient = call("categorical_crossentropy", np.array([[1.0, 0.0]]), np.array([0]))
    assert loss == 0
    np.testing.assert_array_equal(gradient, [[-1, 0]])
