"""Compiled dense layer as the compiled epoch calls it: outputs that are not requested are not written."""

import numpy as np
import pytest

from dnnkit.kernels import registry
from dnnkit.kernels._numba.entry_points import activation_entry_points
from dnnkit.kernels.dense import cpu, reference
from dnnkit.testing.questions import representatives
from tests.kernels.dense.test_reference import sample


@pytest.mark.parametrize("name", representatives())
def test_dx_and_db_are_left_alone_unless_needed(name, rng):
    x, w, b, dy = sample((13, 5, 7), rng)
    activation = registry.activation(name)
    _, saved = reference.forward(x, w, b, activation)
    address = activation_entry_points(name, "float64").address("backward")
    expected = reference.backward(dy, x, w, saved, activation, True)
    for needs_dx in (True, False):
        for with_bias in (True, False):
            dz, dx, dw = (np.full_like(like, 77) for like in (dy, x, w))
            db = np.full(7 if with_bias else 0, 77.0)
            cpu.backward(dy, x, w, saved, address, needs_dx, dz, dx, dw, db)
            np.testing.assert_allclose(dx, expected[0] if needs_dx else 77, rtol=1e-12, atol=1e-14)
            np.testing.assert_allclose(dw, expected[1], rtol=1e-12, atol=1e-14)
            np.testing.assert_allclose(db, expected[2] if with_bias else np.empty(0), rtol=1e-12, atol=1e-14)
