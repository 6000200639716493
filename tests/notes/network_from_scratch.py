"""The notes "A network from scratch on MNIST": losses, differences, descent, a small network and a two-layer one."""

from functools import cache
from typing import Any

import numpy as np

import dnnkit as dk
from tests.notes.figure import figure

TARGET = [0, 0, 1, 0, 0, 0, 0, 0, 0, 0]
LIKELY = [0.1, 0.05, 0.6, 0.0, 0.05, 0.1, 0.0, 0.1, 0.0, 0.0]
"""Outputs that give the true class, 2, the probability 0.6."""
UNLIKELY = [0.1, 0.05, 0.1, 0.0, 0.05, 0.1, 0.0, 0.6, 0.0, 0.0]
"""Outputs that give it 0.1."""
EPSILON = 1e-7
"""The number that the notes add inside the logarithm."""

STEP = 1e-4
SAMPLE, ITS_TARGET = np.array([0.6, 0.9]), np.array([0, 0, 1])
WEIGHTS = np.array([[1.25615955, -0.23526327, -0.89640755], [0.08626607, -2.37387257, 2.25933404]])
LOGITS = [0.8313352, -2.27764328, 1.4955561]
GRADIENT = [[0.20082854, 0.0089663, -0.20979484], [0.30124281, 0.01344945, -0.31469226]]

BATCH, ITERATIONS = 100, 10_000


def quadratic(x: Any) -> Any:
    """The notes' function of one number: 0.01 x² + 0.1 x, with derivative 0.02 x + 0.1."""
    return 0.01 * x**2 + 0.1 * x


def bowl(x: Any) -> Any:
    """The notes' function of two numbers, x0² + x1², for any number of them."""
    return np.sum(x**2)


def both(function: Any, **options: Any) -> list[float]:
    """Return a loss of both outputs."""
    return [float(function(TARGET, y, **options)) for y in (LIKELY, UNLIKELY)]


def both_with_label(**options: Any) -> list[float]:
    """Return the cross-entropy of both outputs, with the number 2 for a target."""
    return [float(dk.ops.sparse_categorical_crossentropy([2], y, **options)) for y in (LIKELY, UNLIKELY)]


@figure("sum of squared errors, likely and unlikely", (0.0975, 0.5975), 1e-12)
def squared_errors():
    return both(dk.ops.sum_squared_error)


@figure("cross-entropy, one-hot, 1e-7 in the logarithm", (0.51082546, 2.30258409), 1e-8)
def cross_entropy():
    return both(dk.ops.categorical_crossentropy, epsilon=EPSILON)


@figure("cross-entropy, label, 1e-7 in the logarithm", (0.51082546, 2.30258409), 1e-8)
def cross_entropy_of_labels():
    return both_with_label(epsilon=EPSILON)


@figure("cross-entropy, one-hot, exact: -log 0.6, -log 0.1", (0.5108256238, 2.302585093), 1e-10)
def exact_cross_entropy():
    return both(dk.ops.categorical_crossentropy)


@figure("cross-entropy, label, exact", (0.5108256238, 2.302585093), 1e-10)
def exact_cross_entropy_of_labels():
    return both_with_label()


@cache
def times_shown(backend: str, shuffle: Any, samples: int = 1000) -> Any:
    """Return how often an epoch of `fit` shows each sample.

    Every sample has its own input, so that its weight counts: near 0, each time shown adds about the learning rate.
    """
    rate = 1e-3
    net = dk.Sequential(
        [dk.Dense(1, use_bias=False, kernel_initializer="zeros")], seed=0, dtype="float64", backend=backend
    )
    net.compile(dk.SGD(rate), "sum_squared_error")
    net.fit(np.eye(samples), np.ones((samples, 1)), batch_size=BATCH, shuffle=shuffle, verbose=0)
    return np.rint(net.parameters["dense/kernel"] / rate)


