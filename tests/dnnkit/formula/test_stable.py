"""Functions and derivatives from formulas against many digits, near and far, in every language they are generated
in."""

import warnings

import numpy as np
import pytest

import dnnkit as dk
from dnnkit.errors import FormulaWarning
from dnnkit.kernels import registry
from dnnkit.kernels._cuda import activations
from dnnkit.kernels._cuda.source import shipped
from dnnkit.kernels._numba.entry_points import activation_entry_points
from tests.cuda_compile import nvrtc
from tests.cuda_compile.resources import ARCHITECTURES, OLDEST_AND_NEWEST
from tests.dnnkit.formula.formulas import BUILT_IN, OTHERS, exact, places, slope
from tests.kernels.conftest import gpu

__all__ = ["gpu"]

ALL = {**BUILT_IN, **OTHERS}
IN_CUDA = ["mish", "sigmoid", "hard_sigmoid", "steps", "selu", "tanh_gelu", "log_cosh", "serf"]
"""Every operation that formulas here contain, among them."""
DTYPES = ["float32", "float64"]


def kernel(name: str) -> registry.Activation:
    return registry.activation(dk.formula.Formula(f"the_{name}", ALL[name]).key)


def compiled(name: str, which: str, *arrays: np.ndarray) -> np.ndarray:
    out = np.full_like(arrays[0], 77)
    slices = activation_entry_points(kernel(name).name, out.dtype.name)
    slices.call(which, *(array.ctypes.data for array in (*arrays, out)), 1, out.size)
    return out


@pytest.mark.parametrize("name", ALL)
def test_function_and_derivative_against_many_digits(name):
    x = places()[(np.abs(places()) != 711) & ((places() > -80) | (name != "gompertz"))]  # exp(exp(1e4)) takes a minute
    found = kernel(name)
    values = np.array([float(exact(ALL[name], each)) for each in x])
    slopes = np.array([slope(ALL[name], each) for each in x])
    size = {"bent": 1e4, "log_cosh": 1}.get(name, 0)  # of terms that cancel
    np.testing.assert_allclose(found.forward(x), values, rtol=1e-12, atol=4e-16 * size)
    conditioning = 1e-9 if name in ("gelu", "serf", "gompertz") else 1e-11
    np.testing.assert_allclose(found.reference.derivative(x), slopes, rtol=conditioning, atol=1e-15)


@pytest.mark.parametrize("name", sorted({*ALL} - {"step", "steps", "snake", "bent"}))
def test_tails_keep_their_digits(name):
    """Values, not only their sums, where they are tiny: no 1 - tanh(...) that is all rounding."""
    x = np.array([-36.9, -17.3, -11.0, -5.1])
    values = [float(exact(ALL[name], each)) for each in x]
    np.testing.assert_allclose(kernel(name).forward(x), values, rtol=1e-11)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ALL)
def test_compiled_code_agrees_with_array_code_and_is_finite(name, dtype):
    x, found = places().astype(dtype), kernel(name)
    y = compiled(name, "forward", x)
    saved = y if found.saves == "output" else x
    dx = compiled(name, "backward", np.ones_like(x), saved)
    assert np.isfinite(y).all()
    assert np.isfinite(dx).all()
    few = 40 * np.finfo(dtype).eps * (200 if name in ("gelu", "tanh_gelu", "gauss", "gompertz", "serf") else 1)
    np.testing.assert_allclose(y, found.forward(x.astype(np.float64)), rtol=few, atol=few)
    scale = np.abs(found.forward(x.astype(np.float64))) if found.saves == "output" else 1
    exact_slope = found.reference.derivative(x.astype(np.float64))
    assert (np.abs(dx - exact_slope) <= few * (1 + np.abs(exact_slope) + scale)).all()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", IN_CUDA)
