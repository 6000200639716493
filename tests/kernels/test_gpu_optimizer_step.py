"""CUDA update rules against the reference."""

import numpy as np
import pytest

from dnnkit.kernels.optimizer_step import gpu as update
from dnnkit.kernels.optimizer_step.reference import RULES
from tests.kernels.test_optimizer_step import HYPERPARAMETERS, LEARNING_RATE
from tests.kernels.test_optimizer_step import run as by_reference

DTYPES = ["float32", "float64"]
SIZES = [0, 1, 3, 7, 255, 256, 257, 1009, 3000]
STEPS = 20


def run(gpu, name, p, gradients, shift=0):
    """(p, slots) after a step a gradient."""
    p, slots = gpu.put(p, shift), [gpu.put(np.zeros_like(p), shift) for _ in RULES[name].slots]
    for step, g in enumerate(gradients, 1):
        getattr(update, name)(step, p, gpu.put(g, shift), *slots, LEARNING_RATE, *HYPERPARAMETERS[name])
    return gpu.get(p), [gpu.get(slot) for slot in slots]


@pytest.mark.parametrize("name", RULES)
def test_steps_against_the_reference(gpu, name, rng):
    for size in SIZES:
        p, gradients = rng.normal(size=size), rng.normal(size=(STEPS, size))
        expected, expected_slots = by_reference(name, p, gradients, HYPERPARAMETERS[name])
        actual, slots = run(gpu, name, p, gradients)
        for now, wanted in zip((actual, *slots), (expected, *expected_slots), strict=True):
            np.testing.assert_allclose(now, wanted, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", RULES)
def test_error_of_float32_is_at_most_twice_that_of_the_reference(gpu, name, rng):
    p, gradients = rng.normal(size=1009).astype(np.float32), rng.normal(size=(STEPS, 1009)).astype(np.float32)
    exact, _ = by_reference(name, p.astype(np.float64), gradients.astype(np.float64), HYPERPARAMETERS[name])
    near, _ = by_reference(name, p, gradients, HYPERPARAMETERS[name])
    actual, slots = run(gpu, name, p, gradients)
    assert {array.dtype for array in (actual, *slots)} == {np.dtype(np.float32)}
    limit = 2 * np.abs(near - exact).max() + 4 * np.finfo(np.float32).eps
    assert np.abs(actual - exact).max() <= limit


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", RULES)
def test_the_bits_are_the_same_wherever_arrays_lie_and_with_few_blocks(gpu, name, dtype, rng, few_blocks):
    p, gradients = rng.normal(size=5003).astype(dtype), rng.normal(size=(2, 5003)).astype(dtype)
    results = [run(gpu, name, p, gradients, shift) for shift in (0, 0, 1)]
    assert len({b"".join(array.tobytes() for array in (now, *slots)) for now, slots in results}) == 1
    expected, _ = by_reference(name, p, gradients, HYPERPARAMETERS[name])
    np.testing.assert_allclose(results[0][0], expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("name", RULES)
def test_a_bad_gradient_reaches_its_parameter_and_no_other(gpu, name, bad):
    for place in (0, 33, 64):
        g = np.ones((1, 65), np.float32)
        g[0, place] = bad
        with np.errstate(all="ignore"):
            expected, _ = by_reference(name, np.ones(65, np.float32), g, HYPERPARAMETERS[name])
        p, _ = run(gpu, name, np.ones(65, np.float32), g)
        np.testing.assert_array_equal(np.isfinite(p), np.arange(65) != place)
        np.testing.assert_array_equal(np.isnan(p), np.isnan(expected))


@pytest.mark.parametrize("name", ["adam", "adamw"])
def test_bias_correction_of_a_very_late_step(gpu, name):
    for step in (10**9, 2**40, 2**63):
        p, g, m, s = (gpu.put(np.ones(1)) for _ in range(4))
        getattr(update, name)(step, p, g, m, s, LEARNING_RATE, *HYPERPARAMETERS[name])
        expected = RULES[name].function(step, *np.ones((4, 1)), LEARNING_RATE, *HYPERPARAMETERS[name])
        np.testing.assert_allclose(gpu.get(p), expected[0], rtol=1e-14)


def test_one_launch_a_step_whatever_the_size(gpu, monkeypatch, rng):
    launched, launch = [], update.launch
    monkeypatch.setattr(update, "launch", lambda *arguments: launched.append(arguments[1]) or launch(*arguments))
    for name in RULES:
        run(gpu, name, rng.normal(size=5003), rng.normal(size=(3, 5003)))
        assert launched == [name.removesuffix("w")] * 3
        launched.clear()
