"""Derivatives of outputs in inputs and parameters: by finite differences in float64, on every backend."""

from dataclasses import dataclass

import numpy as np
import pytest

import dnnkit as dk
from dnnkit.backends import Backend, one_function
from dnnkit.network import jacobian
from tests.backends.graphs import built, numbers, samples, two_inputs_two_outputs

rng = np.random.default_rng(4)


@dataclass(frozen=True)
class Scale(dk.Layer):
    """A custom layer."""

    def parameters(self, input_shape):
        return {"scale": (input_shape, dk.initializers.Constant(0.7))}

    def forward(self, xp, x, scale):
        return x * x * scale, x

    def backward(self, xp, dy, x, scale):
        return 2 * dy * x * scale, xp.sum(x * x * dy, axis=0)


NETWORKS = {
    "softmax": [dk.Rescaling(0.5, 0.1), dk.Dense(6, activation="tanh"), dk.Dense(3, activation="softmax")],
    "one output": [dk.Dense(5, activation="gelu"), dk.Dropout(0.5), dk.Dense(1)],
    "images": [dk.Flatten(), dk.Dense(4, activation="softplus"), dk.Dense(2, activation="sigmoid")],
    "own layer": [dk.Dense(5), Scale(), dk.Activation("tanh"), dk.Dense(2)],
    "normalised": [dk.Dense(5), dk.BatchNormalization(), dk.Activation("tanh"), dk.GaussianNoise(1.0), dk.Dense(2)],
    "layer norm": [dk.Normalization(), dk.Dense(5, activation="tanh"), dk.LayerNormalization(), dk.Dense(2)],
    "periodic": [dk.PeriodicEmbedding(0, 2, 0.5), dk.Flatten(), dk.Dense(3, activation="gelu")],
    "no parameters": [dk.Activation("softmax")],
}
LOSSES = {"softmax": "sparse_categorical_crossentropy", "images": "binary_crossentropy"}


def network(case: str, backend: Backend, *, compiled: bool) -> tuple[dk.Sequential, np.ndarray]:
    x = rng.normal(size=(5, 2, 3) if case == "images" else (5, 4))
    net = dk.Sequential(NETWORKS[case], seed=6, backend=backend, dtype="float64")
    if compiled:
        net.compile("adam", LOSSES.get(case, "mse"))
    net.build(x.shape[1:])
    return net, x


def differences(of, at: np.ndarray, h: float = 1e-5) -> np.ndarray:
    """Central differences: (*outputs, *inputs)."""
    found = np.empty((*of(at).shape, *at.shape))
    for place in np.ndindex(at.shape):
        step = np.zeros_like(at)
        step[place] = h
        found[..., *place] = (of(at + step) - of(at - step)) / (2 * h)
    return found


@pytest.mark.parametrize("case", NETWORKS)
def test_in_inputs(case: str, backend: Backend, monkeypatch) -> None:
    net, x = network(case, backend, compiled=case in LOSSES)
    before = net.executable.snapshot() if case in LOSSES else None
    found = net.jacobian(x)
    assert found.shape == (*net.predict(x).shape, *x.shape[1:])
    for sample, expected in zip(x, found, strict=True):
        np.testing.assert_allclose(expected, differences(lambda at: net.predict(at[None])[0], sample), atol=1e-8)
    monkeypatch.setattr(one_function, "rows_at_a_time", lambda program: 2 * program.output_features)
    np.testing.assert_allclose(net.jacobian(x), found, rtol=1e-12, atol=1e-15)
    if before is not None:
        after = net.executable.snapshot()
        np.testing.assert_equal([after.parameters, after.slots], [before.parameters, before.slots])
        assert after.state == before.state


