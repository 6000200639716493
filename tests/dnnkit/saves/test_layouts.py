"""Weights under the names of other libraries: there and back, and what does not fit."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import dnnkit as dk
from dnnkit.errors import CheckpointError, ConfigurationError, UnknownName
from dnnkit.saves.layouts import LAYOUTS
from dnnkit.saves.tensors import from_safetensors


def network(seed: int = 0, **names: Any) -> dk.Sequential:
    """All layers with weights that PyTorch and Keras also have, each with different numbers."""
    layers = [
        dk.Rescaling(0.5), dk.Dense(5, "relu", **names), dk.BatchNormalization(epsilon=1e-5), dk.Dropout(0.5),
        dk.Dense(5, use_bias=False), dk.LayerNormalization(epsilon=1e-5), dk.PReLU(), dk.RMSNormalization(epsilon=1e-5),
        dk.Activation("tanh"), dk.Dense(3, "softmax"),
    ]  # fmt: skip
    net = dk.Sequential(layers, seed=seed, backend="numpy")
    net.build(4)
    rng = np.random.default_rng(seed)
    net.set_parameters({name: rng.uniform(0.5, 1.5, each.shape) for name, each in net.parameters.items()})
    return net


X = np.random.default_rng(9).normal(size=(7, 4)).astype(np.float32)


@pytest.mark.parametrize("layout", ["torch", "keras"])
def test_there_and_back(layout: str, tmp_path: Path) -> None:
    net, other = network(), network(1)
    net.save_weights(tmp_path / "weights.safetensors", layout=layout)
    other.load_weights(tmp_path / "weights.safetensors", layout=layout)
    for name, value in net.parameters.items():
        np.testing.assert_array_equal(other.parameters[name], value)


def test_the_names_are_those_of_the_modules(tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    network().save_weights(path, layout="torch")
    arrays = from_safetensors(path.read_bytes(), "it")
    affine = [f"2.{part}" for part in ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")]
    assert set(arrays) == {
        "0.weight", "0.bias", *affine, "4.weight", "5.weight", "5.bias", "6.weight", "7.weight", "9.weight", "9.bias",
    }  # fmt: skip
    assert arrays["0.weight"].shape == (5, 4)


def test_keras_numbers_its_layers_on_and_prefixes_the_model() -> None:
    net, other = network(), network(1)
    given = {f"sequential_3/{name}": value for name, value in net.parameters.items()}
    given = {name.replace("/dense/", "/dense_7/"): value for name, value in given.items()}
    given = {name.replace("/dense_1/", "/dense_10/"): value for name, value in given.items()}
    given = {name.replace("/dense_2/", "/dense_11/"): value for name, value in given.items()}
    other.load_weights(given, layout="keras")
    np.testing.assert_array_equal(other.predict(X), net.predict(X))


def test_scikit_learns_mlp(tmp_path: Path) -> None:
    neural_network = pytest.importorskip("sklearn.neural_network")
    x, y = np.random.default_rng(0).normal(size=(60, 4)), np.arange(60) % 3
    mlp = neural_network.MLPClassifier((6, 5), activation="tanh", solver="lbfgs", max_iter=300, tol=1e-2).fit(x, y)
    net = dk.Sequential([dk.Dense(6, "tanh"), dk.Dense(5, "tanh"), dk.Dense(3, "softmax")], dtype="float64", seed=0)
    net.build(4)
    given = {f"coefs_.{number}": each for number, each in enumerate(mlp.coefs_)}
    net.load_weights(given | {f"intercepts_.{n}": each for n, each in enumerate(mlp.intercepts_)}, layout="sklearn")
    np.testing.assert_allclose(net.predict(X), mlp.predict_proba(X.astype(float)), atol=1e-12)
    net.save_weights(tmp_path / "mlp.safetensors", layout="sklearn")
    arrays = from_safetensors((tmp_path / "mlp.safetensors").read_bytes(), "it")
    np.testing.assert_array_equal(arrays["coefs_.2"], mlp.coefs_[2])
    assert len(arrays) == 6


def test_weights_that_do_not_fit() -> None:
    net = dk.Sequential([dk.Dense(3, name="hidden"), dk.Dense(3, name="last")], seed=0)
    net.build(3)
    square = np.zeros((3, 3))
    bias = np.zeros(3)
    given = {"0.weight": square, "0.bias": bias, "1.weight": square, "1.bias": bias}
    net.load_weights(given, layout="PyTorch")
    with pytest.raises(CheckpointError, match=r"has 1 with bias, weight, but .* would have 2 with bias, weight"):
        net.load_weights({"0.weight": square, "0.bias": bias}, layout="torch")
    with pytest.raises(CheckpointError, match="1 with bias, weight and 1 with weight"):
        net.load_weights({**{k: v for k, v in given.items() if k != "1.bias"}}, layout="torch")
    with pytest.raises(CheckpointError, match=r"hidden/kernel of shape \(2, 3\).*\(3, 3\)"):
        net.load_weights({**given, "0.weight": np.zeros((3, 2))}, layout="torch")
    named = {name.replace("0.", "last.").replace("1.", "hidden."): value + 1 for name, value in given.items()}
    net.load_weights({**named, "last.bias": bias + 5}, layout="torch")
    assert net.parameters["last/bias"][0] == 5
    with pytest.raises(CheckpointError, match=r"whose names do not tell their order.*now hidden, last"):
        net.load_weights({name.replace("last", "out"): value for name, value in named.items()}, layout="torch")
    with pytest.raises(CheckpointError, match="two 'kernel' of a layer 'dense'"):
        net.load_weights({"a/dense/kernel": square, "b/dense/kernel": square}, layout="keras")
    with pytest.raises(UnknownName, match=r"unknown layout 'jax'.*torch, keras, sklearn"):
        net.load_weights(given, layout="jax")
    with pytest.raises(CheckpointError, match="the mapping holds parameters"):
        net.load_weights(given)


@pytest.mark.parametrize("layout", ["torch", "keras", "sklearn"])
def test_layers_that_the_library_has_not(layout: str, tmp_path: Path) -> None:
    for layer in (dk.Scale(name="mine"), dk.Dense(4, parametrization="ntk", name="mine")):
        net = dk.Sequential([dk.Dense(4), layer], seed=0)
        net.build(4)
        with pytest.raises(ConfigurationError, match=r"the layer 'mine', a .* has no counterpart in"):
            net.save_weights(tmp_path / "weights.safetensors", layout=layout)
    assert not list(tmp_path.iterdir())


def test_a_custom_layout(tmp_path: Path) -> None:
    mine = LAYOUTS["torch"]._replace(prefix=lambda name, number, modules: f"layers.{number}", more={})
    dk.register("layout", "mine_for_layouts", mine)
    network().save_weights(tmp_path / "weights.safetensors", layout="mine_for_layouts")
    arrays = from_safetensors((tmp_path / "weights.safetensors").read_bytes(), "it")
    assert {"layers.0.weight", "layers.6.bias"} <= set(arrays)
    other = network(1)
    other.load_weights(arrays, layout="mine_for_layouts")
    np.testing.assert_array_equal(other.predict(X), network().predict(X))


@pytest.mark.extras
def test_pytorch_predicts_the_same_there_and_back(tmp_path: Path) -> None:
    torch, safetensors = pytest.importorskip("torch"), pytest.importorskip("safetensors.torch")
    nn = torch.nn
    model = nn.Sequential(
        nn.Linear(4, 5), nn.ReLU(), nn.BatchNorm1d(5), nn.Dropout(0.5), nn.Linear(5, 5, bias=False), nn.LayerNorm(5),
        nn.PReLU(5), nn.RMSNorm(5, eps=1e-5), nn.Tanh(), nn.Linear(5, 3), nn.Softmax(1),
    ).eval()  # fmt: skip
    net, path = network(), tmp_path / "weights.safetensors"
    net.save_weights(path, layout="torch")
    model.load_state_dict(safetensors.load_file(path), strict=True)
    x = torch.tensor(X / 2)
    with torch.no_grad():
        np.testing.assert_allclose(model(x).numpy(), net.predict(X), atol=1e-6)
        for parameter in model.parameters():
            parameter.mul_(0.9)
        safetensors.save_file(model.state_dict(), path)
        net.load_weights(path, layout="torch")
        np.testing.assert_allclose(model(x).numpy(), net.predict(X), atol=1e-6)
        net.load_weights(model.state_dict(), layout="torch")
        table = nn.Sequential(nn.Embedding(5, 3), nn.Flatten(), nn.Linear(6, 2))
        ours = dk.Sequential([dk.Embedding(5, 3), dk.Flatten(), dk.Dense(2)], seed=0, backend="numpy")
        ours.build(2)
        ours.load_weights(table.state_dict(), layout="torch")
        classes = np.array([[0, 4], [3, 1]])
        np.testing.assert_allclose(ours.predict(classes), table(torch.tensor(classes)).numpy(), atol=1e-6)


@pytest.mark.extras
def test_keras_predicts_the_same_there_and_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    keras = pytest.importorskip("keras")
    layers = keras.layers
    model = keras.Sequential([
        keras.Input((4,)), layers.Rescaling(0.5), layers.Dense(5, "relu"), layers.BatchNormalization(epsilon=1e-5),
        layers.Dropout(0.5), layers.Dense(5, use_bias=False), layers.LayerNormalization(epsilon=1e-5), layers.PReLU(),
        layers.RMSNormalization(epsilon=1e-5), layers.Activation("tanh"), layers.Dense(3, "softmax"),
    ])  # fmt: skip
    net = network()
    net.load_weights({each.path: np.asarray(each.value) for each in model.weights}, layout="keras")
    np.testing.assert_allclose(net.predict(X), model.predict(X, verbose=0), atol=1e-6)
    from safetensors.numpy import load_file

    network(1).save_weights(tmp_path / "weights.safetensors", layout="keras")
    arrays = load_file(tmp_path / "weights.safetensors")
    for layer, ours in zip([each for each in model.layers if each.weights],
                           [each for each in net.layers if each.get_weights()], strict=True):  # fmt: skip
        layer.set_weights([arrays[f"{ours.name}/{each.path.rpartition('/')[2]}"] for each in layer.weights])
    np.testing.assert_allclose(network(1).predict(X), model.predict(X, verbose=0), atol=1e-6)
