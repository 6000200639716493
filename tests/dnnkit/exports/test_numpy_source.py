"""Networks as scripts: short, the same predictions, and nothing but NumPy."""

import ast
import re
import runpy
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import dnnkit as dk
from dnnkit.backends import Backend
from dnnkit.errors import CheckpointError, ConfigurationError, NotReady
from dnnkit.exports.numpy_source import source
from tests import processes
from tests.dnnkit.exports.networks import TOLERANCE, every_kind, graphs, randomized, samples
from tests.oracles import ACTIVATIONS


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_graphs_are_written_with_a_name_per_value(dtype: str, tmp_path: Path) -> None:
    for name, (net, x) in graphs(dtype).items():
        path = net.to_numpy_source(tmp_path / f"{name}.py")
        found, wanted = predicted(path, x), net.predict(x)
        assert type(found) is type(wanted)
        assert len(path.read_text().splitlines()) <= 40
        keys = list(wanted) if isinstance(wanted, dict) else range(len(wanted))
        for key in keys:
            assert found[key].dtype == dtype
            np.testing.assert_allclose(found[key], wanted[key], **TOLERANCE[dtype], err_msg=name)


def test_a_script_of_several_inputs_is_a_command_that_checks_classes(tmp_path: Path) -> None:
    net, x = graphs("float64")["several"]
    path = net.to_numpy_source(tmp_path / "net.py")
    np.savez(tmp_path / "samples.npz", **x)
    command = [sys.executable, "-W", "error", "net.py", "samples.npz"]
    done = processes.run(command, cwd=tmp_path)
    assert done.stderr == ""
    assert done.stdout.startswith("{'kind': array(")
    with pytest.raises(AssertionError, match=r"hold class numbers, from 0 to \[2, 3\]"):
        predicted(path, {**x, "classes": x["classes"] - 1})


@pytest.fixture(scope="module")
def numpy_alone(tmp_path_factory) -> Path:
    """A folder of packages in which NumPy is the only one."""
    folder, place = tmp_path_factory.mktemp("packages"), Path(np.__file__).parent
    for part in (place, place.with_name("numpy.libs")):
        if part.exists():
            (folder / part.name).symlink_to(part)
    return folder


def run_alone(packages: Path, code: str, folder: Path) -> str:
    """Return the output of a program that sees only the standard library and these packages; warnings are errors."""
    program = f"import sys\nsys.path.append({str(packages)!r})\n{code}"
    command = [sys.executable, "-I", "-S", "-W", "error", "-c", program]
    done = processes.run(command, cwd=folder)
    assert done.stderr == ""
    assert done.returncode == 0
    return done.stdout


SINGLE = """
import importlib.util
from pathlib import Path
import numpy as np
for module in ("dnnkit", "scipy", "numba", "backends", "kernels"):
    assert importlib.util.find_spec(module) is None, module
sys.path.append(str(Path.cwd()))
scripts = sorted(Path.cwd().glob("*.py"))
for script in scripts:
    predict = importlib.import_module(script.stem).predict
    np.save(script.with_suffix(".out.npy"), predict(np.load(script.with_suffix(".in.npy"))))
assert "dnnkit" not in sys.modules
print(len(scripts))
"""


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_without_dnnkit_the_script_predicts_as_the_network_does(backend: Backend, dtype, numpy_alone, tmp_path):
    networks = every_kind(backend, dtype)
    for name, (net, x) in networks.items():
        assert net.to_numpy_source(tmp_path / f"{name}.py") == tmp_path / f"{name}.py"
        np.save(tmp_path / f"{name}.in.npy", x)
    assert run_alone(numpy_alone, SINGLE, tmp_path) == f"{len(networks)}\n"
    for name, (net, x) in networks.items():
        predictions, expected = np.load(tmp_path / f"{name}.out.npy"), net.predict(x)
        assert predictions.dtype == expected.dtype == dtype, name
        assert predictions.shape == expected.shape, name
        assert np.ptp(expected) > 0, name
        np.testing.assert_allclose(predictions, expected, **TOLERANCE[dtype], err_msg=name)
        assert len((tmp_path / f"{name}.py").read_text().splitlines()) <= 40, name


