"""Any kind of first stage reads the whole batch, also where workers share its gathering."""

import numpy as np
import pytest

import dnnkit as dk
from dnnkit.layers import Layer
from tests.backends.numba_backend.partitions import dividing


@pytest.mark.parametrize(
    "first", [dk.Scale(), dk.PReLU(), dk.LayerNormalization(), dk.PeriodicEmbedding(2, 3), dk.Activation("tanh")]
)
def test_two_workers_that_divide_units_follow_numpy(first: Layer) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(96, 6))
    y = (x[:, :1] > x[:, 1:2]).astype(float)
    found = []
    for backend, threads in (("numpy", 1), ("numba", 2)):
        flat = [dk.Flatten()] if isinstance(first, dk.PeriodicEmbedding) else []
        layers = [first, *flat, dk.Dense(128, "tanh"), dk.Dense(128, "tanh"), dk.Dense(1, "sigmoid")]
        net = dk.Sequential(layers, seed=0, dtype="float64", backend=backend, num_threads=threads)
        net.compile(dk.SGD(0.5), "binary_crossentropy")
        with dividing("units/2"):
            net.fit(x, y, batch_size=32, epochs=2, verbose=0)
        found.append(net)
    assert found[1].history.plan.details["partition"] == "units/2"
    for name, expected in found[0].parameters.items():
        assert found[1].parameters[name] == pytest.approx(expected, abs=1e-12)
