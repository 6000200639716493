"""Activations through which nothing learns: reported when a network is compiled."""

import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

import dnnkit as dk
from dnnkit.backends import Backend
from dnnkit.errors import TrainingWarning
from dnnkit.kernels import registry
from tests.oracles import ACTIVATIONS


def compiled(*layers: dk.Layer, backend: Backend | None = None) -> dk.Sequential:
    net = dk.Sequential(layers, seed=0, dtype="float64", backend=backend)
    net.compile("sgd", "mean_squared_error")
    return net


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_step_alone_is_flat(name):
    assert registry.activation(name).has_zero_gradient == (name == "step")


@pytest.mark.parametrize("name", [name for name in ACTIVATIONS if name != "step"])
def test_no_other_activation_is_warned_of(name):
    """Warnings are errors here."""
    net = compiled(dk.Dense(4, activation=name), dk.Activation(name), dk.Dense(2, activation=name))
    assert net.is_compiled


@pytest.mark.parametrize(
    ("layers", "named"),
    [
        ([dk.Dense(4, activation="step"), dk.Dense(1)], "dense"),
        ([dk.Dense(1, activation="step")], "dense"),
        ([dk.Dense(4), dk.Activation("step"), dk.Dense(1)], "dense"),
        ([dk.Dense(4, "tanh"), dk.Dropout(0.1), dk.Dense(4, "step"), dk.Dense(1)], "dense, dense_1"),
        ([dk.Dense(4), dk.Dense(4), dk.Dense(4), dk.Rescaling(2), dk.Activation("step")], "dense, dense_1, dense_2"),
    ],
)
def test_the_layers_that_will_not_learn_are_named(layers, named):
    with pytest.warns(TrainingWarning) as warned:
        compiled(*layers)
    (warning,) = warned
    assert str(warning.message) == (
        f"zero gradient: the activation 'step' has gradient 0 everywhere: {named} will not learn through it. "
        "Train with a smooth activation, such as 'sigmoid', and round the predictions"
    )


def test_every_flat_activation_is_warned_of():
    with pytest.warns(TrainingWarning) as warned:
        compiled(dk.Dense(4, activation="step"), dk.Dense(4, activation="step"), dk.Dense(1))
    named = [str(warning.message).split("everywhere: ")[1].split(" will")[0] for warning in warned]
    assert named == ["dense", "dense, dense_1"]


@pytest.mark.parametrize(
    "layers",
    [
        [dk.Activation("step"), dk.Dense(2)],
        [dk.Rescaling(1 / 16, -0.5), dk.Flatten(), dk.Activation("step"), dk.Dropout(0.1), dk.Dense(2)],
        [dk.Activation("step")],
    ],
)
def test_a_step_without_trained_layers_before_it_gives_no_warning(layers):
    assert compiled(*layers).is_compiled


def test_untrainable_layers_are_reported_and_no_others(backend: Backend):
    """The named layers have no gradient at all, and those after them have one."""
    with pytest.warns(TrainingWarning, match=r"everywhere: dense, dense_1 will"):
        net = compiled(dk.Dense(6, activation="tanh"), dk.Dense(6), dk.Activation("step"), dk.Dense(2), backend=backend)
    rng = np.random.default_rng(0)
    _, gradients = net.get_gradients(rng.normal(size=(20, 3)), rng.normal(size=(20, 2)))
    learning = {name.split("/")[0] for name, gradient in gradients.items() if gradient.any()}
    assert learning == {"dense_2"}


def test_the_warning_points_to_compile_each_time():
    net = dk.Sequential([dk.Dense(1, activation="step")], seed=0)
    for optimizer in ("sgd", "adam"):
        with pytest.warns(TrainingWarning) as warned:
            net.compile(optimizer, "mean_squared_error")
        assert Path(warned[0].filename) == Path(__file__)


def test_it_can_be_turned_into_an_error_or_off():
    with pytest.raises(TrainingWarning, match="gradient 0"):  # the state in which the tests run
        compiled(dk.Dense(1, activation="step"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TrainingWarning)
        assert compiled(dk.Dense(1, activation="step")).is_compiled


def test_a_network_that_only_predicts_is_not_warned_of():
    net = dk.Sequential([dk.Dense(1, activation="step", kernel_initializer="ones")], seed=0)
    np.testing.assert_array_equal(net.predict([[1.0, 1.0], [-1.0, 0.5]]), [[1.0], [0.0]])


def test_a_network_that_is_loaded_is_not_warned_of_again(tmp_path):
    with pytest.warns(TrainingWarning):
        net = compiled(dk.Dense(1, activation="step"))
    net.build(2)
    net.save(tmp_path)
    assert dk.load(tmp_path).is_compiled


@dataclass(frozen=True)
class Snake(dk.Layer):
    """A custom layer with its own `activation`."""

    activation: str = "snake"

    def forward(self, xp, x):
        return x + xp.sin(x) ** 2, x

    def backward(self, xp, dy, saved):
        return (dy * (1 + xp.sin(2 * saved)),)


def test_a_custom_layer_may_name_its_activation_freely():
    assert compiled(dk.Dense(2), Snake()).is_compiled