@figure("samples shown in an epoch, drawn with replacement: 1 - 1/e", 0.632, 0.03)
def share_with_replacement():
    return np.mean(times_shown(dk.get_backend().name, "with_replacement") > 0)


@figure("samples shown exactly once in an epoch, shuffled", 1.0)
def share_shuffled():
    return np.mean(times_shown(dk.get_backend().name, True) == 1)


@figure("numerical_diff of 0.01x² + 0.1x at 5 and 10", (0.2, 0.3), 1e-9)
def derivatives():
    return dk.numerical_diff(quadratic, np.array([5.0, 10.0]), STEP)


@figure("erratum: numerical_diff as printed, one parenthesis short, at 5", -3749, 0.5)
def misprinted_derivative():
    x, h, f = 5, STEP, quadratic
    return f(x + h) - f(x - h) / (2 * h)


@figure("erratum: change of 0.01x² + 0.1x from 10 to 10 + h, over h (not 0.5)", 0.3, 2e-6)
def change_at_ten():
    return (quadratic(10 + STEP) - quadratic(10)) / STEP


@figure("numerical_gradient of Σx² in shapes of 0 to 4 axes: largest distance from 2x", 1e-8, relation="<=")
def gradient_in_any_shape():
    points = [np.linspace(-1, 2, int(np.prod(shape))).reshape(shape) for shape in ((), (2,), (2, 3), (4, 1, 2, 3))]
    gradients = [dk.numerical_gradient(bowl, x) for x in points]
    assert [gradient.shape for gradient in gradients] == [x.shape for x in points]
    return max(np.abs(gradient - 2 * x).max() for gradient, x in zip(gradients, points, strict=True))


def descended(rate: float) -> Any:
    """Return the end of 100 steps down x0² + x1²."""
    return dk.gradient_descent(bowl, [-3.0, 4.0], lr=rate, step_num=100)


@figure("gradient_descent from (-3, 4), lr 0.1", (-6.11110793e-10, 8.14814391e-10), 1e-8, absolute=False)
def descent():
    return descended(0.1)


@figure("gradient_descent, lr 10: diverges", (-2.58983747e13, -1.29524862e12), 1e-8, absolute=False)
def descent_in_steps_too_large():
    return descended(10.0)


@figure("gradient_descent, lr 1e-10: hardly moves", (-2.99999994, 3.99999992), 1e-8)
def descent_in_steps_too_small():
    return descended(1e-10)


def simple_net(activation: str | None, epsilon: float = 0.0) -> dk.Sequential:
    """Return one layer 2-3 without bias, in float64, with the notes' weights."""
    net = dk.Sequential([dk.Dense(3, activation=activation, use_bias=False)], seed=0, dtype="float64")
    net.compile(dk.SGD(0.1), dk.losses.CategoricalCrossentropy(from_logits=activation is None, epsilon=epsilon))
    net.build(2)
    net.parameters["dense/kernel"] = WEIGHTS
    return net


def simple_loss(weights: Any) -> Any:
    """The notes' loss of simpleNet, as a function of its weights."""
    return dk.ops.categorical_crossentropy(ITS_TARGET, dk.ops.softmax(SAMPLE @ weights), epsilon=EPSILON)


@figure("simpleNet: logits", LOGITS, 1e-8)
def logits():
    return simple_net(None).predict(SAMPLE[None])


@figure("simpleNet: loss, exact", 0.43025693, 1e-6)
def simple_net_loss():
    return simple_net("softmax").evaluate(SAMPLE[None], ITS_TARGET[None])["loss"]


@figure("simpleNet: loss, 1e-7 in the logarithm", 0.43025693, 1e-8)
def simple_net_loss_of_the_notes():
    return simple_net("softmax", EPSILON).evaluate(SAMPLE[None], ITS_TARGET[None])["loss"]