def test_a_script_that_is_done_with_leaves_no_file_open(numpy_alone, tmp_path):
    net = dk.Sequential([dk.Dense(3)], seed=0)
    net.build(4)
    net.to_numpy_source(tmp_path / "net.py")
    run_alone(numpy_alone, 'import gc, runpy\nrunpy.run_path("net.py")\ngc.collect()', tmp_path)


def test_as_a_command_it_prints_the_predictions(tmp_path):
    net = randomized(dk.Sequential([dk.Dense(3, activation="relu")], seed=0), (4,))
    net.to_numpy_source(tmp_path / "net.py")
    np.save(tmp_path / "samples.npy", samples())
    command = [sys.executable, "-I", "-W", "error", "net.py", "samples.npy"]
    done = processes.run(command, cwd=tmp_path)
    assert done.stderr == ""
    assert done.stdout == f"{net.predict(samples())}\n"


def test_a_trained_network_predicts_what_it_learned(backend: Backend, tmp_path):
    (x, y), (x_test, _) = dk.datasets.digits.load_data()
    net = dk.Sequential(
        [dk.Rescaling(1 / 16), dk.Flatten(), dk.Dense(16, activation="relu"), dk.Dense(10, activation="softmax")],
        seed=0,
        backend=backend,
    )
    net.compile("adam", "sparse_categorical_crossentropy")
    net.fit(x, y, steps=60, verbose=0)
    path = net.to_numpy_source(tmp_path / "digits.py")
    before = predicted(path, x_test)
    np.testing.assert_allclose(before, net.predict(x_test), **TOLERANCE["float32"])
    net.fit(x, y, steps=60, verbose=0)
    net.to_numpy_source(path)  # replaces the old one, with the new numbers
    after = predicted(path, x_test)
    np.testing.assert_allclose(after, net.predict(x_test), **TOLERANCE["float32"])
    assert np.abs(after - before).max() > 0.1


def predicted(path: Path, x: Any) -> np.ndarray:
    """Return the result of the script's function, in this process."""
    return runpy.run_path(str(path))["predict"](x)


@pytest.mark.parametrize("activation", ["softmax", "sigmoid"])
def test_an_activation_absorbed_by_its_loss_is_written(tmp_path, activation):
    loss = {"softmax": "categorical_crossentropy", "sigmoid": "binary_crossentropy"}[activation]
    for layers in ([dk.Dense(3, activation=activation)], [dk.Dense(3), dk.Activation(activation)]):
        net = dk.Sequential(layers, seed=0, dtype="float64")
        net.compile("sgd", loss)
        randomized(net, (4,))
        assert net.executable.program.head == activation
        path = net.to_numpy_source(tmp_path / "net.py")
        np.testing.assert_allclose(predicted(path, samples()), net.predict(samples()), **TOLERANCE["float64"])


def test_samples_of_any_dtype_are_accepted_and_unchanged(tmp_path):
    net = randomized(dk.Sequential([dk.Rescaling(1 / 16, -0.5), dk.Dense(3, activation="relu")], seed=0), (4,))
    path = net.to_numpy_source(tmp_path / "net.py")
    x = np.random.default_rng(0).integers(0, 17, (6, 4), np.uint8)
    for given_samples in (x, x.astype(np.float32), x.astype(np.float64), x.tolist()):
        kept = np.array(given_samples)
        predictions = predicted(path, given_samples)
        assert predictions.dtype == np.float32
        np.testing.assert_array_equal(predictions, net.predict(x))
        np.testing.assert_array_equal(given_samples, kept)


def test_samples_keep_their_shape_where_nothing_flattens_them(tmp_path):
    net = dk.Sequential([dk.Rescaling(0.5, 1), dk.Activation("relu")], seed=0)
    net.build((2, 3))
    predictions = predicted(net.to_numpy_source(tmp_path / "net.py"), samples((2, 3)))
    assert predictions.shape == (11, 2, 3)
    np.testing.assert_array_equal(predictions, net.predict(samples((2, 3))))


