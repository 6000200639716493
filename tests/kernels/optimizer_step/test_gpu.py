"""CUDA update rules: what a GPU promises beyond the conformance suite."""

import numpy as np
import pytest

from dnnkit.kernels.optimizer_step import gpu as update
from dnnkit.kernels.optimizer_step.reference import RULES
from tests.kernels.optimizer_step.test_reference import HYPERPARAMETERS, LEARNING_RATE
from tests.kernels.optimizer_step.test_reference import run as by_reference

DTYPES = ["float32", "float64"]


def run(gpu, name, p, gradients, shift=0):
    """Return (p, slots) after one step per gradient."""
    p, slots = gpu.put(p, shift), [gpu.put(np.zeros_like(p), shift) for _ in RULES[name].slots]
    for step, g in enumerate(gradients, 1):
        getattr(update, name)(step, p, gpu.put(g, shift), *slots, LEARNING_RATE, *HYPERPARAMETERS[name])
    return gpu.get(p), [gpu.get(slot) for slot in slots]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", RULES)
def test_bits_do_not_depend_on_addresses_or_on_few_blocks(gpu, name, dtype, rng, few_blocks):
    p, gradients = rng.normal(size=5003).astype(dtype), rng.normal(size=(2, 5003)).astype(dtype)
    results = [run(gpu, name, p, gradients, shift) for shift in (0, 0, 1)]
    assert len({b"".join(array.tobytes() for array in (now, *slots)) for now, slots in results}) == 1
    expected, _ = by_reference(name, p, gradients, HYPERPARAMETERS[name])
    np.testing.assert_allclose(results[0][0], expected, rtol=1e-4, atol=1e-6)


def test_one_launch_per_step_for_any_size(gpu, monkeypatch, rng):
    launched, launch = [], update.launch
    monkeypatch.setattr(update, "launch", lambda *arguments: launched.append(arguments[1]) or launch(*arguments))
    for name in RULES:
        run(gpu, name, rng.normal(size=5003), rng.normal(size=(3, 5003)))
        assert launched == [name.removesuffix("w")] * 3
        launched.clear()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", RULES)
def test_numbers_that_are_on_the_gpu_give_the_same_bits(gpu, name, dtype, rng):
    arrays, rate = rng.uniform(0.1, 1, (2 + len(RULES[name].slots), 301)).astype(dtype), 0.0123
    there = np.array(update.of_step(name, 17, rate, *HYPERPARAMETERS[name]), dtype)
    results = set()
    for given in ({}, {"numbers": gpu.put(there)}):
        own = [gpu.put(array) for array in arrays]
        step, now = (17, rate) if not given else (0, np.nan)
        getattr(update, name)(step, *own, now, *HYPERPARAMETERS[name], **given)
        results.add(b"".join(gpu.get(array).tobytes() for array in own))
    assert len(results) == 1