@figure("simpleNet: gradient by differences", GRADIENT, 1e-8)
def simple_net_differences():
    return dk.numerical_gradient(simple_loss, WEIGHTS.copy())


@figure("simpleNet: gradient by backpropagation", GRADIENT, 1e-8)
def simple_net_backpropagation():
    return simple_net("softmax", EPSILON).get_gradients(SAMPLE[None], ITS_TARGET[None])[1]["dense/kernel"]


@figure("simpleNet: gradient by backpropagation, exact loss", GRADIENT, 1e-7)
def simple_net_exact_backpropagation():
    return simple_net("softmax").get_gradients(SAMPLE[None], ITS_TARGET[None])[1]["dense/kernel"]


def two_layer_net(dtype: Any = "float32", backend: str | None = None) -> dk.Sequential:
    """The notes' TwoLayerNet, 784-50-10."""
    normal = dk.initializers.RandomNormal(0.01)
    net = dk.Sequential(
        [
            dk.Rescaling(1 / 255),
            dk.Flatten(),
            dk.Dense(50, activation="sigmoid", kernel_initializer=normal),
            dk.Dense(10, activation="softmax", kernel_initializer=normal),
        ],
        seed=0,
        dtype=dtype,
        backend=backend,
    )
    net.compile(dk.SGD(0.1), "sparse_categorical_crossentropy", ["accuracy"])
    return net


@figure("784-50-10: parameters", 39_760)
def parameters():
    net = two_layer_net()
    net.build((28, 28))
    return sum(values.size for values in net.parameters.values())


@figure("784-50-10, noise for images: error of backpropagation against differences", 1e-6, relation="<=")
def gradients_agree():
    rng = np.random.default_rng(0)
    images, labels = rng.integers(256, size=(20, 28, 28)), rng.integers(10, size=20)
    return dk.check_gradients(two_layer_net("float64"), images, labels, samples=20).largest


@figure("784-50-10, a batch of MNIST: error of backpropagation against differences", 1e-6, relation="<=", mnist=True)
def gradients_agree_on_mnist():
    (images, labels), _ = dk.datasets.mnist.load_data()
    return dk.check_gradients(two_layer_net("float64"), images[:BATCH], labels[:BATCH], samples=50).largest


class WholeSets(dk.Callback):
    """Records the accuracies on whole data sets, after every epoch."""

    def __init__(self, *sets: Any) -> None:
        self.sets, self.accuracies = sets, []

    def on_epoch_end(self, epoch, logs):
        self.accuracies.append([self.model.evaluate(x, y)["accuracy"] for x, y in self.sets])


@cache
def trained(backend: str) -> tuple[dk.Sequential, Any]:
    """Run the notes' training: return the network after 10,000 iterations, and its accuracies (epochs, (training,
    test))."""
    training, test = dk.datasets.mnist.load_data()
    net, accuracies = two_layer_net(backend=backend), WholeSets(training, test)
    net.fit(
        *training,
        batch_size=BATCH,
        steps=ITERATIONS,
        shuffle="with_replacement",
        callbacks=accuracies,
        verbose=0,
    )
    return net, np.array(accuracies.accuracies)


@figure("MNIST: accuracy on the whole test set after 10,000 iterations", 0.94, relation=">=", mnist=True)
def accuracy_on_the_test_set():
    return trained(dk.get_backend().name)[1][-1, 1]


@figure("MNIST: accuracy on the whole training set after 10,000 iterations", 0.94, relation=">=", mnist=True)
def accuracy_on_the_training_set():
    return trained(dk.get_backend().name)[1][-1, 0]


@figure("MNIST: epochs in 10,000 iterations", 16.67, 0.005, mnist=True)
def epochs():
    state = trained(dk.get_backend().name)[0].executable.state
    return state.step / state.steps


@figure("MNIST: times that both accuracies are measured, once per epoch", 17, mnist=True)
def measurements():
    return len(trained(dk.get_backend().name)[1])
