"""Compiled update rules, alone and by address, against the reference."""

import numpy as np
import pytest

from dnnkit.kernels._numba.entry_points import optimizer_entry_points
from dnnkit.kernels.optimizer_step import cpu
from dnnkit.kernels.optimizer_step.reference import RULES
from tests.kernels.test_optimizer_step import HYPERPARAMETERS, LEARNING_RATE, STEPS
from tests.kernels.test_optimizer_step import run as by_reference

DTYPES = ["float32", "float64"]
SIZES = [0, 1, 7, 63, 64, 65, 1009]


def by_function(name, p, gradients, hyperparameters):
    p, slots = p.copy(), [np.zeros_like(p) for _ in RULES[name].slots]
    for step, g in enumerate(gradients, 1):
        getattr(cpu, name)(step, p, g, *slots, LEARNING_RATE, *hyperparameters)
    return p, slots


def by_address(name, p, gradients, hyperparameters):
    p, slots = p.copy(), np.zeros((len(RULES[name].slots), p.size), p.dtype)
    numbers = np.array(hyperparameters)
    function = optimizer_entry_points(name, p.dtype.name)
    for step, g in enumerate(gradients, 1):
        addresses = p.ctypes.data, g.ctypes.data, slots.ctypes.data
        function.call("update", step, *addresses, p.size, p.size, LEARNING_RATE, numbers.ctypes.data)
    return p, list(slots)


@pytest.mark.parametrize("call", [by_function, by_address])
@pytest.mark.parametrize("name", RULES)
def test_hundred_steps_against_the_reference(name, call, rng):
    for size in SIZES:
        p, gradients = rng.normal(size=size), rng.normal(size=(STEPS, size))
        expected, expected_slots = by_reference(name, p, gradients, HYPERPARAMETERS[name])
        actual, slots = call(name, p, gradients, HYPERPARAMETERS[name])
        np.testing.assert_allclose(actual, expected, rtol=1e-12, atol=1e-12)
        for slot, wanted in zip(slots, expected_slots, strict=True):
            np.testing.assert_allclose(slot, wanted, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("call", [by_function, by_address])
@pytest.mark.parametrize("name", RULES)
def test_float32_follows_float64(name, call, rng):
    for size in SIZES:
        p, gradients = rng.normal(size=size).astype(np.float32), rng.normal(size=(STEPS, size)).astype(np.float32)
        exact, _ = by_reference(name, p.astype(np.float64), gradients.astype(np.float64), HYPERPARAMETERS[name])
        actual, slots = call(name, p, gradients, HYPERPARAMETERS[name])
        assert {array.dtype for array in (actual, *slots)} == {np.dtype(np.float32)}
        np.testing.assert_allclose(actual, exact, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", RULES)
def test_each_run_gives_the_same_bits_and_entry_points_equal_functions(name, dtype, rng):
    """Between the two, a few ulp: compiled in another place, a product and a sum may be rounded once or twice."""
    for size in SIZES:
        p, gradients = rng.normal(size=size).astype(dtype), rng.normal(size=(5, size)).astype(dtype)
        results = []
        for call in (by_function, by_address):
            (first, slots), (second, second_slots) = (call(name, p, gradients, HYPERPARAMETERS[name]) for _ in range(2))
            assert [array.tobytes() for array in (first, *slots)] == [a.tobytes() for a in (second, *second_slots)]
            results.append((first, *slots))
        few = 16 * np.finfo(dtype).eps
        for actual, wanted in zip(*results, strict=True):
            np.testing.assert_allclose(actual, wanted, rtol=few, atol=few)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", RULES)
def test_a_slice_changes_nothing_outside_it(name, dtype, rng):
    stride, count, numbers = 40, 13, np.array(HYPERPARAMETERS[name])
    p, g, *slots = rng.uniform(0.1, 1, (2 + len(RULES[name].slots), stride)).astype(dtype)
    slots = np.array(slots, dtype).reshape(-1, stride)
    for begin in (0, 9, stride - count):
        inside = slice(begin, begin + count)
        expected = RULES[name].function(3, p[inside], g[inside], *slots[:, inside], LEARNING_RATE, *numbers)
        actual, actual_slots, gradient = p.copy(), slots.copy(), g.copy()
        addresses = [array.ctypes.data + begin * p.itemsize for array in (actual, gradient, actual_slots)]
        optimizer_entry_points(name, dtype).call(
            "update", 3, *addresses, stride, count, LEARNING_RATE, numbers.ctypes.data
        )
        np.testing.assert_array_equal(gradient, g)
        for now, before, wanted in zip((actual, *actual_slots), (p, *slots), expected, strict=True):
            np.testing.assert_allclose(now[inside], wanted, rtol=16 * np.finfo(dtype).eps)
            outside = np.ones(stride, bool)
            outside[inside] = False
            np.testing.assert_array_equal(now[outside], before[outside])


@pytest.mark.parametrize("call", [by_function, by_address])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("name", RULES)
def test_a_bad_gradient_reaches_its_parameter_and_no_other(name, bad, call):
    for dtype in DTYPES:
        for place in (0, 33, 64):
            g = np.ones((1, 65), dtype)
            g[0, place] = bad
            with np.errstate(all="ignore"):
                expected, _ = by_reference(name, np.ones(65, dtype), g, HYPERPARAMETERS[name])
            p, _ = call(name, np.ones(65, dtype), g, HYPERPARAMETERS[name])
            np.testing.assert_array_equal(np.isfinite(p), np.arange(65) != place)
            np.testing.assert_array_equal(np.isnan(p), np.isnan(expected))


@pytest.mark.parametrize("name", ["adam", "adamw"])
def test_bias_correction_of_a_very_late_step(name):
    for step in (10**9, 2**40):
        p, g, m, s = np.ones((4, 1))
        getattr(cpu, name)(step, p, g, m, s, LEARNING_RATE, *HYPERPARAMETERS[name])
        expected = RULES[name].function(step, *np.ones((4, 1)), LEARNING_RATE, *HYPERPARAMETERS[name])
        np.testing.assert_allclose(p, expected[0], rtol=1e-14)
