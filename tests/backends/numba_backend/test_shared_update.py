"""The optimizer step with external gradients, with any number of threads."""

from typing import Any

import numpy as np
import pytest

import dnnkit as dk
from dnnkit.backends.numba_backend import cost_model
from tests.backends.numba_backend.partitions import OPTIMIZERS, dividing


def updated(optimizer: Any, num_threads: int, *, apart: bool) -> dict[str, np.ndarray]:
    """Return the parameters after three steps with gradients in one flat array, or in separate ones."""
    net = dk.Sequential(
        [dk.Dense(37, activation="relu"), dk.Dense(5)], seed=0, backend="numba", num_threads=num_threads
    )
    net.compile(optimizer, "mean_squared_error")
    net.build(11)
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(16, 11)).astype(np.float32), rng.normal(size=(16, 5)).astype(np.float32)
    for _ in range(3):
        gradients = net.get_gradients(x, y)[1]
        net.apply_gradients({name: value.copy() for name, value in gradients.items()} if apart else gradients)
    assert net.executable._updates.threads == num_threads
    return dict(net.parameters)


@pytest.mark.parametrize("clip", [None, 0.1])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_threads_share_an_update_and_change_no_bit(
    name: str, clip: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cost_model, "SHARED_UPDATE", -1.0)
    monkeypatch.setattr("dnnkit.backends.numba_backend.steps.usable", lambda asked: asked)
    with dividing("units/1"):
        expected = updated(OPTIMIZERS[name](clip), 1, apart=False)
        for threads, apart in ((1, True), (2, False), (3, True)):
            found = updated(OPTIMIZERS[name](clip), threads, apart=apart)
            for parameter, value in expected.items():
                np.testing.assert_array_equal(found[parameter], value)


def test_an_update_calls_no_custom_part() -> None:
    x = np.random.default_rng(0).normal(size=(16, 11)).astype(np.float32)
    networks = []
    for metrics in ([], [lambda y_true, y_pred: np.abs(y_true - y_pred)]):
        net = dk.Sequential([dk.Dense(5)], seed=0, backend="numba")
        net.compile("adam", "mean_squared_error", metrics=metrics)
        net.build(11)
        net.apply_gradients({name: np.ones_like(value) for name, value in net.parameters.items()})
        assert net.executable._updates._team.own_parts("update") is None
        net.fit(x, x[:, :5], verbose=0)
        networks.append(net)
    for name, value in networks[0].parameters.items():
        np.testing.assert_allclose(networks[1].parameters[name], value, rtol=1e-5, atol=1e-6)
