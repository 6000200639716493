"""CUDA dropout, and Philox in its mask: bit for bit the reference's."""

import numpy as np
import pytest

from dnnkit.kernels import registry
from dnnkit.kernels.dense import gpu as dense
from dnnkit.kernels.dropout import Draw
from dnnkit.kernels.dropout import gpu as dropout
from dnnkit.kernels.dropout import reference as dropout_reference
from dnnkit.testing.cases import DTYPES
from tests.kernels.dropout.test_cpu import RATES
from tests.kernels.philox.test_reference import KNOWN_ANSWERS

WINDOWS = [(0, 0), (0, 1), (1, 3), (2, 64), (3, 65), (5, 1009), (0, 4096), (8, 4097), (2**33 + 1, 300)]
"""(start, count)"""
STEPS = [0, 7, 2**32 - 1, 2**32 + 7, 2**64 - 1]


def mask(gpu, *coordinates, shift=0):
    out = gpu.put(np.zeros(coordinates[1], bool), shift)
    dropout.mask(*coordinates, out)
    return gpu.get(out)


@pytest.mark.parametrize(("counter", "key", "words"), KNOWN_ANSWERS)
def test_known_answers(gpu, monkeypatch, counter, key, words):
    """An element is kept up to the rate that equals its word, and dropped from the next one on."""
    block, layer, low, high = counter
    seed, purpose = key
    monkeypatch.setattr(dropout, "PURPOSE", purpose)
    for lane, word in enumerate(words):
        coordinates = seed, layer, high << 32 | low
        assert mask(gpu, 4 * block + lane, 1, word / 2**32, *coordinates)[0]
        assert not mask(gpu, 4 * block + lane, 1, (word + 1) / 2**32, *coordinates)[0]


@pytest.mark.parametrize("step", STEPS)
def test_masks_equal_the_reference_bit_for_bit(gpu, step):
    for start, count in WINDOWS:
        for rate in RATES:
            expected = dropout_reference.mask(start, count, rate, 2**32 - 1, 5, step)
            for shift in (0, 1):
                np.testing.assert_array_equal(mask(gpu, start, count, rate, 2**32 - 1, 5, step, shift=shift), expected)


def test_few_blocks_reach_every_element(gpu, few_blocks):
    expected = dropout_reference.mask(3, 9001, 0.3, 1, 2, 3)
    np.testing.assert_array_equal(mask(gpu, 3, 9001, 0.3, 1, 2, 3), expected)


def test_a_step_may_be_the_clocks(gpu):
    for step in (0, 2**32 + 7):
        out = gpu.put(np.zeros(65, bool))
        dropout.mask(0, 65, 0.4, 3, 1, gpu.put(np.array([5, step, 0, 0])), out)
        np.testing.assert_array_equal(gpu.get(out), dropout_reference.mask(0, 65, 0.4, 3, 1, step))


@pytest.mark.parametrize("dtype", DTYPES)
def test_drawing_within_a_kernel_equals_the_mask(gpu, dtype, rng, few_blocks):
    draw = Draw(0.4, 2**32 - 1, 3, 2**32 + 7)
    for size in (1, 4, 1009, 5003):
        x = rng.normal(size=size).astype(dtype)
        keep = gpu.put(dropout_reference.mask(0, size, *draw))
        for shift in (0, 1):
            expected, actual = gpu.full(size, dtype), gpu.full(size, dtype, shift)
            dropout.apply(gpu.put(x), keep, draw.rate, expected)
            dropout.draw(gpu.put(x, shift), draw, actual)
            np.testing.assert_array_equal(gpu.get(actual), gpu.get(expected))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ["tanh", "gelu", "linear", "softmax"])
@pytest.mark.parametrize("shape", [(5, 8), (70, 33), (40, 130)])
def test_a_dense_layer_draws_the_same_in_both_its_passes(gpu, name, shape, dtype, rng, few_blocks):
    """Bit for bit what a mask does after the layer, and before its backward pass."""
    activation, draw = registry.activation(name), Draw(0.3, 11, 2, 5)
    keep = gpu.put(dropout_reference.mask(0, shape[0] * shape[1], *draw).reshape(shape))
    x, w, b, dy = (rng.normal(size=each).astype(dtype) for each in [(shape[0], 3), (3, shape[1]), shape[1], shape])
    found = []
    for fused in (False, True):
        arrays = gpu.put(x), gpu.put(w)
        z, y, dropped = (gpu.full(shape, dtype) for _ in range(3))
        dense.forward(*arrays, gpu.put(b), activation, z, y, *((draw, dropped) if fused else ()))
        gradient, dw, db = gpu.put(dy), gpu.full(w.shape, dtype), gpu.full(b.shape, dtype)
        if not fused:
            dropout.apply(y, keep, draw.rate, dropped)
            dropout.apply(gradient, keep, draw.rate, gradient)
        saved = y if activation.saves == "output" else z
        results = gradient, None, dw, db, None
        dense.backward(gradient, *arrays, saved, activation, False, *results, *((draw,) if fused else ()))
        found.append(gpu.get(y, dropped, gradient, dw, db))
    for expected, actual in zip(*found, strict=True):
        np.testing.assert_array_equal(actual, expected)
    assert 0 < np.count_nonzero(found[0][1]) < found[0][1].size
