"""Losses that compute many rows at once, against their references: all widths of rows, ends of blocks, and weights."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dnnkit.backends.aligned import address
from dnnkit.kernels import registry
from dnnkit.kernels._numba.entry_points import loss_entry_points
from dnnkit.kernels.losses.softmax_cross_entropy.cpu import AT_ONCE, MOST_ROWS, NARROW

AT_ONCE_LOSSES = sorted(name for name in registry.names("loss") if registry.loss(name).at_once)
BOUNDS = {"float32": 2e-5, "float64": 1e-13}


def test_the_losses_of_this_file_are_known() -> None:
    assert {"mean_squared_error", "sigmoid_cross_entropy", "softmax_cross_entropy"} <= {*AT_ONCE_LOSSES}


def drawn(rng: np.random.Generator, name: str, kind: str, rows: int, columns: int, dtype: str) -> list[np.ndarray]:
    scores = (rng.normal(size=(rows, columns)) * 10 ** rng.uniform(-2, 1)).astype(dtype)
    if kind == "labels":
        return [scores, rng.integers(0, columns, rows)]
    targets = rng.random((rows, columns))
    if registry.loss(name).outputs == "categorical":
        targets /= targets.sum(axis=1, keepdims=True)
    return [scores, targets.astype(dtype)]


@settings(deadline=None, max_examples=120)
@given(
    st.sampled_from([(name, kind) for name in AT_ONCE_LOSSES for kind in ("values", "labels")]),
    st.sampled_from(["float32", "float64"]),
    st.one_of(st.integers(1, 3 * NARROW), st.sampled_from([AT_ONCE - 1, AT_ONCE, AT_ONCE + 1, 2 * AT_ONCE + 3])),
    st.one_of(st.integers(1, 40), st.sampled_from([MOST_ROWS - 1, MOST_ROWS, MOST_ROWS + 1, 1500])),
    st.sampled_from(["ones", "equal", "any", "some zero"]),
    st.integers(0, 2**32 - 1),
)
@example(("softmax_cross_entropy", "labels"), "float32", NARROW - 1, 34, "any", 0)
@example(("softmax_cross_entropy", "labels"), "float64", 1, 2 * MOST_ROWS + 1, "any", 0)
@example(("mean_squared_error", "values"), "float64", AT_ONCE + 1, 3, "any", 0)
def test_rows_at_once_are_those_of_the_reference(
    loss: tuple[str, str], dtype: str, columns: int, rows: int, weighting: str, seed: int
) -> None:
    name, kind = loss
    kernel = registry.loss(name)
    if kind == "labels" and not kernel.takes_labels:
        return
    if columns > 100:
        rows = min(rows, 5)
    rng = np.random.default_rng(seed)
    scores, targets = drawn(rng, name, kind, rows, columns, dtype)
    weights = {
        "ones": np.ones(rows),
        "equal": np.full(rows, 0.7),
        "any": rng.random(rows),
        "some zero": rng.integers(0, 2, rows),
    }[weighting].astype(dtype)
    behind = 16
    gradient, total = np.full(rows * columns + behind, 77, dtype), np.array([1.0])
    places = (address(array) for array in (scores, targets, weights))
    compiled = loss_entry_points(name, kind, dtype)
    compiled.call("loss", *places, rows, columns, 0.25, address(gradient), address(total))
    wide = targets if kind == "labels" else targets.astype(np.float64)
    wanted, slopes = kernel.loss_and_gradient(scores.astype(np.float64), wide, weights.astype(np.float64), 0.25, xp=np)
    bound = BOUNDS[dtype] * max(1.0, float(np.abs(scores).max())) ** 2
    np.testing.assert_allclose(total[0] - 1, float(wanted), rtol=BOUNDS[dtype], atol=bound * max(1.0, weights.sum()))
    np.testing.assert_allclose(gradient[:-behind].reshape(rows, columns), slopes, rtol=BOUNDS[dtype], atol=bound / 50)
    assert (gradient[-behind:] == 77).all()


@pytest.mark.parametrize("columns", [1, 3, NARROW - 1, NARROW, 70])
@pytest.mark.parametrize("lost", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("kind", ["values", "labels"])
def test_a_logit_that_is_not_finite_is_never_hidden(columns: int, lost: float, kind: str) -> None:
    rng = np.random.default_rng(0)
    for row in (0, 9, 39):
        for column in {0, columns - 1}:
            scores, targets = drawn(rng, "softmax_cross_entropy", kind, 40, columns, "float32")
            scores[row, column] = lost
            total, gradient = np.zeros(1), np.zeros_like(scores)
            places = (address(array) for array in (scores, targets, np.ones(40, np.float32)))
            compiled = loss_entry_points("softmax_cross_entropy", kind, "float32")
            compiled.call("loss", *places, 40, columns, 1.0, address(gradient), address(total))
            assert not np.isfinite(total[0])
            others = np.delete(np.arange(40), row)
            assert np.isfinite(gradient[others]).all()
            if lost != -np.inf:
                assert np.isnan(gradient[row]).all()
