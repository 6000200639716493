"""Gradients of whole networks against central differences in float64, to 1e-6 relative."""

import numpy as np
import pytest

import dnnkit as dk
from dnnkit.backends import Backend
from tests.backends.networks import CASES, data, may_be_flat
from tests.oracles import ACTIVATIONS, LOSSES, central_difference

TOLERANCE = 1e-6


def check(net: dk.Sequential, x: np.ndarray, y: np.ndarray, weights: np.ndarray | None = None) -> None:
    """Check every parameter and the input."""
    loss, gradients = net.get_gradients(x, y, with_input=True, sample_weight=weights)
    assert np.isfinite(loss)

    def loss_at(samples: np.ndarray) -> float:
        return net.get_gradients(samples, y, sample_weight=weights)[0]

    compare(gradients.pop("input"), central_difference(loss_at, x.astype(np.float64)), "input")
    for name, gradient in gradients.items():
        kept = net.parameters[name]

        def loss_with(value: np.ndarray, name: str = name) -> float:
            net.parameters[name] = value
            return net.get_gradients(x, y, sample_weight=weights)[0]

        difference = central_difference(loss_with, kept)
        net.parameters[name] = kept
        compare(gradient, difference, name)


def compare(gradient: np.ndarray, difference: np.ndarray, name: str) -> None:
    """Relative to the largest entry; gradients below 1e-3 drown in the rounding of the loss."""
    scale = max(np.abs(gradient).max(), np.abs(difference).max(), 1e-3)
    assert np.abs(gradient - difference).max() / scale < TOLERANCE, name


def targets(loss: str, rows: int, outputs: int, rng: np.random.Generator) -> np.ndarray:
    if loss == "sparse_categorical_crossentropy":
        return rng.integers(0, outputs, rows)
    values = rng.uniform(0.1, 1, (rows, outputs))
    return values / values.sum(axis=1, keepdims=True) if loss == "categorical_crossentropy" else values


@may_be_flat
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_activations(backend: Backend, activation: str, rng: np.random.Generator) -> None:
    net = dk.Sequential(
        [dk.Dense(4, activation=activation), dk.Activation(activation), dk.Dense(2)],
        backend=backend,
        seed=11,
        dtype="float64",
    )
    net.compile(optimizer="sgd", loss="mean_squared_error")
    check(net, rng.normal(size=(3, 3)), rng.normal(size=(3, 2)))


def test_an_activation_keeps_what_the_layer_before_reads_again(backend: Backend, rng: np.random.Generator) -> None:
    layers = [dk.Dense(4, activation="tanh"), dk.Activation("gelu"), dk.Dense(2)]
    net = dk.Sequential(layers, backend=backend, seed=11, dtype="float64")
    net.compile(optimizer="sgd", loss="mean_squared_error")
    check(net, rng.normal(size=(3, 3)), rng.normal(size=(3, 2)))


WITH_LOGITS = [(loss, False) for loss in LOSSES] + [(loss, True) for loss in LOSSES if "crossentropy" in loss]


@pytest.mark.filterwarnings(
    "ignore:(no probabilities|probabilities as logits|sigmoid for classes):dnnkit.errors.TrainingWarning"
)
@pytest.mark.parametrize("last", ["softmax", "sigmoid", "linear"])
@pytest.mark.parametrize(("loss", "from_logits"), WITH_LOGITS)
def test_losses(backend: Backend, loss: str, last: str, from_logits: bool, rng: np.random.Generator) -> None:
    kind = dk.losses.LOSSES[loss]
    net = dk.Sequential([dk.Dense(3, activation=last)], backend=backend, seed=11, dtype="float64")
    net.compile(optimizer="sgd", loss=kind(from_logits=True) if from_logits else kind())
    x = np.abs(rng.normal(size=(4, 3)))
    if last == "linear" and not from_logits:  # probabilities have to be inside (0, 1): make them so
        net.build(3)
        net.parameters["dense/kernel"] = rng.uniform(0.05, 0.1, (3, 3))
        net.parameters["dense/bias"] = np.full(3, 0.2)
    check(net, x, targets(loss, 4, 3, rng), rng.uniform(0.1, 2, 4))


@pytest.mark.parametrize("name", [name for name in CASES if "step" not in name])
def test_networks(backend: Backend, name: str) -> None:
    case = CASES[name]
    x, labels = data(6)
    net = case.network(backend)
    net.build(x.shape[1:])
    result = dk.check_gradients(net, x, case.targets(labels), samples=12)
    assert result.largest < TOLERANCE
    assert result.passed


def test_a_wrong_gradient_is_found() -> None:
    net = dk.Sequential([dk.Dense(3), Doubled(), dk.Dense(2)], seed=0, dtype="float64")
    net.compile(optimizer="sgd", loss="mean_squared_error")
    rng = np.random.default_rng(0)
    result = dk.check_gradients(net, rng.normal(size=(5, 4)), rng.normal(size=(5, 2)))
    assert not result.passed
    assert result.errors["dense/kernel"] > 0.1
    assert result.errors["dense_1/kernel"] < TOLERANCE


class Doubled(dk.Layer):
    """y = 2 x, with the gradient of y = x."""

    def forward(self, xp, x):
        return 2 * x, None

    def backward(self, xp, dy, saved):
        return (dy,)


def test_float32_agrees_within_its_precision(backend: Backend) -> None:
    x, labels = data(6)
    case = CASES["relu sigmoid tanh, softmax, sparse, adam"]
    net = case.network(backend, "float32")
    net.build(x.shape[1:])
    assert dk.check_gradients(net, x, case.targets(labels), samples=5).passed


def test_the_input_gradient_is_that_of_the_raw_input(backend: Backend, rng: np.random.Generator) -> None:
    """Rescaling as the first layer is part of gathering; its factor must not be lost."""
    net = dk.Sequential([dk.Rescaling(0.1, 3.0), dk.Flatten(), dk.Dense(2)], backend=backend, seed=1, dtype="float64")
    net.compile(optimizer="sgd", loss="mean_squared_error")
    x, y = rng.normal(size=(3, 2, 2)), rng.normal(size=(3, 2))
    _, gradients = net.get_gradients(x, y, with_input=True)
    assert gradients["input"].shape == x.shape
    check(net, x, y)
