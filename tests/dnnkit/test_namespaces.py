"""The namespaces of Keras: their contents, what `dir` shows, and the tools in them."""

import ast
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import dnnkit as dk
from dnnkit.backends import Backend
from dnnkit.errors import ConfigurationError, DataError, UnknownName
from dnnkit.registry import REGISTRIES
from tests import processes

NAMESPACES = ("layers", "losses", "metrics", "optimizers", "callbacks", "initializers", "activations", "schedules")


@pytest.mark.parametrize("name", NAMESPACES)
def test_registered_names_are_attributes(name: str) -> None:
    namespace, registry = getattr(dk, name), REGISTRIES[name]
    for each in registry:
        assert getattr(namespace, each) is not None
        assert each in dir(namespace)
    assert not {"Any", "dataclass", "np", "Registry", "field"} & set(dir(namespace))


def test_everything_that_dir_shows_exists() -> None:
    for name in (*NAMESPACES, "utils", "models", "datasets"):
        namespace = getattr(dk, name)
        assert all(hasattr(namespace, each) for each in dir(namespace)), name
    assert set(dir(dk)) == set(dk.__all__)


def test_type_checkers_see_the_real_names() -> None:
    """`dnnkit/__init__.py` reads each line of the stub as Python does."""
    stub = Path(dk.__file__).with_suffix(".pyi").read_text()
    meant: dict[str, Any] = {}
    for statement in ast.parse(stub).body[1:]:
        exec(ast.unparse(statement), meant)
    meant.pop("__builtins__")
    assert set(meant) == set(dk.__all__)
    assert all(getattr(dk, name) is thing for name, thing in meant.items())
    layers = {module for module in dk._WHOLE if module.startswith("dnnkit.layers.")}
    assert {name for module in layers for name in import_module(module).__all__} == set(dk.layers.__all__)
    star: dict[str, Any] = {}
    exec("from dnnkit import *", star)
    assert set(star) - {"__builtins__"} == set(dk.__all__)


def test_unused_modules_are_not_imported() -> None:
    code = """
import sys, dnnkit as dk
def imported(*names): return [name for name in names if name in sys.modules]
assert not imported("numpy", "dnnkit.registry"), "by the import alone"
assert dk.errors.DnnkitError is dk.DnnkitError and not imported("numpy"), "by errors"
from dnnkit.cli import main
for arguments in (["--help"], ["train", "--no-such-option"]):
    sys.argv = ["dnnkit", *arguments]
    try:
        main()
    except SystemExit:
        assert not imported("numpy"), f"by dnnkit {arguments}"
dk.register("data set", "mine", dk.datasets.digits)
assert dk.datasets.mine is dk.datasets.digits
dk.Sequential([dk.Dense(2)], seed=0).compile("adam", "mean_squared_error")
never = ("dnnkit.datasets.mnist", "dnnkit.ops", "dnnkit.plots", "dnnkit.warming")
assert not imported(*never), imported(*never)
import dnnkit.warming
assert callable(dk.warm_up)
"""
    processes.run([sys.executable, "-c", code], check=True)


def test_things_are_reached_by_the_names_that_programs_have() -> None:
    assert dk.losses.mse is dk.losses.mean_squared_error is dk.losses.MeanSquaredError
    assert dk.optimizers.adam is dk.optimizers.Adam
    assert dk.optimizers.schedules.CosineDecay is dk.schedules.CosineDecay
    assert dk.models.Sequential is dk.Sequential
    assert dk.layers.Input is dk.Input
    assert dk.initializers.HeNormal() == dk.initializers.VarianceScaling(2.0)
    assert dk.initializers.glorot_uniform() == dk.initializers.GlorotUniform()
    assert dk.initializers.Zeros() == dk.initializers.Constant(0.0)
    with pytest.raises(ConfigurationError, match=r"zero|finite|expected"):
        dk.initializers.Constant(np.nan)


