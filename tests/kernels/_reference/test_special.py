"""erf and erfc of NumPy arrays against sixty digits, over the whole range; and the promises of ufuncs."""

import mpmath
import numpy as np
import pytest

from dnnkit.kernels._reference import special

DTYPES = [np.float32, np.float64]
MOST_ULP = 2
WHERE_IT_ENDS = {"erf": {np.float32: 4.5, np.float64: 6.5}, "erfc": {np.float32: 10.3, np.float64: 27.3}}
"""Beyond it the result is 1, or too small for the dtype."""


def places(name: str, dtype: type) -> np.ndarray:
    """Over the whole range, around zero, between two points of expansion, and where the result is subnormal."""
    rng, end = np.random.default_rng(), WHERE_IT_ENDS[name][dtype]
    start = -WHERE_IT_ENDS["erf"][dtype]
    between = (rng.integers(int(start * special.PER_UNIT), int(end * special.PER_UNIT), 300) + 0.5) / special.PER_UNIT
    smallest = np.log(float(np.finfo(dtype).smallest_subnormal))
    near_zero = np.exp(rng.uniform(smallest, 0, 200)) * rng.choice([-1, 1], 200)
    return np.concatenate([rng.uniform(start, end, 800), between, near_zero, [0.0, 0.9 * end, end]]).astype(dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ["erf", "erfc"])
def test_two_units_in_the_last_place(name: str, dtype: type) -> None:
    x = places(name, dtype)
    y = getattr(special, name)(x)
    assert y.dtype == dtype
    with mpmath.workdps(60):
        exact = [getattr(mpmath, name)(mpmath.mpf(value)) for value in x.tolist()]
        ulps = np.spacing(np.abs(np.array([float(value) for value in exact])).astype(dtype)).tolist()
        errors = [abs(float((value - right) / ulp)) for value, right, ulp in zip(y.tolist(), exact, ulps, strict=True)]
    worst = int(np.argmax(errors))
    assert errors[worst] <= MOST_ULP, f"{name}({x[worst]!r}) = {y[worst]!r}: {errors[worst]:.2f} ulp"


@pytest.mark.parametrize("dtype", DTYPES)
def test_far_out_and_nan(dtype: type) -> None:
    x = np.array([np.nan, np.inf, -np.inf, 1e30, -1e30, 0], dtype)
    np.testing.assert_array_equal(special.erf(x), [np.nan, 1, -1, 1, -1, 0])
    np.testing.assert_array_equal(special.erfc(x), [np.nan, 0, 2, 0, 2, 1])


@pytest.mark.parametrize("name", ["erf", "erfc"])
def test_an_element_has_the_same_bits_wherever_it_is(name: str) -> None:
    function, x = getattr(special, name), np.random.default_rng().normal(size=(3, special.BLOCK + 5))
    y = function(x)
    np.testing.assert_array_equal(function(np.asfortranarray(x)), y)
    np.testing.assert_array_equal(function(x[::-2, ::-3]), y[::-2, ::-3])
    assert function(x[1, 7]) == y[1, 7]
    assert isinstance(function(np.float32(0.5)), np.float32)
    assert function(np.zeros((2, 0), np.float32)).shape == (2, 0)
    assert function(np.arange(3)).dtype == np.float64


def test_odd_and_even() -> None:
    x = np.random.default_rng().normal(size=2000)
    np.testing.assert_array_equal(special.erf(-x), -special.erf(x))
    np.testing.assert_allclose(special.erfc(x) + special.erf(x), 1, rtol=1e-15)
