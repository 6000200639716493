"""Output, loss and metrics that do not fit together are reported when combined, with the cure."""

from dataclasses import dataclass

import numpy as np
import pytest

import dnnkit as dk
from dnnkit import losses
from dnnkit.diagnosis.checks import checks_at, found
from dnnkit.errors import TrainingWarning
from dnnkit.kernels import registry
from dnnkit.network.agreement import Parts

LOGITS = {"from_logits": True}
BINARY, CATEGORICAL = losses.BinaryCrossentropy, losses.CategoricalCrossentropy
SPARSE = losses.SparseCategoricalCrossentropy


def compiled(last: list[dk.Layer], loss, metrics=()) -> dk.Sequential:
    net = dk.Sequential([dk.Dense(4, activation="relu"), *last], seed=0, backend="numpy")
    net.compile("adam", loss, metrics)
    return net


@pytest.mark.parametrize(
    ("name", "gives"),
    [
        ("softmax", "categorical"),
        ("sigmoid", "binary"),
        ("hard_sigmoid", "binary"),
        ("step", "binary"),
        ("linear", "values"),
        ("relu", "values"),
        ("tanh", "values"),
        ("softplus", "values"),
    ],
)
def test_the_range_of_an_activation_is_measured(name, gives):
    assert registry.activation(name).gives == gives


def test_of_a_formula_too():
    bell = dk.activation("bell", "exp(-x**2)")
    assert registry.activation(bell.key).gives == "binary"
    compiled([dk.Dense(1, activation=bell)], "binary_crossentropy")


@pytest.mark.parametrize(
    ("last", "loss", "metrics", "cure"),
    [
        ([dk.Dense(10)], SPARSE(), (), r"'softmax' there, or loss=dk.losses.Sparse.*\(from_logits=True\)"),
        ([dk.Dense(10, activation="relu")], CATEGORICAL(), (), "activation='softmax'"),
        ([dk.Dense(10)], SPARSE(epsilon=1e-7), (), "activation='softmax'"),
        ([dk.Dense(1)], "binary_crossentropy", (), "activation='sigmoid'"),
        ([dk.Dense(1, activation="tanh")], "binary_crossentropy", (), "activation='sigmoid'"),
        ([dk.Dense(4), dk.Activation("tanh")], "binary_crossentropy", (), "activation='sigmoid'"),
        ([dk.Dense(10, activation="softmax")], SPARSE(**LOGITS), (), "leave out the activation"),
        ([dk.Dense(1, activation="sigmoid")], BINARY(**LOGITS), (), "leave out the activation"),
        (
            [dk.Dense(3, activation="softmax")],
            losses.KernelLoss("softmax_cross_entropy"),
            (),
            "leave out the activation",
        ),
        ([dk.Dense(1, activation="softmax")], "binary_crossentropy", (), "activation='sigmoid'"),
        ([dk.Dense(1, activation="softmax")], "mean_squared_error", (), "activation='sigmoid'"),
        ([dk.Dense(1, activation="sigmoid")], "sparse_categorical_crossentropy", (), "loss='binary_crossentropy'"),
        ([dk.Dense(3, activation="sigmoid")], "sparse_categorical_crossentropy", (), "activation='softmax' for one"),
        ([dk.Dense(3, activation="sigmoid")], "categorical_crossentropy", (), "loss='binary_crossentropy'"),
        ([dk.Dense(1)], "mean_squared_error", ["accuracy"], "meaningless for a regression"),
        ([dk.Dense(3)], SPARSE(**LOGITS), ["binary_accuracy"], "use 'categorical_accuracy'"),
    ],
)
def test_mismatches_warn_with_the_cure(last, loss, metrics, cure):
    with pytest.warns(TrainingWarning, match=cure) as caught:
        net = compiled(last, loss, metrics)
    assert len(caught) == 1
    assert "test_agreement" in caught[0].filename
    assert net.is_compiled


@dataclass(frozen=True)
class Own(losses.Loss):
    def loss_and_gradient(self, predictions, targets, weights, scale, xp):
        return xp.sum(predictions), predictions * 0 + scale


class Identity(dk.Layer):
    def forward(self, xp, x):
        return x, None

    def backward(self, xp, dy, saved):
        return (dy,)


@pytest.mark.parametrize(
    ("last", "loss", "metrics"),
    [
        ([dk.Dense(10, activation="softmax")], "sparse_categorical_crossentropy", ["accuracy"]),
        ([dk.Dense(10), dk.Activation("softmax")], "sparse_categorical_crossentropy", ["accuracy"]),
        ([dk.Dense(10, activation="softmax")], CATEGORICAL(epsilon=1e-7), ["accuracy", "binary_accuracy"]),
        ([dk.Dense(10)], SPARSE(**LOGITS), ["accuracy"]),
        ([dk.Dense(1, activation="sigmoid")], "binary_crossentropy", ["accuracy", "binary_accuracy"]),
        ([dk.Dense(4, activation="sigmoid")], "binary_crossentropy", ["accuracy"]),
        ([dk.Dense(4, activation="hard_sigmoid")], "binary_crossentropy", ["accuracy"]),
        ([dk.Dense(2, activation="softmax")], "binary_crossentropy", ["accuracy"]),
        ([dk.Dense(1)], BINARY(**LOGITS), ["accuracy"]),
        ([dk.Dense(1)], "mean_squared_error", ()),
        ([dk.Dense(3)], "mean_squared_error", ["accuracy"]),
        ([dk.Dense(1, activation="sigmoid")], "sum_squared_error", ["accuracy"]),
        ([dk.Dense(10, activation="softmax")], "mean_squared_error", ["accuracy"]),
        ([dk.Dense(10)], Own(), ["accuracy"]),
        ([dk.Dense(10), Identity()], "sparse_categorical_crossentropy", ["accuracy"]),
        ([], "mean_squared_error", ()),
    ],
)
def test_matching_and_unknown_combinations_are_silent(last, loss, metrics):
    compiled(last, loss, metrics)  # a warning would be an error here


def test_nothing_is_compiled_where_a_warning_is_an_error():
    net = dk.Sequential([dk.Dense(3)], seed=0, backend="numpy")
    with pytest.raises(TrainingWarning):  # as all warnings are errors in tests
        net.compile("adam", "categorical_crossentropy")
    assert not net.is_compiled


def test_a_network_that_was_warned_of_loads_in_silence(tmp_path):
    with pytest.warns(TrainingWarning):
        net = compiled([dk.Dense(3)], "categorical_crossentropy")
    net.fit(np.ones((2, 2)), np.eye(3)[:2], verbose=0)
    net.save(tmp_path / "run")
    assert dk.load(tmp_path / "run", backend="numpy").is_compiled


def test_no_layers_no_doubts():
    assert list(found(checks_at("compile"), Parts([], losses.MeanSquaredError(), ()))) == []
