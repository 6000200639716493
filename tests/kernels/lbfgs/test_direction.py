"""The direction of L-BFGS: by the matrix that it stands for, and compiled as in plain array code."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dnnkit.backends import Backend
from dnnkit.kernels.lbfgs import reference
from dnnkit.kernels.lbfgs.pairs import Pair


def pairs_of(seed: int, size: int, count: int) -> tuple[np.ndarray, list, list]:
    """A gradient, steps, and what each changed in the gradient of a convex quadratic function."""
    rng = np.random.default_rng(seed)
    root = rng.normal(size=(size, size))
    matrix = root @ root.T + np.eye(size)
    steps = [rng.normal(size=size) for _ in range(count)]
    return rng.normal(size=size), steps, [matrix @ step for step in steps]


def by_matrix(gradient: np.ndarray, steps: list, changes: list) -> np.ndarray:
    """-H g with the whole matrix H, Nocedal & Wright (7.16)."""
    one = np.eye(gradient.size)
    inverse = one if not steps else one * (steps[-1] @ changes[-1]) / (changes[-1] @ changes[-1])
    for s, y in zip(steps, changes, strict=True):
        left = one - np.outer(s, y) / (s @ y)
        inverse = left @ inverse @ left.T + np.outer(s, s) / (s @ y)
    return -inverse @ gradient


@given(seed=st.integers(0, 2**32 - 1), size=st.integers(1, 9), count=st.integers(0, 5))
def test_it_is_the_product_with_the_matrix(seed: int, size: int, count: int) -> None:
    gradient, steps, changes = pairs_of(seed, size, count)
    curvatures = [float(s @ y) for s, y in zip(steps, changes, strict=True)]
    found = reference.direction(gradient, steps, changes, curvatures)
    expected = by_matrix(gradient, steps, changes)
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-8 * np.abs(expected).max())
    assert found @ gradient < 0


@pytest.mark.parametrize("count", [0, 1, 3])
@pytest.mark.parametrize(("dtype", "rtol"), [("float64", 1e-9), ("float32", 1e-3)])
def test_every_backend_has_it(backend: Backend, count: int, dtype: str, rtol: float) -> None:
    gradient, steps, changes = pairs_of(7, 33, count)
    curvatures = [float(s @ y) for s, y in zip(steps, changes, strict=True)]
    expected = reference.direction(gradient, steps, changes, curvatures)
    given = ([backend.asarray(each, dtype) for each in arrays] for arrays in (steps, changes))
    pairs = [Pair(*each) for each in zip(*given, curvatures, strict=True)]
    found = backend.to_numpy(backend.lbfgs_direction(backend.asarray(gradient, dtype), pairs))
    assert found.dtype == dtype
    np.testing.assert_allclose(found, expected, rtol=rtol, atol=rtol * np.abs(expected).max())
    product = backend.dot(backend.asarray(gradient, dtype), backend.asarray(expected, dtype))
    assert product == pytest.approx(gradient @ expected, rel=1e-5)
