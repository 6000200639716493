"""The program: the form of a network that runs."""

from dataclasses import FrozenInstanceError

import pytest

import dnnkit as dk
from dnnkit.backends.measures import Metric
from dnnkit.backends.program import Program
from dnnkit.backends.stages import Activate, Dense, Dropout, Parameter, Rescale


def program(layers: list[dk.Layer], loss: str, **options: object) -> Program:
    net = dk.Sequential(layers, seed=1, backend="numpy", **options)
    net.compile(optimizer="adam", loss=loss, metrics=["accuracy"])
    net.build(4)
    return net.executable.program


def test_a_softmax_with_its_cross_entropy_is_lowered_to_logits() -> None:
    lowered = program([dk.Dense(3, activation="softmax")], "sparse_categorical_crossentropy")
    kernel, bias = Parameter("dense/kernel", (4, 3)), Parameter("dense/bias", (3,))
    assert lowered.stages == (Dense(kernel, bias, "linear"),)
    assert lowered.head == "softmax"
    assert lowered.loss is not None
    assert lowered.loss.kernel == "softmax_cross_entropy"


def test_a_softmax_layer_is_lowered_as_well() -> None:
    lowered = program([dk.Dense(3), dk.Activation("softmax")], "categorical_crossentropy")
    assert [type(stage) for stage in lowered.stages] == [Dense]
    assert lowered.head == "softmax"


def test_a_sigmoid_with_its_cross_entropy_is_lowered_to_logits() -> None:
    lowered = program([dk.Dense(1, activation="sigmoid")], "binary_crossentropy")
    assert lowered.head == "sigmoid"
    assert lowered.metrics == (Metric("accuracy", "binary_accuracy", 0.0),)


@pytest.mark.filterwarnings(
    "ignore:(no probabilities|probabilities as logits|sigmoid for classes):dnnkit.errors.TrainingWarning"
)
@pytest.mark.parametrize(
    ("activation", "loss"),
    [("softmax", "mean_squared_error"), ("sigmoid", "categorical_crossentropy"), ("relu", "binary_crossentropy")],
)
def test_other_pairs_keep_their_activation(activation: str, loss: str) -> None:
    lowered = program([dk.Dense(3, activation=activation)], loss)
    assert lowered.head == "linear"
    assert lowered.stages[-1].activation == activation
    assert lowered.loss is not None
    assert lowered.loss.kernel == loss


def test_stages_are_flat_and_in_order() -> None:
    layers = [dk.Rescaling(2), dk.Flatten(), dk.Dense(5), dk.Dropout(0.5), dk.Activation("relu"), dk.Dense(3)]
    stages = program(layers, "mean_squared_error").stages
    assert [type(stage) for stage in stages] == [Rescale, Dense, Dropout, Activate, Dense]
    assert stages[2].layer == 3


def test_parameters_are_named_kernel_then_bias_layer_by_layer() -> None:
    layers = [dk.Dense(5), dk.Dense(5, use_bias=False), dk.Dense(3)]
    names = [parameter.name for parameter in program(layers, "mean_squared_error").parameters]
    assert names == ["dense/kernel", "dense/bias", "dense_1/kernel", "dense_2/kernel", "dense_2/bias"]


def test_programs_are_values() -> None:
    one, two = (program([dk.Dense(3)], "mean_squared_error") for _ in range(2))
    assert one == two
    assert hash(one) == hash(two)
    assert one != program([dk.Dense(4)], "mean_squared_error")
    with pytest.raises(FrozenInstanceError):
        one.seed = 2