# -- length ----------------------------------------------------------------------------------------------------------


@settings(max_examples=30)
@given(layers=st.lists(st.sampled_from([*ACTIVATIONS, "rescaling", "dropout"]), min_size=1, max_size=120))
def test_however_deep_the_network_the_script_has_at_most_40_lines(layers):
    made: dict[str, dk.Layer] = {"rescaling": dk.Rescaling(2.0, 1.0), "dropout": dk.Dropout(0.5)}
    net = dk.Sequential([made.get(name) or dk.Dense(2, activation=name) for name in [*layers, "tanh"]], seed=0)
    net.build(2)
    text = source(net, "net")
    assert len(text.splitlines()) <= 40
    module = ast.parse(text)
    predict = next(node for node in module.body if isinstance(node, ast.FunctionDef))
    products = [node for node in ast.walk(predict) if isinstance(node, ast.MatMult)]
    assert len(products) == 1 + len([name for name in layers if name not in made])


@pytest.mark.parametrize("depth", [1, 5, 21, 22, 23, 24, 50, 133])
def test_a_deep_network_predicts_the_same_from_few_lines(tmp_path, depth):
    net = dk.Sequential([dk.Dense(8, activation="tanh") for _ in range(depth)], seed=depth, dtype="float64")
    net.build(4)
    path = net.to_numpy_source(tmp_path / "deep.py")
    assert len(path.read_text().splitlines()) <= 40
    np.testing.assert_allclose(predicted(path, samples()), net.predict(samples()), rtol=1e-10, atol=1e-13)


def test_a_usual_network_has_one_statement_per_line_and_no_unused_import(tmp_path):
    plain, gelu = (
        dk.Sequential([dk.Dense(4, activation=name), dk.Dense(3, activation="softmax")], seed=0)
        for name in ("relu", "gelu")
    )
    for net in (plain, gelu):
        net.build(4)
    assert ";" not in source(plain, "net")
    assert "import math" not in source(plain, "net")
    assert "import math" in source(gelu, "net")


def test_nothing_is_added_where_there_is_no_offset():
    plain, moved = dk.Sequential([dk.Rescaling(0.5)], seed=0), dk.Sequential([dk.Rescaling(0.5, -1)], seed=0)
    for net in (plain, moved):
        net.build(2)
    assert "x = x * 0.5\n" in source(plain, "net")
    assert "x = x * 0.5 + -1.0\n" in source(moved, "net")


def test_the_script_describes_itself():
    net = dk.Sequential([dk.Flatten(), dk.Dense(4, activation="relu"), dk.Dropout(0.5), dk.Dense(3)], seed=0)
    net.build((2, 2))
    text = ast.get_docstring(ast.parse(source(net, "mine")))
    assert "(N, 2, 2)" in text
    assert "Flatten -> Dense(4, relu) -> Dropout -> Dense(3)" in text
    assert "python mine.py samples.npy" in text


# -- the files -------------------------------------------------------------------------------------------------------


def test_the_parameters_are_arrays_without_pickle(backend: Backend, tmp_path):
    net = dk.Sequential([dk.Dense(3), dk.Dense(2, use_bias=False)], seed=0, backend=backend)
    randomized(net, (4,)).to_numpy_source(tmp_path / "net.py")
    with np.load(tmp_path / "net.npz", allow_pickle=False) as parameters:
        assert set(parameters) == {"dense/kernel", "dense/bias", "dense_1/kernel"}
        for name, value in net.parameters.items():
            assert parameters[name].dtype == np.float32
            np.testing.assert_array_equal(parameters[name], value)
    with zipfile.ZipFile(tmp_path / "net.npz") as archive:
        assert all(archive.read(name).startswith(b"\x93NUMPY") for name in archive.namelist())


