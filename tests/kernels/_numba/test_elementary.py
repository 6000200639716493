"""Compiled erf, erfc, sine and cosine against forty digits; loops over them are vectorized, which is their purpose."""

import re

import mpmath
import numba
import numpy as np
import pytest

from dnnkit.kernels._numba.elementary import LARGEST_ANGLE, sine_and_cosine, square_root
from dnnkit.kernels._numba.error_functions import erf, erfc, normal
from dnnkit.kernels._numba.exponentials import exp, exp_of_negative, expm1_of_negative, logistic, tanh
from dnnkit.kernels._numba.front_end import OPTIONS
from dnnkit.kernels._numba.logarithms import log1p_and_logistic, log_from_one
from dnnkit.kernels._target.processor import FUSED

SMALL_BATCH = {"erf": 3, "erfc": 6, "normal": 6, "bell": 3, "tanh": 4, "logistic": 3, "log from one": 3}
SMALL_BATCH |= {"exp": 3, "exp of negative": 3, "expm1 of negative": 4}
SMALL_BATCH |= {"log of logistic": 4, "large logistic": 4, "small logistic": 5}
"""In units in the last place of the result; just below 1 erfc's are half as large as those of its terms."""
TAIL = {"float32": 9.0, "float64": 26.0}
"""Beyond it erfc is nearly the smallest normal number."""


@numba.njit(**OPTIONS)
def fill_erf(x, y):
    for place in range(x.size):
        y[place] = erf(x[place])


@numba.njit(**OPTIONS)
def fill_erfc(x, y):
    for place in range(x.size):
        y[place] = erfc(x[place])


@numba.njit(**OPTIONS)
def fill_normal(x, y):
    for place in range(x.size):
        y[place] = normal(x[place])[0]


@numba.njit(**OPTIONS)
def fill_bell(x, y):
    for place in range(x.size):
        y[place] = normal(x[place])[1]


@numba.njit(**OPTIONS)
def fill_exp(x, y):
    for place in range(x.size):
        y[place] = exp(x[place])


@numba.njit(**OPTIONS)
def fill_exp_of_negative(x, y):
    for place in range(x.size):
        y[place] = exp_of_negative(-abs(x[place]))


@numba.njit(**OPTIONS)
def fill_expm1(x, y):
    for place in range(x.size):
        y[place] = expm1_of_negative(-abs(x[place]))


@numba.njit(**OPTIONS)
def fill_tanh(x, y):
    for place in range(x.size):
        y[place] = tanh(x[place])


@numba.njit(**OPTIONS)
def fill_logistic(x, y):
    for place in range(x.size):
        y[place] = logistic(x[place])[0]


@numba.njit(**OPTIONS)
def fill_log_of_logistic(x, y):
    for place in range(x.size):
        y[place] = log1p_and_logistic(np.abs(x[place]))[0]


@numba.njit(**OPTIONS)
def fill_large_logistic(x, y):
    for place in range(x.size):
        y[place] = log1p_and_logistic(np.abs(x[place]))[1]


@numba.njit(**OPTIONS)
def fill_small_logistic(x, y):
    for place in range(x.size):
        y[place] = log1p_and_logistic(np.abs(x[place]))[2]


FUNCTIONS = {
    "erf": (fill_erf, mpmath.erf),
    "erfc": (fill_erfc, mpmath.erfc),
    "normal": (fill_normal, lambda x: mpmath.erfc(-x / mpmath.sqrt(2)) / 2),
    "bell": (fill_bell, lambda x: mpmath.exp(-x * x / 2)),
    "exp": (fill_exp, mpmath.exp),
    "exp of negative": (fill_exp_of_negative, lambda x: mpmath.exp(-abs(x))),
    "expm1 of negative": (fill_expm1, lambda x: mpmath.expm1(-abs(x))),
    "tanh": (fill_tanh, mpmath.tanh),
    "logistic": (fill_logistic, lambda x: 1 / (1 + mpmath.exp(-x))),
    "log of logistic": (fill_log_of_logistic, lambda x: mpmath.log1p(mpmath.exp(-abs(x)))),
    "large logistic": (fill_large_logistic, lambda x: 1 / (1 + mpmath.exp(-abs(x)))),
    "small logistic": (fill_small_logistic, lambda x: 1 / (1 + mpmath.exp(abs(x)))),
}