def test_cuda_agrees_with_array_code(gpu, name, dtype):
    x, found = places().astype(dtype).reshape(1, -1), kernel(name)
    y, dx = gpu.full(x.shape, dtype), gpu.full(x.shape, dtype)
    activations.forward(found, gpu.put(x), y)
    saved = y if found.saves == "output" else gpu.put(x)
    activations.backward(found, gpu.put(np.ones_like(x)), saved, dx)
    few = 40 * np.finfo(dtype).eps * (200 if name in ("gelu", "tanh_gelu", "gauss", "gompertz", "serf") else 1)
    np.testing.assert_allclose(gpu.get(y), compiled(name, "forward", x), rtol=few, atol=few)
    wanted = compiled(name, "backward", np.ones_like(x), gpu.get(saved))
    np.testing.assert_allclose(gpu.get(dx), wanted, rtol=few, atol=few)


@pytest.mark.cuda_compile
@pytest.mark.parametrize(
    ("name", "architecture"),
    [
        pytest.param(name, a, marks=[] if a == OLDEST_AND_NEWEST[number % 2] else pytest.mark.slow)
        for number, name in enumerate(IN_CUDA)
        for a in ARCHITECTURES
    ],
)
def test_cuda_compiles_for_every_architecture_without_a_warning(name, architecture):
    source = activations.source(kernel(name).name, "float32")
    assert source not in shipped()
    options = (*source.options(), f"-arch={architecture}")
    cubin, _ = nvrtc.compile_source(source.text(), "formula.cu", options)
    assert cubin.startswith(b"\x7fELF")


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", sorted({*ALL} - {"step", "steps"}))
def test_nan_in_gives_nan_out(name, dtype):
    x = np.array([np.nan, 0.5], dtype)
    for y in (kernel(name).forward(x), compiled(name, "forward", x)):
        np.testing.assert_array_equal(np.isnan(y), [True, False])


@pytest.mark.parametrize("name", BUILT_IN)
def test_a_formula_saves_what_the_built_in_saves_if_that_is_short(name):
    both = kernel(name).saves, registry.activation(name).saves
    assert both[0] == both[1] or name in ("softsign", "hard_sigmoid", "step"), both


@pytest.mark.parametrize("name", ALL)
def test_a_formula_right_everywhere_is_defined_without_a_warning(name):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        dk.activation(f"warned_{name}", ALL[name])


@pytest.mark.parametrize(
    ("formula", "message"),
    [
        ("exp(x)", r"the function is not finite in float32 for x ≥ 88\.72 \(inf\).*float64 for x ≥ 709\.8 \(inf\)"),
        ("log(x)", r"the function is not finite for x ≤ 0 \(-inf, NaN\)"),
        ("x^10", r"the function is not finite in float32 for x ≤ -7132 \(inf\), x ≥ 7132 \(inf\)$"),
        ("sqrt(x)", r"its derivative is not finite for x ≤ 0 \(NaN, inf\)"),
        ("1 / x", r"the function is not finite for x = 0 \(inf\); its derivative is not finite for x = 0 \(-inf\)"),
        ("exp(x) / (x^2 + exp(x))", r"the function is not finite in float32 for x ≥ 88\.72 \(NaN\)"),
        ("x^x", r"and \d+ more intervals"),
    ],
)
def test_an_overflow_is_reported_at_definition(formula, message):
    with pytest.warns(FormulaWarning, match=message) as caught:
        dk.activation("overflowing", formula)
    assert caught[0].filename == __file__


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_condition_with_exponentials_takes_the_right_branch_far_out(dtype):
    formula = dk.formula.Formula("gated", "where(exp(x) / (1 + exp(x)) > 0.5 and not exp(x) < 2, x, 0)")
    x = np.array([-1e4, -1, 0.5, 1, 1e4], dtype)
    np.testing.assert_array_equal(registry.activation(formula.key).forward(x), [0, 0, 0, 1, 1e4])
    y = np.full_like(x, 77)
    activation_entry_points(formula.key, dtype).call("forward", x.ctypes.data, y.ctypes.data, 1, x.size)
    np.testing.assert_array_equal(y, [0, 0, 0, 1, 1e4])