def test_an_activation_is_a_function_and_a_setting(backend: Backend) -> None:
    x = np.array([[-1.0, 0.5], [2.0, -3.0]])
    to_numpy = backend.to_numpy
    np.testing.assert_array_equal(to_numpy(dk.activations.relu(x)), np.maximum(x, 0))
    np.testing.assert_allclose(to_numpy(dk.activations.softmax(x, axis=0)).sum(axis=0), 1)
    np.testing.assert_array_equal(to_numpy(dk.activations.tanh([0, 1])), to_numpy(dk.ops.tanh([0, 1])))
    for given in (dk.activations.relu, dk.ops.relu, dk.layers.ReLU(), dk.Activation("relu"), "ReLU"):
        assert dk.Dense(3, activation=given) == dk.Dense(3, activation="relu")
        assert dk.Activation(given).activation == "relu"
    assert repr(dk.activations.swish) == "<activation silu>"


def test_layers_of_activations_are_those_activations(backend: Backend, tmp_path) -> None:
    x = np.linspace(-2, 2, 12).reshape(4, 3)
    e = np.exp(x)
    for layer, expected in [
        (dk.layers.ReLU(), np.maximum(x, 0)),
        (dk.layers.Softmax(), e / e.sum(axis=1, keepdims=True)),
        (dk.layers.ELU(), np.where(x > 0, x, e - 1)),
        (dk.layers.ELU(0.5), np.where(x > 0, x, 0.5 * (e - 1))),
        (dk.layers.LeakyReLU(), np.where(x > 0, x, 0.3 * x)),
        (dk.layers.LeakyReLU(negative_slope=0.01), np.where(x > 0, x, 0.01 * x)),
    ]:
        net = dk.Sequential([layer], dtype="float64", seed=0)
        np.testing.assert_allclose(net.predict(x), expected, rtol=1e-12)
        net.save(tmp_path / "run")
        again = dk.load(tmp_path / "run")
        assert again.layers == (layer,)
        assert repr(again.layers[0]) == repr(net.layers[0])


def test_a_user_function_is_not_an_activation() -> None:
    with pytest.raises(UnknownName, match=r"whose derivative is unknown: define it by its formula"):
        dk.Dense(3, activation=np.tanh)


# -- tools -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("x", "classes", "expected"),
    [
        ([0, 2, 1], None, [[1, 0, 0], [0, 0, 1], [0, 1, 0]]),
        ([[0], [1]], 3, [[1, 0, 0], [0, 1, 0]]),
        ([[0, 1]], None, [[[1, 0], [0, 1]]]),
        ([True, False], None, [[0, 1], [1, 0]]),
        ([1.0, 0.0], 2, [[0, 1], [1, 0]]),
        (np.uint8(1), 2, [0, 1]),
    ],
)
def test_one_hot_rows(x, classes, expected) -> None:
    made = dk.to_categorical(x, classes)
    assert made.dtype == np.float32
    np.testing.assert_array_equal(made, expected)


@pytest.mark.parametrize(
    ("x", "classes", "message"),
    [
        ([0, 3], 3, "from 0 to 3: expected 0 to 2"),
        ([-1, 0], None, "from -1 to 0"),
        ([0.5], None, "x has 0.5"),
        ([], None, "expected class numbers"),
        (["a"], None, "expected class numbers"),
    ],
)
def test_labels_that_have_no_one_hot_rows(x, classes, message: str) -> None:
    with pytest.raises(DataError, match=message):
        dk.to_categorical(x, classes)


def test_a_seed_for_everything() -> None:
    drawn = []
    for _ in range(2):
        dk.set_random_seed(7)
        drawn.append((dk.Sequential().seed, np.random.random(), __import__("random").random()))
    assert drawn[0] == drawn[1]
    with pytest.raises(ConfigurationError, match="a seed is a whole number"):
        dk.set_random_seed(-1)


def test_rows_of_norm_1() -> None:
    np.testing.assert_allclose(dk.utils.normalize([[3, 4], [0, 0]]), [[0.6, 0.8], [0, 0]])
