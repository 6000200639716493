"""Forty networks that together use everything that a network can consist of.

They cover every layer, activation, loss, optimizer, schedule, initializer and metric, each kind of data, and the ways
to weight, shuffle, count and validate; also a custom layer, loss, metric, schedule, callback and formula.
`tests/trajectories` checks that nothing is missing.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

import dnnkit as dk
from benchmarks.trajectories.samples import Samples
from dnnkit import Activation, Dense, Dropout, Flatten, Rescaling
from dnnkit.initializers import Constant, RandomNormal, RandomUniform, VarianceScaling
from dnnkit.losses import (
    BinaryCrossentropy,
    CategoricalCrossentropy,
    Loss,
    SparseCategoricalCrossentropy,
)
from dnnkit.schedules import CosineDecay, ExponentialDecay, PiecewiseConstantDecay, Schedule


@dataclass(frozen=True)
class Network:
    """A network, its data and its training: `fit` has arguments of `Sequential.fit`.

    `weighted` uses sample weights, `validated` uses held-out rows as validation data; `callbacks` creates them for
    each training.
    """

    name: str
    layers: Sequence[dk.Layer]
    loss: str | Loss
    optimizer: str | dk.optimizers.Optimizer
    samples: Samples
    fit: Mapping[str, Any]
    metrics: Sequence[str | Callable[..., Any]] = ()
    weighted: bool = False
    validated: bool = False
    callbacks: Sequence[Callable[[], dk.Callback]] = field(default=())


# -- what a user writes, as in docs/extending.md ---------------------------------------------------------------------


@dataclass(frozen=True)
class Scale(dk.Layer):
    """y = s x with one trained number."""

    first: float = 1.0

    def parameters(self, input_shape):
        return {"scale": ((1,), Constant(self.first))}

    def forward(self, xp, x, scale):
        return x * scale, x

    def backward(self, xp, dy, x, scale):
        return dy * scale, xp.reshape(xp.sum(x * dy), (1,))


@dataclass(frozen=True)
class PseudoHuber(Loss):
    """Mean over rows of Σ √(1 + e²) - 1: quadratic for small errors, linear for large ones."""

    def loss_and_gradient(self, predictions, targets, weights, scale, xp):
        error = predictions - targets
        root = xp.sqrt(error * error + 1.0)
        losses, gradient = xp.sum(root - 1.0, axis=1), error / root * scale
        if weights is not None:
            losses, gradient = losses * weights, gradient * weights[:, None]
        return xp.sum(losses), gradient


@dataclass(frozen=True)
class InverseDecay(Schedule):
    """rate / (1 + step / 10)."""

    rate: float

    def __call__(self, step):
        return self.rate / (1 + step / 10)


class Halving(dk.Callback):
    """Halve the learning rate after every seventh batch of an epoch, which forces training step by step."""

    def on_batch_end(self, batch, logs):
        if batch % 7 == 6:
            self.model.optimizer.learning_rate *= 0.5


def largest_error(y_true, y_pred):
    return np.max(np.abs(y_pred - y_true), axis=1)


def certainty(y_true, y_pred):
    return np.max(y_pred, axis=1)


# -- the networks ----------------------------------------------------------------------------------------------------


def networks() -> tuple[Network, ...]:
    """Return all networks; registers the formulas."""
    bend = dk.activation("trajectory_bend", "x / (1 + exp(-beta * x)) + 0.1 * sin(x)", beta=1.5)
    dk.activation("trajectory_ramp", "where(x > 0, log1p(x), 0.2 * x)")
    return (
        *_classes(),
        *_yes_and_no(),
        *_values(),
        *_counted(),
        Network(
            "formula, as an object and by its name",
            [Dense(33, bend), Dense(17, "trajectory_ramp", use_bias=False), Activation(bend), Dense(4, "softmax")],
            "sparse_categorical_crossentropy",
            dk.Adam(0.01),
            Samples("numbers", 150, (9,), "labels", 4),
            {"batch_size": 16, "epochs": 2},
            metrics=["accuracy"],
            validated=True,
        ),
        Network(
            "formula before a regression",
            [Rescaling(0.5, 0.1), Dense(25, bend), Dense(2, bend)],
            "mean_squared_error",
            dk.SGD(0.1, momentum=0.5),
            Samples("single", 120, (5,), "values", 2),
            {"batch_size": 40, "epochs": 3},
        ),
        Network(
            "own layer and metric",
            [Flatten(), Scale(0.7), Dense(19, "tanh"), Scale(), Dense(3)],
            "mean_squared_error",
            dk.Adam(0.02),
            Samples("numbers", 130, (2, 3), "values", 3),
            {"batch_size": 32, "epochs": 2},
            metrics=[largest_error],
            weighted=True,
            validated=True,
        ),
        Network(
            "own loss and schedule",
            [Dense(21, "silu"), Dropout(0.2), Dense(2)],
            PseudoHuber(),
            dk.SGD(InverseDecay(0.2), momentum=0.9, nesterov=True),
            Samples("columns", 110, (7,), "values", 2),
            {"batch_size": 25, "epochs": 2},
            metrics=[largest_error],
            weighted=True,
        ),
    )


def _classes() -> tuple[Network, ...]:
    """Networks for classes: softmax, logits, and other probabilities."""
    return (
        Network(
            "pixels, relu",
            [Rescaling(1 / 16), Flatten(), Dense(64, "relu"), Dense(10, "softmax")],
            "sparse_categorical_crossentropy",
            "adam",
            Samples("pixels", 300, (4, 4), "labels", 10),
            {"batch_size": 32, "epochs": 2},
            metrics=["accuracy", "balanced_accuracy", "sparse_top_k_categorical_accuracy"],
            validated=True,
        ),
        Network(
            "pixels with many zeros",
            [Flatten(), Rescaling(1 / 16), Dense(70, "tanh"), Dense(10, "softmax")],
            "categorical_crossentropy",
            dk.RMSprop(0.002),
            Samples("pixels", 260, (12, 12), "one-hot", 10),
            {"batch_size": 20, "epochs": 2},
            metrics=["categorical_accuracy", "top_k_categorical_accuracy", dk.metrics.Recall(average="macro")],
            validated=True,
        ),
        Network(
            "pixels with an offset",
            [Rescaling(1 / 8, -1.0), Flatten(), Dense(65, "relu", kernel_initializer="he_normal"), Dense(7)],
            SparseCategoricalCrossentropy(from_logits=True),
            dk.SGD(0.05, momentum=0.9),
            Samples("pixels", 200, (9, 8), "labels", 7),
            {"batch_size": 50, "epochs": 2},
            metrics=["sparse_categorical_accuracy"],
            weighted=True,
        ),
        Network(
            "sparse numbers, wide",
            [Dense(130, "leaky_relu", kernel_initializer="he_uniform"), Dense(3, "softmax")],
            "sparse_categorical_crossentropy",
            dk.Adam(0.005, beta_1=0.8, beta_2=0.99, epsilon=1e-6),
            Samples("sparse", 230, (75,), "labels", 3),
            {"batch_size": 64, "epochs": 2},
            metrics=["accuracy"],
        ),
        Network(
            "four layers, enough work for threads",
            [Dense(130, "relu"), Dense(129, "tanh"), Dense(128, "gelu"), Dense(65, "sigmoid"), Dense(10, "softmax")],
            "sparse_categorical_crossentropy",
            dk.Adam(0.002),
            Samples("numbers", 640, (200,), "labels", 10),
            {"batch_size": 64, "epochs": 2},
            metrics=["accuracy"],
            validated=True,
        ),
        Network(
            "dropout twice",
            [Dropout(0.1), Dense(48, "elu"), Dropout(0.5), Dense(31, "selu", kernel_initializer="lecun_normal"),
             Dense(5, "softmax")],
            "categorical_crossentropy",
            dk.AdamW(0.01, weight_decay=0.05),
            Samples("single", 210, (12,), "one-hot", 5),
            {"batch_size": 30, "epochs": 3},
            metrics=["accuracy"],
            validated=True,
        ),
        Network(
            "soft classes from logits, whole batch",
            [Dense(40, "softplus"), Dense(6, kernel_initializer="glorot_normal")],
            CategoricalCrossentropy(from_logits=True),
            dk.Adam(ExponentialDecay(0.02, 4, 0.8)),
            Samples("numbers", 170, (10,), "one-hot", 6),
            {"batch_size": 170, "epochs": 6},
            metrics=["accuracy", "binary_accuracy"],
        ),
        Network(
            "epsilon, one-hot rows",
            [Dense(23, "mish"), Dense(4, "softmax")],
            CategoricalCrossentropy(epsilon=1e-7),
            dk.Adam(0.01),
            Samples("whole", 140, (6,), "one-hot", 4),
            {"batch_size": 28, "epochs": 2},
            metrics=["categorical_accuracy", certainty],
        ),
        Network(
            "epsilon, labels",
            [Dense(14, "relu"), Dropout(0.25), Dense(3, "softmax")],
            SparseCategoricalCrossentropy(epsilon=1e-3),
            dk.RMSprop(0.01, rho=0.8, epsilon=1e-6),
            Samples("numbers", 125, (6,), "labels", 3),
            {"batch_size": 16, "epochs": 2, "class_weight": {0: 2.0, 2: 0.5}},
            metrics=["accuracy"],
            weighted=True,
        ),
        Network(
            "probabilities that softmax did not make last",
            [Dense(27, "silu"), Dense(5, "softmax"), Rescaling(0.9, 0.02)],
            "categorical_crossentropy",
            dk.SGD(0.3),
            Samples("numbers", 160, (8,), "one-hot", 5),
            {"batch_size": 32, "epochs": 2},
            metrics=["accuracy"],
            weighted=True,
        ),
        Network(
            "probabilities of labels, softmax before a rescaling",
            [Dense(18, "gelu", bias_initializer="ones"), Dense(4, "softmax"), Rescaling(0.8, 0.05)],
            "sparse_categorical_crossentropy",
            dk.Adam(0.02, global_clipnorm=0.5),
            Samples("sparse", 145, (11,), "labels", 4),
            {"batch_size": 36, "epochs": 2},
            metrics=["sparse_categorical_accuracy"],
        ),
        Network(
            "softmax inside, activations as layers",
            [Dense(12), Activation("softmax"), Dense(13, "relu"), Activation("tanh"), Rescaling(2.0, 0.1), Dense(10),
             Activation("softmax")],
            "sparse_categorical_crossentropy",
            dk.Adam(0.02),
            Samples("single", 180, (15,), "labels", 10),
            {"batch_size": 45, "epochs": 2},
            metrics=["accuracy"],
            validated=True,
        ),
        Network(
            "step, behind which nothing learns",
            [Dense(16, "relu"), Dense(11, "step"), Dense(6, "softmax")],
            "sparse_categorical_crossentropy",
            dk.SGD(0.1),
            Samples("pixels", 150, (10,), "labels", 6),
            {"batch_size": 25, "epochs": 2},
            metrics=["accuracy"],
        ),
        Network(
            "class weights and a split",
            [Dense(35, "softsign"), Dense(29, "relu"), Dense(4, "softmax")],
            "sparse_categorical_crossentropy",
            dk.AdamW(CosineDecay(0.02, 20, alpha=0.1, warmup_steps=5), global_clipnorm=1.0),
            Samples("columns", 190, (13,), "labels", 4),
            {"batch_size": 32, "epochs": 3, "validation_split": 0.2, "class_weight": {1: 3.0}},
            metrics=["accuracy"],
        ),
    )  # fmt: skip


def _yes_and_no() -> tuple[Network, ...]:
    """Networks for binary targets, one or several."""
    return (
        Network(
            "one sigmoid",
            [Dense(20, "relu"), Dense(9, "tanh"), Dense(1, "sigmoid")],
            "binary_crossentropy",
            dk.Adam(0.01),
            Samples("numbers", 220, (2,), "binary", 1),
            {"batch_size": 32, "epochs": 2},
            metrics=["accuracy", "binary_accuracy", "precision", "auc"],
            validated=True,
        ),
        Network(
            "several sigmoids, class weights",
            [Dense(37, "selu"), Dense(6, "sigmoid")],
            "binary_crossentropy",
            dk.SGD(0.2, momentum=0.8, nesterov=True, weight_decay=1e-3),
            Samples("sparse", 200, (66,), "binary", 6),
            {"batch_size": 48, "epochs": 2, "class_weight": {0: 0.5, 3: 2.0}},
            metrics=["binary_accuracy", "recall", "f1_score"],
            weighted=True,
            validated=True,
        ),
        Network(
            "binary logits, clipped",
            [Dense(15, "gelu"), Dense(3)],
            BinaryCrossentropy(from_logits=True),
            dk.SGD(0.5, momentum=0.9, global_clipnorm=0.1),
            Samples("whole", 130, (5,), "binary", 3),
            {"batch_size": 13, "epochs": 2},
            metrics=["binary_accuracy"],
        ),
        Network(
            "probabilities that sigmoid did not make last",
            [Dense(24, "mish", kernel_initializer="lecun_uniform"), Dense(2, "sigmoid"), Rescaling(0.98, 0.01)],
            "binary_crossentropy",
            dk.RMSprop(0.01, global_clipnorm=0.3),
            Samples("numbers", 150, (10,), "binary", 2),
            {"batch_size": 64, "epochs": 3},
            metrics=["accuracy"],
            weighted=True,
        ),
        Network(
            "hard sigmoid as a probability",
            [Dense(17, "hard_sigmoid"), Dense(1, "hard_sigmoid")],
            "binary_crossentropy",
            dk.Adam(PiecewiseConstantDecay((3, 8), (0.02, 0.01, 0.001))),
            Samples("single", 140, (4,), "binary", 1),
            {"batch_size": 20, "epochs": 2},
            metrics=["binary_accuracy"],
        ),
        Network(
            "logistic regression",
            [Dense(1, "sigmoid", kernel_initializer="zeros")],
            "binary_crossentropy",
            dk.SGD(0.5, weight_decay=0.01),
            Samples("pixels", 128, (130,), "binary", 1),
            {"batch_size": 32, "epochs": 3},
            metrics=["accuracy"],
        ),
    )


def _values() -> tuple[Network, ...]:
    """Networks for regression: mean and sum of squares, with heads of all kinds."""
    return (
        Network(
            "regression, enough work for threads, whole batch",
            [Dense(130, "silu"), Dense(127, "mish"), Dense(130, "softplus"), Dense(3)],
            "mean_squared_error",
            dk.AdamW(0.001, beta_1=0.85, epsilon=1e-7),
            Samples("sparse", 640, (190,), "values", 3),
            {"batch_size": 640, "epochs": 4},
            metrics=["mean_squared_error", "root_mean_squared_error"],
            validated=True,
        ),
        Network(
            "linear regression",
            [Dense(2, "linear", kernel_initializer="random_normal")],
            "mean_squared_error",
            dk.SGD(0.1),
            Samples("numbers", 100, (3,), "values", 2),
            {"batch_size": 10, "epochs": 2, "shuffle": False},
            metrics=["mean_absolute_error", "r2_score"],
            weighted=True,
        ),
        Network(
            "linear layers without bias",
            [Dense(5, use_bias=False), Dense(7, "linear", use_bias=False), Dense(1, use_bias=False)],
            "sum_squared_error",
            dk.SGD(1e-3, momentum=0.9),
            Samples("whole", 96, (4,), "values", 1),
            {"batch_size": 16, "epochs": 3},
        ),
        Network(
            "sigmoid to squares",
            [Dense(22, "elu", kernel_initializer="random_uniform"), Dense(4, "sigmoid")],
            "mean_squared_error",
            dk.SGD(0.5, momentum=0.7, nesterov=True),
            Samples("numbers", 155, (8,), "binary", 4),
            {"batch_size": 31, "epochs": 2},
            metrics=["binary_accuracy"],
            validated=True,
        ),
        Network(
            "softmax to squares",
            [Dense(26, "leaky_relu"), Dense(5, "softmax")],
            "mean_squared_error",
            dk.RMSprop(0.005),
            Samples("single", 160, (9,), "one-hot", 5),
            {"batch_size": 32, "epochs": 2},
            metrics=["categorical_accuracy"],
        ),
        Network(
            "tanh to a sum of squares",
            [Dense(16, "softsign", bias_initializer=Constant(0.1)), Dense(3, "tanh")],
            "sum_squared_error",
            dk.SGD(ExponentialDecay(5e-3, 3, 0.9, staircase=True), momentum=0.8),
            Samples("columns", 135, (6,), "values", 3),
            {"batch_size": 27, "epochs": 2},
            weighted=True,
            validated=True,
        ),
        Network(
            "heads in turn: relu, softplus, selu",
            [Dense(10, "relu"), Dense(9, "softplus"), Dense(8, "selu"), Dense(7, "gelu"), Dense(6, "relu")],
            "mean_squared_error",
            dk.Adam(0.01),
            Samples("numbers", 120, (10,), "binary", 6),
            {"batch_size": 24, "epochs": 2},
            metrics=["accuracy"],
        ),
        Network(
            "widths of one",
            [Dense(1, "tanh"), Dense(1, "silu"), Dense(1)],
            "mean_squared_error",
            dk.Adam(0.05),
            Samples("numbers", 90, (1,), "values", 1),
            {"batch_size": 7, "epochs": 2},
        ),
        Network(
            "dropout and own initializers",
            [Dense(33, "hard_sigmoid", kernel_initializer=VarianceScaling(0.5, average=True)),
             Dropout(0.3),
             Dense(32, "elu", kernel_initializer=RandomNormal(0.2), bias_initializer=RandomUniform(-0.1, 0.1)),
             Dense(2)],
            "mean_squared_error",
            dk.AdamW(0.01),
            Samples("sparse", 175, (64,), "values", 2),
            {"batch_size": 35, "epochs": 2},
        ),
    )  # fmt: skip


def _counted() -> tuple[Network, ...]:
    """Ways to count, order and monitor."""
    return (
        Network(
            "one neuron, one batch again and again",
            [Dense(1, "sigmoid", use_bias=False)],
            "sum_squared_error",
            dk.SGD(1.0),
            Samples("table", 8, (3,), "binary", 1),
            {"batch_size": 8, "steps": 60, "steps_per_epoch": 20, "shuffle": False},
        ),
        Network(
            "with replacement",
            [Dense(28, "relu"), Dense(3, "softmax")],
            "sparse_categorical_crossentropy",
            dk.Adam(0.01),
            Samples("pixels", 100, (20,), "labels", 3),
            {"batch_size": 30, "epochs": 2, "shuffle": "with_replacement"},
            metrics=["accuracy"],
            validated=True,
        ),
        Network(
            "steps, the last epoch shorter",
            [Dense(20, "tanh"), Dense(2)],
            "mean_squared_error",
            dk.RMSprop(CosineDecay(0.01, 15)),
            Samples("numbers", 105, (4,), "values", 2),
            {"batch_size": 16, "steps": 17},
            weighted=True,
        ),
        Network(
            "steps per epoch, with replacement, weighted",
            [Dense(11, "gelu"), Dropout(0.4), Dense(4, "softmax")],
            "categorical_crossentropy",
            dk.SGD(0.1, momentum=0.9, weight_decay=1e-2, global_clipnorm=1.0),
            Samples("single", 115, (5,), "one-hot", 4),
            {"batch_size": 9, "epochs": 3, "steps_per_epoch": 8, "shuffle": "with_replacement"},
            metrics=["accuracy"],
            weighted=True,
        ),
        Network(
            "in order, epochs of other lengths",
            [Dense(30, "softplus"), Dense(1)],
            "mean_squared_error",
            dk.AdamW(0.01, beta_2=0.99),
            Samples("columns", 100, (3,), "values", 1),
            {"batch_size": 17, "epochs": 3, "steps_per_epoch": 4, "shuffle": False},
            validated=True,
        ),
        Network(
            "one sample per step",
            [Dense(6, "sigmoid"), Dense(2, "softmax")],
            "sparse_categorical_crossentropy",
            "sgd",
            Samples("numbers", 60, (3,), "labels", 2),
            {"batch_size": 1, "epochs": 2},
            metrics=["accuracy"],
        ),
        Network(
            "a callback after every batch",
            [Rescaling(1 / 4), Dense(34, "silu"), Dense(5, "softmax")],
            "sparse_categorical_crossentropy",
            dk.Adam(0.02),
            Samples("whole", 160, (12,), "labels", 5),
            {"batch_size": 16, "epochs": 2},
            metrics=["accuracy"],
            validated=True,
            callbacks=[Halving],
        ),
    )