def values(name: str, x: np.ndarray) -> np.ndarray:
    y = np.full_like(x, 77)
    FUNCTIONS[name][0](x, y)
    return y


def places(dtype: str) -> np.ndarray:
    """Near 0, around the change at ½, out to the tail, of both signs, and of every size."""
    rng = np.random.default_rng(7)
    tiny = np.log10(float(np.finfo(dtype).tiny))
    sizes = [np.linspace(0, 1, 500), np.linspace(0.49, 0.51, 100), np.linspace(0, TAIL[dtype], 700)]
    x = np.concatenate([*sizes, 10 ** rng.uniform(tiny, 0, 200)])
    return np.concatenate([x, -x]).astype(dtype)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_error_is_a_few_units_in_the_last_place(name, dtype):
    x = places(dtype)
    with mpmath.workdps(40):
        exact = [FUNCTIONS[name][1](mpmath.mpf(float(each))) for each in x]
        ulps = np.spacing(np.abs(np.array([float(each) for each in exact], dtype)))
        errors = [
            abs(mpmath.mpf(float(value)) - wanted) / float(ulp)
            for value, wanted, ulp in zip(values(name, x), exact, ulps, strict=True)
        ]
    worst = int(np.argmax(errors))
    assert errors[worst] <= SMALL_BATCH[name], f"{float(errors[worst]):.2f} ulp at {x[worst]}"


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_logarithms_of_numbers_from_one_on(dtype):
    rng = np.random.default_rng(7)
    powers = 2.0 ** np.arange(0, 100)
    x = np.concatenate([powers, np.nextafter(powers, 0)[1:], np.nextafter(powers, 9e99), 10 ** rng.uniform(0, 9, 500)])
    x = np.concatenate([x, np.sqrt(2) * powers[:40], rng.uniform(1, 2, 500), 1 + rng.uniform(0, 1e-3, 200)])
    x = np.maximum(x.astype(dtype), 1)
    y = np.empty_like(x)
    fill_log(x, y)
    exact = np.log(x.astype(np.longdouble))
    errors = np.abs(y - exact) / np.spacing(exact.astype(dtype))
    assert errors.max() <= SMALL_BATCH["log from one"], f"{errors.max():.2f} ulp at {x[errors.argmax()]}"
    fill_log(x := np.array([np.nan, 1, np.finfo(dtype).max], dtype), y := np.empty_like(x))
    assert np.isnan(y[0])
    assert y[1] == 0
    assert y[2] == pytest.approx(np.log(np.finfo(dtype).max))


@numba.njit(**OPTIONS)
def fill_log(x, y):
    for place in range(x.size):
        y[place] = log_from_one(x[place])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_logistic_shares_far_from_zero(dtype):
    lowest = {"float32": 87, "float64": 708}[dtype]
    x = np.array([0, 1e-30, lowest - 1, lowest, lowest + 1, 2 * lowest, 1e4, np.inf, np.nan], dtype)
    log, large, small = (np.empty_like(x) for _ in range(3))
    fill_log_of_logistic(x, log)
    fill_large_logistic(x, large)
    fill_small_logistic(x, small)
    np.testing.assert_array_equal(large[:8], np.array([0.5, 0.5, 1, 1, 1, 1, 1, 1], dtype))
    assert log[:2] == pytest.approx([np.log(2)] * 2)
    least = np.finfo(dtype).tiny
    assert (small[3:8] <= 2 * least).all()
    assert (log[3:8] <= 2 * least).all()
    assert np.isnan([log[8], large[8], small[8]]).all()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_exponentials_are_zero_below_the_least_normal_number(dtype):
    least = float(np.finfo(dtype).tiny)
    lowest = np.log(least)
    x = np.array([lowest + 1e-3, lowest - 1, 2 * lowest, -np.inf, np.nan, 0], dtype)
    for name, given in {"exp of negative": x, "bell": np.sqrt(-2 * x), "logistic": x}.items():
        y = values(name, given)
        assert y[0] == pytest.approx(np.exp(float(x[0])), rel=2e-3, abs=0), name
        assert y[1] < least, name
        np.testing.assert_array_equal(y[2:5], np.array([0, 0, np.nan], dtype), err_msg=name)
        assert y[5] == (0.5 if name == "logistic" else 1), name
    ends = np.array([-1e4, -np.inf, np.nan, 1e4, np.inf, 0], dtype)
    np.testing.assert_array_equal(values("normal", ends), np.array([0, 0, np.nan, 1, 1, 0.5], dtype))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_ends_and_nan(dtype):
    smallest = np.finfo(dtype).smallest_subnormal
    x = np.array([np.nan, np.inf, -np.inf, 1e4, -1e4, 0.0, -0.0, smallest], dtype)
    np.testing.assert_array_equal(values("erfc", x), np.array([np.nan, 0, 2, 0, 2, 1, 1, 1], dtype))
    y = values("erf", x)
    np.testing.assert_array_equal(y, np.array([np.nan, 1, -1, 1, -1, 0, 0, smallest], dtype))
    assert list(np.signbit(y[5:7])) == [False, True]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_erfc_falls_through_the_subnormal_numbers_to_zero(dtype):
    x = np.linspace(TAIL[dtype], TAIL[dtype] + 3, 2000, dtype=dtype)
    y = values("erfc", x)
    limits = np.finfo(dtype)
    assert (np.diff(y) <= 4 * limits.smallest_subnormal + 8 * limits.eps * y[:-1]).all()
    assert ((y > 0) & (y < limits.tiny)).any()
    assert y[-1] == 0


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_loops_are_vectors_without_calls(name, dtype):
    values(name, np.ones(1, dtype))
    kind = numba.from_dtype(np.dtype(dtype))
    (code,) = [text for signature, text in FUNCTIONS[name][0].inspect_llvm().items() if signature[0].dtype == kind]
    letters = {"float32": "float", "float64": "double"}[dtype]
    assert re.search(rf"fadd[a-z ]* <\d+ x {letters}>", code)
    assert not re.search(r"call [^\n]*@(erf|exp|ldexp)", code)


