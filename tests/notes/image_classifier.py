"""The image classifier of the tutorial: 784 pixels, 128 hidden neurons, ten classes.

The tutorial's own figures (accuracy 0.9104, 37 to 48 µs per sample) belong to Fashion-MNIST and to its machine; they
are in the notebook. Here the same network is trained on MNIST.
"""

import contextlib
import io
import re
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

import dnnkit as dk
from tests.notes.figure import figure

TARGETS, ANSWERS = np.array([1.0, 2.0, 3.0]), np.array([1.5, 2.0, 2.0])
LINE = re.compile(r"^Epoch \d+/10 - .* s - [\d.]+ µs/sample - loss: [\d.]+ - accuracy: [\d.]+$", re.MULTILINE)


def make_network() -> dk.Sequential:
    net = dk.Sequential(
        [dk.Rescaling(1 / 255), dk.Flatten(), dk.Dense(128, activation="relu"), dk.Dense(10, activation="softmax")],
        seed=0,
    )
    net.compile(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    return net


def some_images(count: int) -> tuple[Any, Any]:
    """Draw noise in the layout of the data set, with labels, for what does not depend on the data."""
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (count, 28, 28), np.uint8), rng.integers(0, 10, count)


@dataclass
class Trained:
    """The network after its ten epochs, its measurements and output, and its probabilities for the test
    images."""

    net: dk.Sequential
    history: dk.History
    printed: str
    probabilities: Any
    test_labels: Any


def trained() -> Trained:
    return _train(dk.get_backend().name)


@cache
def _train(backend: str) -> Trained:
    (x, y), (x_test, y_test) = dk.datasets.mnist.load_data()
    net, printed = make_network(), io.StringIO()
    with contextlib.redirect_stdout(printed):
        history = net.fit(x, y, epochs=10, verbose=2)
    return Trained(net, history, printed.getvalue(), net.predict(x_test), y_test)


@figure("mean squared error of the answers 1.5, 2, 2 for the targets 1, 2, 3", 1.25 / 3, 1e-12)
def mean_squared_error():
    return dk.ops.mean_squared_error(TARGETS, ANSWERS)


@figure("its gradient in the answers", (1 / 3, 0, -2 / 3), 1e-12)
def mean_squared_error_gradient():
    return dk.ops.mean_squared_error_backward(TARGETS, ANSWERS)


@figure("loss of a network compiled with the mean squared error, less that of its predictions", 0, 1e-6)
def mean_squared_error_as_the_loss():
    x, labels = some_images(20)
    targets = np.eye(10, dtype=np.float32)[labels]
    net = make_network()
    net.compile(optimizer="adam", loss="mean_squared_error")
    return net.evaluate(x, targets)["loss"] - np.mean((net.predict(x) - targets) ** 2)


@figure("softmax of ln 1, ln 2, ln 5", (0.125, 0.25, 0.625), 1e-12)
def softmax():
    return dk.ops.softmax(np.log([1.0, 2.0, 5.0]))


@figure("cross-entropy of ten equal probabilities: ln 10", 2.302585093, 1e-9)
def cross_entropy_of_a_guess():
    return dk.ops.sparse_categorical_crossentropy([3], np.full((1, 10), 0.1))


@figure("derivatives in the logit of the true class at probability ½: cross-entropy, mean squared error", (-0.5, -0.25))
def derivatives_in_the_logit():
    logits, truth = np.zeros((1, 2)), np.array([[1.0, 0.0]])
    cross_entropy = np.asarray(dk.ops.categorical_crossentropy_backward(truth, logits, from_logits=True))
    in_outputs = np.asarray(dk.ops.mean_squared_error_backward(truth, dk.ops.softmax(logits)))
    return cross_entropy[0, 0], (in_outputs[0] @ np.asarray(dk.ops.softmax_grad(logits))[0])[0]


@figure("parameters of the network: 784 · 128 + 128 + 128 · 10 + 10", 101_770)
def number_of_parameters():
    net = make_network()
    net.build((28, 28))
    return sum(parameter.size for parameter in net.parameters.values())


@figure("shape of the prediction for a single image", (1, 10))
def shape_of_a_prediction():
    x, _ = some_images(1)
    return make_network().predict(x).shape


@figure("probabilities of the network by hand: largest difference", 0, 1e-6)
def network_by_hand():
    x, _ = some_images(5)
    net = make_network()
    predictions, p = net.predict(x), net.parameters
    hidden = np.maximum(0, x.reshape(5, 784) / 255 @ p["dense/kernel"] + p["dense/bias"])
    powers = np.exp(hidden @ p["dense_1/kernel"] + p["dense_1/bias"])
    return np.abs(predictions - powers / powers.sum(axis=1, keepdims=True)).max()


@figure("images in the grid", 25)
def images_in_the_grid():
    x, labels = some_images(25)
    shown = dk.plots.plot_images(x, labels, dk.datasets.fashion_mnist.CLASS_NAMES)
    return sum(len(axes.images) for axes in shown.axes)


@figure("frames of two predictions, right and wrong: blue, red", ((0x1F, 0x6F, 0xB4), (0xC8, 0x32, 0x1E)), 1e-9)
def colours_of_predictions():
    x, _ = some_images(2)
    names, certain = dk.datasets.fashion_mnist.CLASS_NAMES, np.eye(10)[[1, 2]]
    shown = dk.plots.plot_predictions(x, [1, 3], certain, names, bars=True)
    return [np.multiply(axes.spines["top"].get_edgecolor()[:3], 255) for axes in shown.axes if axes.images]


@figure("shape of the training images", (60_000, 28, 28), mnist=True)
def shape_of_the_data():
    (x, _), _ = dk.datasets.mnist.load_data()
    return x.shape


@figure("training accuracy after 10 epochs, on MNIST", 0.99, relation=">=", mnist=True)
def accuracy_on_training_images():
    return trained().history["accuracy"][-1]


@figure("test accuracy after 10 epochs, on MNIST", 0.97, relation=">=", mnist=True)
def accuracy_on_test_images():
    return dk.ops.categorical_accuracy(trained().test_labels, trained().probabilities)


@figure("lines of progress with time per sample, loss and accuracy", 10, mnist=True)
def lines_of_progress():
    return len(LINE.findall(trained().printed))


@figure("sum of the probabilities of a test image, largest difference from 1", 0, 1e-5, mnist=True)
def sums_of_probabilities():
    return np.abs(trained().probabilities.sum(axis=1, dtype=np.float64) - 1).max()
