"""The direction of L-BFGS, compared with its explicit matrix."""

from inspect import getmembers, isfunction, signature

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from dnnkit.kernels.lbfgs import cpu, reference


def pairs_of(seed: int, size: int, count: int) -> tuple[np.ndarray, list, list]:
    """A gradient, steps, and the changes of the gradient of a convex quadratic function by them."""
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


def test_compiled_code_has_the_same_parts() -> None:
    """`tests/dnnkit/test_lbfgs.py` compares their results, iteration by iteration."""
    parts = [name for name, f in getmembers(reference, isfunction) if list(signature(f).parameters) == ["s", "v"]]
    assert "move" in parts
    for name in parts:
        assert cpu.ALGORITHM[name] is getattr(cpu, name)
        assert list(signature(getattr(cpu, name).py_func).parameters) == ["s", "v"]
