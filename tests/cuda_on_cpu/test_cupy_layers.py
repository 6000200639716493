"""Layers that are kinds of stages, on the CuPy backend: their formulas, by CuPy's functions."""

from types import ModuleType

import numpy as np
import pytest

import dnnkit as dk
from tests.dnnkit.layers import test_layers, test_penalties

pytestmark = pytest.mark.cuda_on_cpu


@pytest.mark.parametrize("name", [*test_layers.NETWORKS, "penalties"])
def test_they_follow_numpy(cupy: ModuleType, name: str) -> None:
    if name == "penalties":
        wanted, net = (test_penalties.network(backend=backend) for backend in ("numpy", "cupy"))
        x, y = test_penalties.X, test_penalties.Y
    else:
        wanted, net = (test_layers.network(name, "float64", backend=backend) for backend in ("numpy", "cupy"))
        x, y = test_layers.samples(name), test_layers.Y
    expected, found = (each.fit(x, y, batch_size=6, epochs=2, verbose=0)["loss"] for each in (wanted, net))
    np.testing.assert_allclose(found, expected, rtol=1e-9)
    for key, value in net.parameters.items():
        np.testing.assert_allclose(value, wanted.parameters[key], rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(net.predict(x), wanted.predict(x), atol=1e-7)
    assert net.evaluate(x, y)["loss"] == pytest.approx(wanted.evaluate(x, y)["loss"], rel=1e-7)


def test_dropout_whose_share_is_scheduled_follows_numpy(cupy: ModuleType) -> None:
    rng = np.random.default_rng(0)
    x, y, losses = rng.normal(size=(40, 6)), rng.normal(size=(40, 2)), []
    for backend in ("numpy", "cupy"):
        share = dk.schedules.PiecewiseConstantDecay((2, 5), (0.5, 0.1, 0.7))
        layers = [dk.Dense(24, "tanh"), dk.Dropout(share), dk.Dense(2)]
        net = dk.Sequential(layers, seed=3, dtype="float64", backend=backend)
        net.compile("adam", "mse")
        losses.append(net.fit(x, y, batch_size=16, epochs=4, verbose=0)["loss"])
    assert losses[1] == pytest.approx(losses[0], rel=1e-9)
