"""Names: registered objects, suggestions, clashes, and what installed packages announce."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

import dnnkit as dk
import dnnkit.kinds
from dnnkit.errors import ConfigurationError, UnknownName
from dnnkit.registry import REGISTRIES, Registry
from tests import processes

KINDS = {
    "activation",
    "backend",
    "callback",
    "communicator",
    "constraint",
    "data set",
    "encoder",
    "estimator",
    "executor",
    "initializer",
    "layer",
    "layout",
    "loss",
    "metric",
    "optimizer",
    "preset",
    "regularizer",
    "schedule",
    "warning",
    "stream format",
}


@pytest.fixture(autouse=True)
def _nothing_stays():
    """What a test registers is removed after it."""
    kept = {kind: dict(registry._things) for kind, registry in REGISTRIES.items()}
    yield
    for kind, things in kept.items():
        REGISTRIES[kind]._things.clear()
        REGISTRIES[kind]._things.update(things)


@dataclass
class Signs(dk.optimizers.Optimizer):
    learning_rate: float = 0.1
    decay: float = 0.5
    global_clipnorm: float | None = None

    slots = ("mean",)

    @staticmethod
    def update(step, parameter, gradient, mean, learning_rate, decay, xp):
        mean = decay * mean + gradient
        return parameter - learning_rate * xp.sign(mean), mean


@dataclass(frozen=True)
class Cubes(dk.losses.Loss):
    def loss_and_gradient(self, predictions, targets, weights, scale, xp):
        d = predictions - targets
        rows, gradient = xp.sum(xp.abs(d) ** 3, axis=1), 3 * d * xp.abs(d) * scale
        if weights is not None:
            rows, gradient = rows * weights, gradient * weights[:, None]
        return xp.sum(rows), gradient


@dataclass(frozen=True)
class Twice(dk.Layer):
    def forward(self, xp, x, *parameters):
        return 2 * x, None

    def backward(self, xp, dy, saved, *parameters):
        return (2 * dy,)


class Cubic:
    """An activation as an object."""

    @staticmethod
    def forward(x, xp=np):
        return x * x * x

    @staticmethod
    def derivative(x, xp=np):
        return 3 * x * x


class Squares:
    """One whose outputs depend on the whole row."""

    @staticmethod
    def forward(x, xp=np):
        e = xp.exp(x)
        return e / xp.sum(e, axis=-1, keepdims=True)

    @staticmethod
    def backward(dy, saved, xp=np):
        return saved * (dy - xp.sum(dy * saved, axis=-1, keepdims=True))


def largest_error(y_true, y_pred):
    return np.max(np.abs(y_pred - y_true), axis=1)


def test_every_kind_that_is_chosen_by_name_has_a_registry():
    assert {registry.kind for registry in REGISTRIES.values()} == KINDS


def test_a_network_of_registered_parts_trains_and_is_saved_by_names(backend, rng, tmp_path: Path):
    dk.register("optimizer", "signs", Signs)
    dk.register("losses", "cubes", Cubes)
    dk.register("layer", "Twice", Twice)
    dk.register("activation", "cubic", Cubic)
    dk.register("activation", "squares", Squares)
    dk.register("metric", "largest", largest_error)
    x, y = rng.normal(size=(20, 3)), rng.uniform(size=(20, 2))
    layers = [Twice(), dk.Dense(4, activation="cubic"), dk.Dense(2, activation="squares")]
    net = dk.Sequential(layers, seed=0, dtype="float64")
    net.compile("signs", "cubes", ["largest"])
    history = net.fit(x, y, epochs=2, batch_size=8, verbose=0)
    assert np.isfinite(history["largest"]).all()
    assert dk.check_gradients(net, x, y).passed
    net.save(tmp_path / "run")
    again = dk.load(tmp_path / "run")
    assert isinstance(again.optimizer, Signs)
    assert again.fit(x, y, epochs=1, verbose=0)["loss"] == net.fit(x, y, epochs=1, verbose=0)["loss"]
    reason = history.plan.reason
    assert reason is not None
    assert all(part in reason for part in ("Twice", "Cubes", "largest", "Signs"))


def test_a_custom_rule_is_computed_as_written(backend):
    dk.register("optimizer", "signs", Signs)
    net = dk.Sequential([dk.Dense(1, use_bias=False, kernel_initializer="ones")], dtype="float64")
    net.compile("signs", "mean_squared_error")
    net.fit([[1.0]], [[0.0]], epochs=3, verbose=0)
    assert net.parameters["dense/kernel"].item() == pytest.approx(0.7)  # three steps of 0.1 against the gradient


@pytest.mark.parametrize(
    ("make", "suggestion"),
    [
        (lambda: dk.Sequential([]).compile("admm", "mean_squared_error"), "'adam'"),
        (lambda: dk.Sequential([]).compile("adam", "mean_square_error"), "'mean_squared_error'"),
        (lambda: dk.Dense(3, activation="rellu"), "'relu'"),
        (lambda: dk.Dense(3, kernel_initializer="glorot_unifrom"), "'glorot_uniform'"),
        (lambda: dk.register("optimiser", "x", Signs), "'optimizer'"),
        (lambda: dk.callbacks.CallbackList("EarlyStoping"), "'EarlyStopping'"),
        (lambda: dk.datasets.DATASETS.find("minst"), "'mnist'"),
    ],
)
def test_an_unknown_name_gets_a_suggestion_and_all_names(make, suggestion):
    with pytest.raises(UnknownName, match=rf"did you mean {suggestion}\? choose one of .*"):
        make()


def test_an_unknown_metric_and_an_unknown_backend_get_one_too():
    net = dk.Sequential([dk.Dense(2)])
    with pytest.raises(UnknownName, match="did you mean 'accuracy'"):
        net.compile("sgd", "mean_squared_error", ["acuracy"])
    with pytest.raises(dk.errors.BackendUnavailable, match="Did you mean 'numba'"):
        dk.get_backend("nuumba")


@pytest.mark.parametrize(
    ("kind", "name", "thing"),
    [
        ("optimizer", "adam", Signs),
        ("loss", "mean_squared_error", Cubes),
        ("layer", "Dense", Twice),
        ("activation", "relu", Cubic),
        ("metric", "accuracy", largest_error),
        ("backend", "numpy", type(dk.get_backend("numpy")).__base__),
        ("data set", "digits", dk.datasets.mnist),
        ("initializer", "zeros", dk.initializers.Constant(1.0)),
    ],
)
def test_a_built_in_name_cannot_be_registered(kind, name, thing):
    with pytest.raises(ConfigurationError, match=f"the name '{name}' is taken"):
        dk.register(kind, name, thing)


def test_the_same_thing_again_is_no_clash_but_another_one_is():
    dk.register("optimizer", "signs", Signs)
    dk.register("optimizer", "signs", Signs)
    with pytest.raises(ConfigurationError, match="is taken"):
        dk.register("optimizer", "signs", dk.SGD)


@pytest.mark.parametrize(
    ("kind", "thing"),
    [("optimizer", Cubes), ("loss", Signs), ("layer", Signs), ("metric", 3), ("activation", 3), ("callback", Signs)],
)
def test_an_object_of_another_kind_is_rejected(kind, thing):
    with pytest.raises(ConfigurationError, match=f"{kind} 'thing' is .* expected"):
        dk.register(kind, "thing", thing)


def test_a_registry_is_a_mapping_in_the_order_of_adding():
    registry: Registry[int] = Registry("number", "a whole number", lambda thing: isinstance(thing, int))
    try:
        registry.add("two", 2)
        registry.add("one", 1)
        assert dict(registry) == {"two": 2, "one": 1}
        with pytest.raises(KeyError):
            registry["three"]
    finally:
        for kind in ("number", "numbers"):
            REGISTRIES.pop(kind)


# -- aliases ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def fruit():
    registry: Registry[type] = Registry("fruit", "a class", lambda thing: isinstance(thing, type), plural="fruit")
    yield registry
    del REGISTRIES["fruit"]


def test_an_object_is_found_by_its_names_any_spelling_and_its_class(fruit):
    class WoodStrawberry:
        pass

    fruit.named("fragaria_vesca", "wood")(WoodStrawberry)
    for given in ("fragaria_vesca", "FragariaVesca", "Fragaria vesca", "wood", "WOOD", "WoodStrawberry"):
        assert fruit.name_of(given) == "fragaria_vesca", given
        assert fruit.find(given) is WoodStrawberry
        assert isinstance(fruit.make(given, WoodStrawberry), WoodStrawberry)
    assert fruit.names() == tuple(fruit) == ("fragaria_vesca",)
    with pytest.raises(
        UnknownName, match=r"unknown fruit 'woood': did you mean 'wood'\? choose one of fragaria_vesca$"
    ):
        fruit.find("woood")


def test_a_registered_name_wins_over_an_alias_of_another_object(fruit):
    fruit.add("malus", int, "apple")
    fruit.add("apple", float)
    fruit.add("Malus", bool)
    assert [fruit.find(name) for name in ("apple", "Malus", "malus")] == [float, bool, int]


def test_an_ambiguous_spelling_means_neither_name(fruit):
    fruit.add("sour_cherry", int)
    fruit.add("sourCherry", float)
    assert fruit.find("sour_cherry") is int
    assert fruit.name_of("SourCherry") is None


def test_an_alias_that_exists_is_an_error(fruit):
    fruit.add("malus", int, "apple")
    fruit.also("malus", "apple")
    for other in ("apple", "malus"):
        with pytest.raises(ConfigurationError, match="is taken by another fruit"):
            fruit.add("pirus", float, other)


@pytest.mark.parametrize(
    ("kind", "others"),
    [
        ("loss", {"mse": "mean_squared_error", "MSE": "mean_squared_error", "MeanSquaredError": "mean_squared_error"}),
        ("loss", {"bce": "binary_crossentropy", "cce": "categorical_crossentropy"}),
        ("loss", {"SparseCategoricalCrossentropy": "sparse_categorical_crossentropy"}),
        ("optimizer", {"Adam": "adam", "ADAM": "adam", "SGD": "sgd", "RMSprop": "rmsprop", "AdamW": "adamw"}),
        ("metric", {"acc": "accuracy", "Accuracy": "accuracy", "BinaryAccuracy": "binary_accuracy"}),
        ("metric", {"SparseCategoricalAccuracy": "sparse_categorical_accuracy", "mse": "mean_squared_error"}),
        ("initializer", {"GlorotUniform": "glorot_uniform", "he normal": "he_normal", "zero": "zeros"}),
        ("activation", {"ReLU": "relu", "LeakyReLU": "leaky_relu", "swish": "silu"}),
        ("callback", {"early_stopping": "EarlyStopping"}),
    ],
)
def test_names_and_spellings_of_keras_are_known(kind, others):
    assert {other: REGISTRIES[kind].name_of(other) for other in others} == others


def test_a_network_of_other_names_is_the_one_of_our_names(backend, rng, tmp_path: Path):
    x, y = rng.normal(size=(20, 3)), rng.integers(0, 2, 20)
    logs = []
    for relu, he, adam, loss, accuracy in [
        ("relu", "he_normal", "adam", "sparse_categorical_crossentropy", "accuracy"),
        ("ReLU", "HeNormal", "Adam", "SparseCategoricalCrossentropy", "acc"),
        ("relu", "he_normal", dk.Adam, dk.losses.SparseCategoricalCrossentropy, "Accuracy"),
    ]:
        layers = [dk.Dense(4, activation=relu, kernel_initializer=he), dk.Dense(2, activation="softmax")]
        net = dk.Sequential(layers, seed=0)
        net.compile(adam, loss, [accuracy])
        logs.append(net.fit(x, y, epochs=2, verbose=0).history)
        net.save(tmp_path / "run")
        again = dk.load(tmp_path / "run").fit(x, y, verbose=0).history
        assert again == net.fit(x, y, verbose=0).history
        assert layers[0].activation == "relu"
    assert logs[0] == logs[2]
    assert logs[0] == {"loss": logs[1]["loss"], "accuracy": logs[1]["acc"]}  # a log has the name that was requested


def test_a_custom_metric_under_a_name_that_would_load_as_ours_is_rejected():
    def acc(y_true, y_pred):
        return y_pred[:, 0]

    with pytest.raises(ConfigurationError, match="give your function another __name__"):
        dk.Sequential([dk.Dense(2)]).compile("sgd", "mean_squared_error", [acc])


def test_an_activation_by_formula_wins_over_a_built_in_alias():
    swish = dk.activation("swish", "x / (1 + exp(-2 * x))")
    try:
        assert dk.Dense(1, activation="swish").activation is swish
        assert dk.Dense(1, activation="Swish").activation is swish
    finally:
        del dk.formula.definition.NAMED["swish"]


# -- what installed packages announce --------------------------------------------------------------------------------

PACKAGE = """
import numpy as np
import dnnkit as dk

