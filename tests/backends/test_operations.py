"""Each operation of a backend against the kernel's float64 reference, with and without `out`."""

from typing import Any

import numpy as np
import pytest

from dnnkit.backends import Backend
from dnnkit.backends.program import Loss, Metric
from dnnkit.kernels import registry
from dnnkit.kernels.accuracy import reference as accuracy
from dnnkit.kernels.dense import reference as dense_activation
from dnnkit.kernels.dropout import reference as dropout
from dnnkit.kernels.optimizer_step.reference import RULES
from tests.oracles import ACTIVATIONS

SHAPES = [(1, 1), (3, 5), (64, 64), (65, 127), (300, 131)]
TOLERANCE = {"float64": 1e-12, "float32": 2e-5}


def both(backend: Backend, shape: tuple[int, ...], dtype: str) -> list[Any]:
    """No buffer, and the backend's buffer."""
    return [None, backend.buffer(shape, backend.dtype(dtype))]


def close(backend: Backend, actual: Any, expected: Any, dtype: str) -> None:
    values = backend.to_numpy(actual)
    assert values.dtype == dtype
    np.testing.assert_allclose(values, expected, rtol=TOLERANCE[dtype], atol=TOLERANCE[dtype])


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("shape", SHAPES)
def test_activation_and_its_backward(backend: Backend, shape: tuple[int, ...], dtype: str, rng: Any) -> None:
    x, dy = rng.normal(0, 3, (2, *shape)).astype(dtype)
    for name in ACTIVATIONS:
        activation = registry.activation(name)
        expected = activation.forward(x.astype(np.float64))
        saved = expected if activation.saves == "output" else x.astype(np.float64)
        gradient = activation.backward(dy.astype(np.float64), saved)
        for out in both(backend, shape, dtype):
            y = backend.activation(activation, backend.asarray(x), out=out)
            close(backend, y, expected, dtype)
            kept = y if activation.saves == "output" else backend.asarray(x)
            dx = backend.activation_backward(
                activation, backend.asarray(dy), kept, out=backend.buffer(shape, backend.dtype(dtype))
            )
            close(backend, dx, gradient, dtype)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize(("rows", "inputs", "outputs"), [(1, 1, 1), (7, 13, 5), (33, 130, 65)])
@pytest.mark.parametrize("name", ["relu", "gelu", "softmax"])
@pytest.mark.parametrize("bias", [True, False])
def test_dense_and_its_backward(
    backend: Backend, rows: int, inputs: int, outputs: int, name: str, bias: bool, dtype: str, rng: Any
) -> None:
    activation = registry.activation(name)
    x, w, dy = (rng.normal(size=s).astype(dtype) for s in ((rows, inputs), (inputs, outputs), (rows, outputs)))
    w /= np.sqrt(inputs, dtype=dtype)
    b = rng.normal(size=outputs).astype(dtype) if bias else None
    wide = [None if a is None else a.astype(np.float64) for a in (x, w, b, dy)]
    expected, saved = dense_activation.forward(wide[0], wide[1], wide[2], activation)
    gradients = dense_activation.backward(wide[3], wide[0], wide[1], saved, activation, True)

    own = [None if a is None else backend.asarray(a) for a in (x, w, b)]
    kind = backend.dtype(dtype)
    z = backend.buffer((rows, outputs), kind) if activation.saves == "input" else None
    for out in ((None, None), (backend.buffer((rows, outputs), kind), z)):
        y, kept = backend.dense(*own, activation, out=out)
        close(backend, y, expected, dtype)
        buffers = (backend.buffer((rows, inputs), kind), backend.buffer((inputs, outputs), kind), None)
        outs = buffers if out[0] is not None else (None, None, None)
        result = backend.dense_backward(backend.asarray(dy.copy()), own[0], own[1], kept, activation, True, out=outs)
        for actual, gradient in zip(result, gradients, strict=True):
            close(backend, actual, gradient, dtype)


