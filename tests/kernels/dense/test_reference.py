"""Dense layer: values against plain loops of matrix algebra, gradients against central differences."""

import numpy as np
import pytest

from dnnkit.kernels import registry
from dnnkit.kernels.dense.reference import backward, forward
from dnnkit.testing.questions import representatives
from tests.oracles import central_difference

SIZES = [(1, 1, 1), (3, 5, 7), (7, 2, 3), (2, 7, 1)]
"""(B, I, O)"""


def sample(sizes, rng, dtype=np.float64):
    """x, w, b, dy; no z so near a kink that a difference would cross it (the seed is fixed)."""
    rows, inputs, outputs = sizes
    shapes = (rows, inputs), (inputs, outputs), (outputs,), (rows, outputs)
    return tuple(rng.normal(size=shape).astype(dtype) for shape in shapes)


@pytest.mark.parametrize("name", representatives())
@pytest.mark.parametrize("sizes", SIZES)
def test_forward_is_the_formula(name, sizes, rng):
    x, w, b, _ = sample(sizes, rng)
    activation = registry.activation(name)
    z = np.array([[sum(x[i] * w[:, o]) + b[o] for o in range(sizes[2])] for i in range(sizes[0])])
    y, saved = forward(x, w, b, activation)
    np.testing.assert_allclose(y, activation.forward(z), rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(saved, y if activation.saves == "output" else z, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("with_bias", [True, False])
@pytest.mark.parametrize("name", representatives())
@pytest.mark.parametrize("sizes", SIZES)
def test_backward_against_central_differences(name, sizes, with_bias, rng):
    x, w, b, dy = sample(sizes, rng)
    activation = registry.activation(name)

    def loss(x, w, b):
        return float(np.sum(dy * forward(x, w, b if with_bias else None, activation)[0]))

    _, saved = forward(x, w, b if with_bias else None, activation)
    dx, dw, db = backward(dy, x, w, saved, activation, needs_dx=True)
    np.testing.assert_allclose(dx, central_difference(lambda v: loss(v, w, b), x), rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(dw, central_difference(lambda v: loss(x, v, b), w), rtol=1e-6, atol=1e-8)
    if with_bias:
        np.testing.assert_allclose(db, central_difference(lambda v: loss(x, w, v), b), rtol=1e-6, atol=1e-8)