def error(y_true, y_pred):
    return np.max(np.abs(y_pred - y_true), axis=1)

class Halves(dk.callbacks.Callback):
    pass

swish = "x / (1 + exp(-x))"
wrong = 3
"""


def run(tmp_path: Path, entry_points: str, code: str) -> subprocess.CompletedProcess[str]:
    info = tmp_path / "extra-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: extra\nVersion: 1\n")
    (info / "entry_points.txt").write_text(entry_points)
    (tmp_path / "extra.py").write_text(PACKAGE)
    root = str(Path(dk.__file__).parents[1])
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), root]), "DNNKIT_BACKEND": "numpy"}
    return processes.run([sys.executable, "-c", code], env=environment)


def test_an_installed_package_adds_names(tmp_path: Path):
    entry_points = """
[dnnkit.metrics]
error = extra:error
[dnnkit.callbacks]
Halves = extra:Halves
[dnnkit.activations]
my_swish = extra:swish
"""
    code = """
import sys, dnnkit as dk
net = dk.Sequential([dk.Dense(4, activation="my_swish"), dk.Dense(1)], seed=0)
net.compile("sgd", "mean_squared_error", ["error"])
print(net.fit([[1.0], [2.0]], [[1.0], [2.0]], verbose=0, callbacks="Halves")["error"][0] > 0)
"""
    done = run(tmp_path, entry_points, code)
    assert done.stdout.strip() == "True", done.stderr


@pytest.mark.parametrize(
    ("entry_points", "message"),
    [
        ("[dnnkit.optimizers]\nadam = extra:error", "the installed package extra names its optimizer 'adam'"),
        ("[dnnkit.optimizers]\nother = extra:missing", "optimizer 'other' of the installed package extra could not"),
        ("[dnnkit.optimizers]\nother = extra:wrong", "optimizer 'other' of the installed package extra is 3"),
    ],
)
def test_a_package_that_breaks_the_rules_is_named(tmp_path: Path, entry_points: str, message: str):
    code = """
import dnnkit as dk
try:
    dk.Sequential([dk.Dense(1)]).compile("other", "mean_squared_error")
except dk.DnnkitError as error:
    print(error)
"""
    done = run(tmp_path, entry_points, code)
    assert message in done.stdout, done.stderr