@numba.njit(**OPTIONS)
def fill_waves(x, sines, cosines):
    for place in range(x.size):
        sines[place], cosines[place] = sine_and_cosine(x[place])


def test_sine_and_cosine_are_right_to_an_ulp_of_1_and_vectors():
    rng = np.random.default_rng(3)
    quarters = np.arange(-40, 41) * (np.pi / 4)
    x = np.concatenate([quarters, np.nextafter(quarters, 9e9), rng.uniform(-20, 20, 400)])
    x = np.concatenate([x, rng.uniform(-LARGEST_ANGLE, LARGEST_ANGLE, 400), [0.0, 1e-300, -1e-9]])
    sines, cosines = np.empty_like(x), np.empty_like(x)
    fill_waves(x, sines, cosines)
    with mpmath.workdps(40):
        for place, angle in enumerate(x):
            exact = mpmath.mpf(float(angle))
            assert abs(mpmath.sin(exact) - float(sines[place])) < 2.5e-16, angle
            assert abs(mpmath.cos(exact) - float(cosines[place])) < 2.5e-16, angle
    (code,) = fill_waves.inspect_llvm().values()
    assert re.search(r"fmul[a-z ]* <\d+ x double>", code)
    assert not re.search(r"call [^\n]*@(sin|cos)", code)


@numba.njit(**OPTIONS)
def fill_roots(x, y):
    for place in range(x.size):
        y[place] = square_root(x[place])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_square_roots_are_right_to_an_ulp_and_vectors(dtype):
    limits, rng = np.finfo(dtype), np.random.default_rng(5)
    sizes = 10 ** rng.uniform(np.log10(float(limits.tiny)), np.log10(float(limits.max)) - 0.01, 2000)
    x = np.concatenate([sizes, rng.uniform(0, 1, 500), np.arange(1, 100) ** 2.0, [limits.tiny, limits.max]])
    x = x.astype(dtype)
    y = np.empty_like(x)
    fill_roots(x, y)
    with mpmath.workdps(40):
        for root, square in zip(y, x, strict=True):
            assert abs(mpmath.sqrt(float(square)) - float(root)) <= 1.0 * float(np.spacing(root)), square
    ends, roots = np.array([0, np.inf, np.nan], dtype), np.empty(3, dtype)
    fill_roots(ends, roots)
    np.testing.assert_array_equal(roots, ends)
    kind = numba.from_dtype(np.dtype(dtype))
    (code,) = [text for signature, text in fill_roots.inspect_llvm().items() if signature[0].dtype == kind]
    assert re.search(rf"<\d+ x {'float' if dtype == 'float32' else 'double'}>", code)
    assert dtype == "float32" or not FUSED or "@llvm.sqrt" not in code