@pytest.mark.parametrize("kernel", registry.names("loss"))
@pytest.mark.parametrize("shape", [(1, 1), (7, 3), (65, 10), (3001, 17)])
@pytest.mark.parametrize("weighted", [True, False])
def test_loss(backend: Backend, kernel: str, shape: tuple[int, int], weighted: bool, rng: Any) -> None:
    on_logits = kernel in ("softmax_cross_entropy", "sigmoid_cross_entropy")
    scores = rng.normal(0, 2, shape) if on_logits else rng.uniform(0.05, 0.95, shape)
    targets = rng.uniform(0, 1, shape)
    weights = rng.uniform(0, 2, shape[0]) if weighted else None
    expected, gradient = registry.loss(kernel).loss_and_gradient(scores, targets, weights, 0.25)
    own = [None if a is None else backend.asarray(a) for a in (scores, targets, weights)]
    for out in both(backend, shape, "float64"):
        total, d = backend.loss(Loss(kernel, "values", "mean"), *own, 0.25, out=out)
        assert float(total) == pytest.approx(float(expected), rel=1e-12)
        close(backend, d, gradient, "float64")


@pytest.mark.parametrize("weighted", [True, False])
def test_metrics(backend: Backend, weighted: bool, rng: Any) -> None:
    scores, labels = rng.normal(size=(5000, 7)), rng.integers(0, 7, 5000)
    weights = rng.uniform(0, 2, 5000) if weighted else None
    rows = (rng.uniform(size=(5000, 7)) > 0.5).astype(np.float64)
    own_weights = None if weights is None else backend.asarray(weights)
    own = backend.asarray(scores)
    value = backend.metric(Metric("a", "categorical_accuracy"), own, backend.asarray(labels), own_weights)
    assert float(value) == pytest.approx(float(accuracy.categorical(scores, labels, weights)), rel=1e-12)
    value = backend.metric(Metric("b", "binary_accuracy", 0.1), own, backend.asarray(rows), own_weights)
    assert float(value) == pytest.approx(float(accuracy.binary(scores, rows, weights, 0.1)), rel=1e-12)


@pytest.mark.parametrize("source", ["uint8", "int64", "bool", "float32", "float64"])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("features", [1, 784, 20000])
def test_gather(backend: Backend, source: str, dtype: str, features: int, rng: Any) -> None:
    data = (rng.uniform(0, 2, (9, features)) * 100).astype(source)
    rows = np.array([8, 0, 3, 3, 1])
    expected = data[rows].astype(dtype) * np.asarray(1 / 255, dtype) + np.asarray(0.5, dtype)
    for out in both(backend, (5, features), dtype):
        x = backend.gather(backend.asarray(data), backend.asarray(rows), 1 / 255, 0.5, backend.dtype(dtype), out=out)
        close(backend, x, expected, dtype)


def test_dropout_masks_are_those_of_the_reference(backend: Backend) -> None:
    shape = (131, 257)
    expected = dropout.mask(0, 131 * 257, 0.4, 7, 2, 2**33 + 5).reshape(shape)
    for out in both(backend, shape, "bool"):
        keep = backend.dropout_mask(shape, 0.4, 7, 2, 2**33 + 5, out=out)
        np.testing.assert_array_equal(backend.to_numpy(keep), expected)


@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize("size", [0, 1, 16383, 16385, 40001])
def test_update(backend: Backend, name: str, size: int, rng: Any) -> None:
    rule = RULES[name]
    p, g, *slots = rng.uniform(0.1, 1, (2 + len(rule.slots), size))
    numbers = [0.01] + [0.9] * len(rule.hyperparameters)
    expected = rule.function(3, p, g, *slots, *numbers)
    own = [backend.asarray(a.copy()) for a in (p, g, *slots)]
    parameter, new = backend.update(rule, 3, own[0], own[1], own[2:], *numbers)
    for actual, value in zip([parameter, *new], expected, strict=True):
        close(backend, actual, value, "float64")


def test_clip_norm(backend: Backend) -> None:
    x = backend.asarray(np.array([3.0, 4.0]))
    np.testing.assert_allclose(backend.to_numpy(backend.clip_norm(x, 1.0)), [0.6, 0.8], rtol=1e-15)
    np.testing.assert_array_equal(backend.to_numpy(backend.clip_norm(x, 5.0)), [3.0, 4.0])
    zero = backend.asarray(np.zeros(2))
    np.testing.assert_array_equal(backend.to_numpy(backend.clip_norm(zero, 1.0)), [0.0, 0.0])