@pytest.mark.parametrize("case", ["softmax", "layer norm", "periodic"])
@pytest.mark.parametrize(("most", "few", "workers"), [(2, 1, 1), (3, 6, 2), (256, 1, 2)])
def test_in_batches_of_any_size(case: str, most: int, few: int, workers: int, monkeypatch) -> None:
    """From one output after the other or from several at a time, by one worker or by two."""
    pytest.importorskip("numba")
    from dnnkit.backends.numba_backend import cost_model, derivatives
    from dnnkit.backends.numba_backend.partition import SINGLE, Partition

    net, x = network(case, dk.backends.get_backend("numba"), compiled=False)
    expected = net.jacobian(x)
    partition = SINGLE if workers == 1 else Partition("rows", workers)
    monkeypatch.setattr(derivatives, "MOST", most)
    monkeypatch.setattr(derivatives, "FEW", few)
    monkeypatch.setattr(cost_model, "partition_of_gradients", lambda *_: partition)
    np.testing.assert_allclose(net.jacobian(x), expected, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("case", ["softmax", "one output", "own layer", "layer norm"])
def test_in_parameters(case: str, backend: Backend) -> None:
    net, x = network(case, backend, compiled=False)
    net.freeze(0 if case != "softmax" else 1)
    found = net.jacobian(x, parameters=True)
    assert found.keys() == {each.name for each in net.executable.program.trainable_parameters}
    for name, values in found.items():
        kept = np.array(net.parameters[name])

        def predicted(value: np.ndarray, name: str = name) -> np.ndarray:
            net.parameters[name] = value
            return net.predict(x)

        np.testing.assert_allclose(values, differences(predicted, kept), atol=1e-8, err_msg=name)
        net.parameters[name] = kept


def test_it_follows_the_training(backend: Backend) -> None:
    net, x = network("softmax", backend, compiled=True)
    y = np.arange(5) % 3
    before = net.jacobian(x)
    np.testing.assert_allclose(before.sum(axis=1), 0, atol=1e-12)  # derivatives of values that sum to 1
    net.fit(x, y, verbose=0)
    after = net.jacobian(x)
    assert (before != after).all()
    again = net.copy() if hasattr(net, "copy") else net
    np.testing.assert_array_equal(again.jacobian(x), after)
    net.compile(dk.LBFGS(), net.loss)
    net.fit(x, y, epochs=3, verbose=0)
    np.testing.assert_allclose(net.jacobian(x)[0], differences(lambda at: net.predict(at[None])[0], x[0]), atol=1e-8)


def test_of_float32_and_bytes(backend: Backend) -> None:
    net = dk.Sequential([dk.Rescaling(1 / 16), dk.Dense(3, activation="tanh")], seed=0, backend=backend)
    x = np.array([[3, 16], [0, 7]], np.uint8)
    slope = 1 - net.predict(x) ** 2
    expected = slope[:, :, None] * np.asarray(net.parameters["dense/kernel"]).T / 16
    found = net.jacobian(x)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_of_several_outputs_each_after_its_own_head(backend: Backend) -> None:
    program = two_inputs_two_outputs(dropout=True)
    values, (x, y) = numbers(program), samples(program, 2)
    net, other = (built(backend, one, values) for one in (program, jacobian.differentiated(program, False)))
    rows, targets = np.repeat(x, 5, axis=0), np.tile(np.eye(5), (2, 1))
    gradient = other.gradients(other.load(rows, targets, None), with_input=True).input
    found = np.asarray(backend.to_numpy(gradient)).reshape(2, 5, -1)
    for sample, expected in zip(x, found, strict=True):

        def predicted(at: np.ndarray) -> np.ndarray:
            return net.predict(net.load(at[None], y[:1], None), 1)[0]

        np.testing.assert_allclose(expected, differences(predicted, sample), atol=1e-8)


def test_of_a_network_with_a_skip(backend: Backend) -> None:
    inside = dk.Input((3,))
    hidden = dk.Dense(3, activation="tanh")(inside)
    net = dk.Model(
        inside, dk.Dense(2, activation="softmax")(dk.Add()([hidden, inside])), seed=1, backend=backend, dtype="float64"
    )
    x = rng.normal(size=(3, 3))
    for sample, expected in zip(x, net.jacobian(x), strict=True):
        np.testing.assert_allclose(expected, differences(lambda at: net.predict(at[None])[0], sample), atol=1e-8)
    net.compile(dk.LBFGS(), "categorical_crossentropy")
    history = net.fit(x, np.eye(2)[[0, 1, 0]], epochs=5, verbose=0)
    assert history["loss"][-1] < history["loss"][0]
