"""The notes "Training a three-layer binary classifier": a loss, its gradient, a loop by hand, a data set by formula."""

import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.image import imread
from threadpoolctl import threadpool_limits

import dnnkit as dk
from tests.notes.figure import figure

TARGETS = np.array([1, 1, 0, 1, 0, 0, 0, 1, 1, 0])
PREDICTIONS = np.array([0.6, 0.4, 0.2, 0.7, 0.1, 0.2, 0.5, 0.9, 0.8, 0.6])
CLIP = 1e-7
"""How near to 0 and 1 a probability may be, as the loss documents."""

RATE, STEPS, SEED = 1e-2, 1000, 123
SMALL_BATCH = 100
"""Points on which gradients are checked."""

single_thread = threadpool_limits.wrap(limits=1)
"""For matrices as small as these, where threads cost more than they save."""


def loss(predictions: Any) -> float:
    return float(dk.ops.binary_cross_entropy_loss(TARGETS, predictions))


def backward(predictions: Any) -> np.ndarray:
    return dk.get_backend().to_numpy(dk.ops.binary_cross_entropy_loss_backward(TARGETS, predictions))


# -- the loss --------------------------------------------------------------------------------------------------------


@figure("loss of the ten predictions", 0.42733809, 5e-9)
def loss_of_ten():
    return loss(PREDICTIONS)


@figure("its gradient: largest distance from differences", 1e-7, relation="<=")
def gradient_of_ten():
    return np.abs(backward(PREDICTIONS) - dk.numerical_gradient(loss, PREDICTIONS)).max()


@cache
def descended(backend: str) -> np.ndarray:
    """Return the loss of the ten predictions before each of 500 steps of gradient descent, and after the last."""
    predictions, losses = PREDICTIONS, [loss(PREDICTIONS)]
    for _ in range(500):
        predictions = predictions - RATE * backward(predictions)
        losses.append(loss(predictions))
    return np.array(losses)


@figure("loss after 500 steps of 1e-2 on the predictions themselves", 0.01, relation="<=")
def loss_in_the_end():
    return descended(dk.get_backend().name)[-1]


@figure("losses in these 500 steps that are NaN or infinite", 0)
def lost_on_the_way():
    return np.count_nonzero(~np.isfinite(descended(dk.get_backend().name)))


@figure("predictions that are wrong and exactly 0 or 1: loss, clipped at 1e-7", -np.log(CLIP), 1e-7)
def loss_of_the_surest():
    return loss(1 - TARGETS)


@figure("their gradient", 0)
def gradient_of_the_surest():
    return np.abs(backward(1 - TARGETS)).max()


# -- the network -----------------------------------------------------------------------------------------------------


def classifier(dtype: Any = "float32") -> dk.Sequential:
    """Return three dense layers, as `reset_seed(123)` makes them."""
    dk.reset_seed(SEED)
    net = dk.Sequential(
        [
            dk.Dense(64, activation="relu", kernel_initializer="he_normal"),
            dk.Dense(64, activation="relu", kernel_initializer="he_normal"),
            dk.Dense(1, activation="sigmoid"),
        ],
        dtype=dtype,
    )
    net.compile(dk.SGD(RATE), "binary_crossentropy", ["accuracy"])
    net.build(2)
    return net


@figure("reset_seed(123) twice: largest difference of the first weights", 0)
def same_weights():
    first, second = classifier().parameters, classifier().parameters
    return max(np.abs(first[name] - second[name]).max() for name in first)


@figure("gradients that get_gradients gives: of the input and six parameters", 7)
def number_of_gradients():
    (x, y), _ = dk.datasets.circles.load_data()
    net = classifier()
    _, gradients = net.get_gradients(x, y, with_input=True)
    shapes = {**{name: values.shape for name, values in net.parameters.items()}, "input": x.shape}
    assert {name: gradient.shape for name, gradient in gradients.items()} == shapes
    return len(gradients)


@figure("parameters: error of backpropagation against differences", 1e-6, relation="<=")
def parameter_gradients_agree():
    (x, y), _ = dk.datasets.circles.load_data()
    return dk.check_gradients(classifier("float64"), x[:SMALL_BATCH], y[:SMALL_BATCH], samples=40).largest