@pytest.mark.parametrize("kind", [str, Path])
def test_folders_are_made_and_two_files_are_all_there_is(tmp_path, kind):
    net = dk.Sequential([dk.Dense(3)], seed=0)
    net.build(4)
    place = tmp_path / "deep" / "down" / "my.net.py"
    assert net.to_numpy_source(kind(place)) == place
    assert sorted(file.name for file in place.parent.iterdir()) == ["my.net.npz", "my.net.py"]
    np.testing.assert_allclose(predicted(place, samples()), net.predict(samples()), **TOLERANCE["float32"])


def test_the_two_files_may_move_together(tmp_path, monkeypatch):
    net = randomized(dk.Sequential([dk.Dense(3)], seed=0), (4,))
    net.to_numpy_source(tmp_path / "net.py")
    (tmp_path / "elsewhere").mkdir()
    for name in ("net.py", "net.npz"):
        (tmp_path / name).rename(tmp_path / "elsewhere" / name)
    monkeypatch.chdir("/")
    np.testing.assert_array_equal(predicted(tmp_path / "elsewhere" / "net.py", samples()), net.predict(samples()))


@pytest.mark.parametrize("name", ["net", "net.txt", "net.py.bak", "net.npz", "net.PY", ".py"])
def test_another_ending_is_an_error(tmp_path, name):
    net = dk.Sequential([dk.Dense(3)], seed=0)
    net.build(4)
    with pytest.raises(ConfigurationError, match=f"{re.escape(name)}' must end in .py"):
        net.to_numpy_source(tmp_path / name)
    assert list(tmp_path.iterdir()) == []


@dataclass(frozen=True)
class Doubled(dk.Layer):
    def forward(self, xp, x):
        return 2 * x, None

    def backward(self, xp, dy, saved):
        return (2 * dy,)


@dataclass(frozen=True)
class Absolute(dk.losses.Loss):
    def loss_and_gradient(self, predictions, targets, weights, scale, xp):
        difference = predictions - targets
        return xp.sum(xp.abs(difference)), scale * xp.sign(difference)


def test_a_custom_layer_is_an_error_that_names_it(tmp_path):
    net = dk.Sequential([dk.Dense(3), Doubled()], seed=0)
    net.build(4)
    with pytest.raises(ConfigurationError, match=r"layer Doubled cannot be .* a custom one; save the network instead"):
        net.to_numpy_source(tmp_path / "net.py")
    assert list(tmp_path.iterdir()) == []


def test_a_custom_loss_is_not_part_of_a_prediction(tmp_path):
    net = dk.Sequential([dk.Dense(1)], seed=0)
    net.compile("sgd", Absolute())
    net.fit(samples(), samples()[:, :1], verbose=0)
    path = net.to_numpy_source(tmp_path / "net.py")
    np.testing.assert_allclose(predicted(path, samples()), net.predict(samples()), **TOLERANCE["float32"])


def test_a_network_that_is_not_built_has_nothing_to_write(tmp_path):
    with pytest.raises(NotReady, match="not built"):
        dk.Sequential([dk.Dense(3)]).to_numpy_source(tmp_path / "net.py")
    assert list(tmp_path.iterdir()) == []


def test_a_path_that_cannot_be_written_is_an_error_that_names_it(tmp_path):
    net = dk.Sequential([dk.Dense(3)], seed=0)
    net.build(4)
    (tmp_path / "file").write_text("kept")
    (tmp_path / "taken.npz").mkdir()
    for place in (tmp_path / "file" / "net.py", tmp_path / "file" / "deep" / "net.py", tmp_path / "taken.py"):
        with pytest.raises(CheckpointError, match=rf"cannot write .*{place.with_suffix('').name}\..*choose a place"):
            net.to_numpy_source(place)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "taken.npz"]
    assert (tmp_path / "file").read_text() == "kept"


@pytest.mark.parametrize("layers", [[dk.Flatten()], [dk.Dropout(0.5)], [dk.Activation("linear")]])
def test_a_network_that_does_nothing_is_a_script_too(tmp_path, layers):
    net = dk.Sequential(layers, seed=0)
    net.build(4)
    path = net.to_numpy_source(tmp_path / "net.py")
    np.testing.assert_array_equal(predicted(path, samples()), net.predict(samples()))
