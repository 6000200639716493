"""Predictions of networks with folded stages: the same, by fewer stages."""

import threading
from itertools import pairwise

import numpy as np
import pytest

import dnnkit as dk
from dnnkit.backends import Backend
from dnnkit.backends.folding import folded
from dnnkit.backends.stages import Dense, Op

rng = np.random.default_rng(0)
X, Y = rng.normal(size=(40, 5)), rng.normal(size=(40, 2))


def trained(*layers: dk.Layer) -> dk.Sequential:
    net = dk.Sequential(layers, seed=1, dtype="float64")
    net.compile(dk.Adam(0.05), "mean_squared_error")
    net.fit(X, Y, batch_size=10, epochs=3, verbose=0)
    return net


NETWORKS: dict[str, tuple[list[dk.Layer], list[str]]] = {
    "behind a dense layer": (
        [dk.Dense(6, use_bias=False), dk.BatchNormalization(), dk.ReLU(), dk.Dense(2)],
        ["relu", "linear"],
    ),
    "before a dense layer": ([dk.Dense(6, "tanh"), dk.BatchNormalization(), dk.Dense(2)], ["tanh", "linear"]),
    "several": ([dk.Normalization(), dk.BatchNormalization(scale=False), dk.Scale(), dk.Dense(2)], ["linear"]),
    "of axes": ([dk.Dense(6), dk.Reshape((3, 2)), dk.BatchNormalization(), dk.Flatten(), dk.Dense(2)], ["linear"] * 2),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_predictions_are_the_same_by_dense_layers_alone(backend: Backend, name: str) -> None:
    layers, activations = NETWORKS[name]
    net = trained(*layers)
    made = folded(net.executable.program)
    assert made is not None
    assert [stage.activation for stage in made.program.stages if isinstance(stage, Dense)] == activations
    assert len(made.program.stages) == len(activations)
    plain = net.executable.predict(net.executable.load(X, None, None), 40)
    np.testing.assert_allclose(net.predict(X), plain, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(net.predict(X[:3]), plain[:3], rtol=1e-10, atol=1e-12)


def test_predictions_follow_every_change(backend: Backend) -> None:
    net = trained(*NETWORKS["behind a dense layer"][0])
    seen = [net.predict(X)]
    net.fit(X, Y, verbose=0)
    seen.append(net.predict(X))
    net.parameters["batch_normalization/moving_mean"] = np.ones(6)
    seen.append(net.predict(X))
    net.train_step(X, Y)
    seen.append(net.predict(X))
    for before, after in pairwise(seen):
        assert not np.array_equal(before, after)
    np.testing.assert_allclose(seen[-1], net.executable.predict(net.executable.load(X, None, None), 40), atol=1e-10)


def test_threads_predict_during_a_fit() -> None:
    net = trained(*NETWORKS["behind a dense layer"][0])
    found: list[np.ndarray] = []
    readers = [threading.Thread(target=lambda: found.extend(net.predict(X) for _ in range(50))) for _ in range(2)]
    for reader in readers:
        reader.start()
    net.fit(X, Y, epochs=20, batch_size=4, verbose=0)
    for reader in readers:
        reader.join()
    assert len(found) == 100
    assert all(np.isfinite(each).all() for each in found)
    np.testing.assert_allclose(
        net.predict(X), net.executable.predict(net.executable.load(X, None, None), 40), atol=1e-10
    )


def test_shared_values_and_parameters_are_not_folded() -> None:
    assert folded(trained(dk.Dense(4, "tanh"), dk.Dense(2)).executable.program) is None
    assert (
        folded(trained(dk.Dense(4, "tanh"), dk.BatchNormalization(), dk.ReLU(), dk.Dense(2)).executable.program) is None
    )
    nothing = trained(dk.Dense(4, "tanh"), dk.LayerNormalization(), dk.Dense(2)).executable.program
    assert any(isinstance(stage, Op) for stage in nothing.stages)
    assert folded(nothing) is None


def test_running_means_are_folded_too(backend: Backend) -> None:
    net = dk.Sequential(NETWORKS["behind a dense layer"][0], seed=1, dtype="float64")
    net.compile(dk.Adam(0.05, use_ema=True, ema_momentum=0.9), "mean_squared_error", gradient_accumulation_steps=2)
    net.fit(X, Y, batch_size=10, epochs=2, verbose=0)
    plain = net.executable.predict(net.executable.load(X, None, None), 40, net.executable.averages())
    np.testing.assert_allclose(net.predict(X), plain, rtol=1e-9, atol=1e-11)
    np.testing.assert_allclose(net.predict(np.tile(X, (10, 1)))[-40:], plain, rtol=1e-9, atol=1e-11)
    assert not np.allclose(plain, net.executable.predict(net.executable.load(X, None, None), 40))