@figure("input: error of backpropagation against differences", 1e-6, relation="<=")
def input_gradients_agree():
    (x, y), _ = dk.datasets.circles.load_data()
    net, x, y = classifier("float64"), x[:SMALL_BATCH], y[:SMALL_BATCH]
    _, gradients = net.get_gradients(x, y, with_input=True)
    differences = dk.numerical_gradient(lambda points: net.get_gradients(points, y)[0], x, h=1e-5)
    return np.abs(gradients["input"] - differences).max() / np.abs(differences).max()


# -- training --------------------------------------------------------------------------------------------------------


def train(model: dk.Sequential, x: Any, y: Any, learning_rate: float) -> float:
    """Take the loop's step, by hand; return the loss before it."""
    loss, gradients = model.get_gradients(x, y)
    for name, gradient in gradients.items():
        model.parameters[name] = model.parameters[name] - learning_rate * gradient
    return loss


@dataclass(frozen=True)
class Training:
    """Results of 1,000 steps by hand: the network, both losses by step, and the size of their plot."""

    net: dk.Sequential
    losses: np.ndarray
    validation_losses: np.ndarray
    picture: tuple[int, ...]


@cache
@single_thread
def trained(backend: str) -> Training:
    (x, y), (x_validation, y_validation) = dk.datasets.circles.load_data(noise=0.1, factor=0.5)
    net, losses, validation_losses = classifier(), [], []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "loss.png"
        plot = dk.LossPlot(path, every=STEPS)
        plot.init()
        for step in range(1, STEPS + 1):
            losses.append(train(net, x, y, RATE))
            validation_losses.append(net.evaluate(x_validation, y_validation)["loss"])
            plot.add(step, losses[-1], validation_losses[-1])
        plot.finish()
        picture = imread(path).shape
    return Training(net, np.array(losses), np.array(validation_losses), picture)


@cache
@single_thread
def fitted(backend: str) -> dk.History:
    """Run the same training by `fit`."""
    (x, y), validation = dk.datasets.circles.load_data(noise=0.1, factor=0.5)
    return classifier().fit(x, y, batch_size=len(x), epochs=STEPS, shuffle=False, validation_data=validation, verbose=0)


@figure("training loss after 1,000 steps, as a share of the first", 0.5, relation="<=")
def training_loss_falls():
    losses = trained(dk.get_backend().name).losses
    return losses[-1] / losses[0]


@figure("validation loss after 1,000 steps, as a share of the first", 0.5, relation="<=")
def validation_loss_falls():
    losses = trained(dk.get_backend().name).validation_losses
    return losses[-1] / losses[0]


@figure("steps of 1,000 after which training or validation loss is higher", 0)
def steps_up():
    run = trained(dk.get_backend().name)
    return np.count_nonzero((np.diff(run.losses) > 0) | (np.diff(run.validation_losses) > 0))


def get_accuracy(model: dk.Sequential, x: Any, y: Any) -> float:
    """Return the binary accuracy, by hand."""
    return float(np.mean((model.predict(x) > 0.5) == (y > 0.5)))


@figure("binary accuracy on validation data after 1,000 steps", 0.922, relation=">=")
def accuracy():
    _, validation = dk.datasets.circles.load_data(noise=0.1, factor=0.5)
    return get_accuracy(trained(dk.get_backend().name).net, *validation)


@figure("binary accuracy by hand: distance from evaluate", 0, 1e-12)
def accuracy_by_hand():
    net, (training, validation) = trained(dk.get_backend().name).net, dk.datasets.circles.load_data()
    return max(abs(get_accuracy(net, *data) - net.evaluate(*data)["accuracy"]) for data in (training, validation))


@figure("loop by hand and fit: largest difference of a loss", 0, 1e-5)
def by_hand_and_by_fit():
    run, history = trained(dk.get_backend().name), fitted(dk.get_backend().name)
    training, validation = run.losses - history["loss"], run.validation_losses - history["val_loss"]
    return np.abs([training, validation]).max()


@figure("the loss plot as a PNG: pixels down and across", (540, 720))
def loss_plot():
    return trained(dk.get_backend().name).picture[:2]
