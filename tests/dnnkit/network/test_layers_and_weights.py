"""Layers of a network: names, weights, the input shape given in advance, and adding and removing layers."""

import copy
import gc
import pickle
import weakref
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

import dnnkit as dk
from dnnkit.backends import Backend
from dnnkit.errors import ConfigurationError, NotReady, ShapeError, UnknownName

rng = np.random.default_rng(5)
X, Y = rng.normal(size=(30, 4)), rng.integers(0, 3, 30)


def network(**options) -> dk.Sequential:
    layers = [dk.Input((4,)), dk.Dense(5, activation="tanh", name="hidden"), dk.Dropout(0.2), dk.Dense(3, "softmax")]
    net = dk.Sequential(layers, seed=0, **options)
    net.compile("adam", "sparse_categorical_crossentropy", ["accuracy"])
    return net


def test_names_that_are_given_name_parameters_and_are_saved(backend: Backend, tmp_path: Path) -> None:
    net = network(name="mlp")
    assert list(net.parameters) == ["hidden/kernel", "hidden/bias", "dense/kernel", "dense/bias"]
    assert [layer.name for layer in net.layers] == ["hidden", "dropout", "dense"]
    net.fit(X, Y, verbose=0)
    net.save(tmp_path / "run")
    for again in (dk.load(tmp_path / "run"), copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
        assert again.name == "mlp"
        assert list(again.parameters) == list(net.parameters)
        assert again.fit(X, Y, verbose=0)["loss"] == copy.deepcopy(net).fit(X, Y, verbose=0)["loss"]


def test_names_change_nothing_else(backend: Backend) -> None:
    """Not even the masks of dropout, which depend on a layer's position."""
    named = network()
    plain = dk.Sequential([dk.Dense(5, activation="tanh"), dk.Dropout(0.2), dk.Dense(3, "softmax")], seed=0)
    plain.compile("adam", "sparse_categorical_crossentropy", ["accuracy"])
    assert named.fit(X, Y, epochs=3, verbose=0).history == plain.fit(X, Y, epochs=3, verbose=0).history
    assert named.layers == plain.layers


def test_saves_of_layers_without_names_are_unchanged(tmp_path: Path) -> None:
    net = dk.Sequential([dk.Dense(3)], seed=0)
    net.build(4)
    net.save(tmp_path / "run")
    text = (tmp_path / "run/versions/000001/architecture.json").read_text()
    assert not any(word in text for word in ("name", '"input_dim"'))


def test_names_that_dnnkit_gives_keep_away_from_others() -> None:
    net = dk.Sequential([dk.Dense(1), dk.Dense(1, name="dense"), dk.Dense(1), dk.Dense(1, name="dense_2")], seed=0)
    assert [layer.name for layer in net.layers] == ["dense_1", "dense", "dense_3", "dense_2"]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: dk.Sequential([dk.Dense(3, name="a"), dk.Dense(3, name="a")]),
            "2 layers are called 'a': give them different names",
        ),
        (lambda: dk.Dense(3, name="a/b"), r"Dense\(name='a/b'\): expected letters"),
        (lambda: dk.Dense(3, name='a"]; import os'), "expected letters"),
        (lambda: dk.Dense(3, name=3), "expected letters"),
        (lambda: dk.Dense(3, input_shape=(0,)), "expected the shape of a sample"),
        (lambda: dk.Sequential([dk.Dense(3, input_shape=(4,), input_dim=5)]), r"input_shape=\(4,\) and input_dim=5"),
        (
            lambda: dk.Sequential([dk.Input(4), dk.Dense(3, input_dim=5)]),
            r"of shape \(4,\), but the first layer \(5,\)",
        ),
        (lambda: dk.Sequential([dk.Dense(3), dk.Input(4)]), "comes after other layers"),
        (lambda: dk.Sequential(dk.Input(4)), "expected a list"),
        (
            lambda: dk.Sequential([dk.Dense(3), dk.Dense(3, input_dim=5)]).build(4),
            r"'dense_1' declares .* \(5,\), .* \(3,\)",
        ),
        (lambda: dk.Sequential([dk.Input(4), dk.Dense(3)]).build(5), r"shape \(4,\), as Input .* says; got \(5,\)"),
        (lambda: dk.Sequential(name=3), "name is 3: expected text"),
        (lambda: dk.Sequential().pop(), "has no layers"),
    ],
)
def test_impossible_changes_are_one_error(make, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        make()


@pytest.mark.parametrize(
    "first",
    [
        [dk.Input((4,)), dk.Dense(3)],
        [dk.Input(shape=4), dk.Dense(3)],
        [dk.Input((None, 4)), dk.Dense(3)],
        [dk.Dense(3, input_shape=(4,))],
        [dk.Dense(3, input_shape=[4])],
        [dk.Dense(3, input_dim=np.int64(4))],
    ],
)
def test_a_network_that_knows_its_samples_needs_no_data(backend: Backend, first) -> None:
    net = dk.Sequential(first, seed=0)
    assert not net.is_built
    assert net.count_params() == 15
    assert net.is_built
    assert [weight.shape for weight in net.get_weights()] == [(4, 3), (3,)]
    with pytest.raises(ShapeError, match=r"expected \(samples, 4\)"):
        net.predict(X[:, :3])


def test_a_known_input_shape_is_copied_before_anything_is_built() -> None:
    for net in (copy.copy(network()), pickle.loads(pickle.dumps(network()))):
        assert not net.is_built
        assert net.count_params() == 43
    with pytest.raises(NotReady, match="not built yet"):
        dk.Sequential([dk.Dense(3)]).count_params()


def test_weights_of_layers_and_of_the_network_are_its_parameters(backend: Backend) -> None:
    net = network()
    hidden = net.get_layer("hidden")
    kernel, bias = hidden.get_weights()
    np.testing.assert_array_equal(kernel, net.parameters["hidden/kernel"])
    hidden.set_weights([kernel + 1, bias + 2])
    np.testing.assert_array_equal(net.layers[0].kernel.numpy(), kernel + 1)
    np.testing.assert_array_equal(net.weights[1], bias + 2)
    net.layers[0].kernel.assign(np.zeros((4, 5)))
    assert not net.parameters["hidden/kernel"].any()
    assert [str(weight) for weight in net.layers[2].weights] == [
        "<Weight dense/kernel (5, 3) float32>",
        "<Weight dense/bias (3,) float32>",
    ]
    assert (net.layers[2].bias.name, net.layers[2].bias.shape, net.layers[2].bias.dtype) == ("bias", (3,), np.float32)
    assert (net.layers[0].count_params(), net.layers[1].count_params(), net.count_params()) == (25, 0, 43)
    assert net.layers[1].get_weights() == []
    twin = network()
    twin.set_weights(net.get_weights())
    np.testing.assert_array_equal(twin.predict(X), net.predict(X))


@pytest.mark.parametrize(
    ("ask", "error", "message"),
    [
        (lambda net: net.get_layer("hiden"), UnknownName, r"did you mean 'hidden'\? the network has hidden, dropout"),
        (lambda net: net.get_layer(index=3), UnknownName, "no layer 3: the network has 3"),
        (lambda net: net.get_layer(), ConfigurationError, "a name or an index"),
        (lambda net: net.set_weights([1]), ConfigurationError, "has 4 weights, hidden/kernel, .*; got 1 arrays"),
        (lambda net: net.layers[0].set_weights([np.zeros((4, 5)), np.zeros(6)]), ShapeError, r"has shape \(5,\); got"),
        (lambda net: net.layers[0].set_weights(3), ConfigurationError, "expected a list of arrays"),
        (lambda net: dk.Dense(3).get_weights(), NotReady, r"from a network, by net.layers\[0\]"),
    ],
)
def test_weights_that_there_are_not(ask, error, message: str) -> None:
    net = network()
    before = net.get_weights()
    with pytest.raises(error, match=message):
        ask(net)
    assert all(np.array_equal(now, then) for now, then in zip(net.get_weights(), before, strict=True))


def test_get_layer_by_its_place() -> None:
    net = network()
    assert net.get_layer(index=-1) == net.get_layer("dense") == net.layers[np.int64(2)]


@dataclass(frozen=True)
class Scale(dk.Layer):
    """With a field named like an attribute of other network layers."""

    weights: float
    first: float = 1.0

    def parameters(self, input_shape):
        return {"scale": ((1,), dk.initializers.Constant(self.first))}

    def forward(self, xp, x, scale):
        return x * scale * self.weights, x

    def backward(self, xp, dy, x, scale):
        return dy * scale * self.weights, xp.reshape(xp.sum(x * dy), (1,)) * self.weights


class Counter(dk.Layer):
    """Not a dataclass, and modified while it is used."""

    def __init__(self) -> None:
        self.calls = 0

    def forward(self, xp, x):
        self.calls += 1
        return x, None

    def backward(self, xp, dy, saved):
        return (dy,)


def test_custom_layers_have_names_and_weights_too(backend: Backend) -> None:
    own, counter = Scale(2.0, name="twice"), Counter()
    net = dk.Sequential([own, counter, dk.Dense(1, use_bias=False)], seed=0)
    net.build(3)
    assert list(net.parameters) == ["twice/scale", "dense/kernel"]
    assert net.layers[0].weights == 2.0
    assert net.layers[0].scale.numpy() == 1
    assert repr(own) == "Scale(2.0, name='twice')"
    assert type(net.layers[1]) is Counter
    net.predict(np.ones((1, 3)))
    assert counter.calls == 1
    with pytest.raises(ConfigurationError, match="calls of a layer obtained from a network cannot be assigned"):
        net.layers[1].calls = 0


def test_descriptions_stay_as_they_are_and_may_be_shared() -> None:
    shared = dk.Dense(4, activation="tanh")
    first, second = (dk.Sequential([shared, shared], seed=seed) for seed in (1, 2))
    for net in (first, second):
        net.build(4)
        net.layers[1].set_weights([np.full((4, 4), net.seed), np.zeros(4)])
    assert [net.layers[1].get_weights()[0][0, 0] for net in (first, second)] == [1, 2]
    assert shared.name is None
    assert "_place" not in vars(shared)
    assert first.layers == (shared, shared)
    assert hash(first.layers[0]) == hash(shared)
    with pytest.raises(dk.errors.ConfigurationError, match="because it is a copy"):
        first.layers[0].units = 3


def test_a_layer_of_a_network_is_frozen_by_an_assignment(backend: Backend) -> None:
    net = network()
    net.to(backend)
    assert [weight.path for weight in net.trainable_weights] == [weight.path for weight in net.weights]
    first = net.layers[0]
    first.trainable = False
    assert not first.trainable
    assert not net.get_layer(first.name).trainable
    assert first.trainable_weights == [] == net.get_layer(first.name).trainable_weights
    frozen = [weight.path for weight in net.non_trainable_weights]
    assert (
        frozen == [weight.path for weight in first.weights] == [weight.path for weight in first.non_trainable_weights]
    )
    assert [weight.path for weight in net.trainable_weights] == [weight.path for weight in net.weights][len(frozen) :]
    first.trainable = True
    assert net.non_trainable_weights == []


def test_a_layer_of_a_network_equals_its_description(backend: Backend) -> None:
    net = network()
    other = dk.Sequential((*net.layers[:1], dk.Dense(2)), seed=1)
    other.build(4)
    assert list(other.parameters) == ["hidden/kernel", "hidden/bias", "dense/kernel", "dense/bias"]
    assert pickle.loads(pickle.dumps(net.layers[2])) == copy.copy(net.layers[2]) == dk.Dense(3, "softmax")
    assert copy.copy(net.layers[2]).name is None
    assert replace(net.layers[0], units=7).units == 7


def test_a_layer_keeps_no_network_alive_longer_than_itself() -> None:
    net = network()
    net.predict(X)
    gone = weakref.ref(net)
    layer = net.layers[0]
    gc.disable()
    try:
        del net
        assert gone() is not None
        del layer
        assert gone() is None
    finally:
        gc.enable()


def test_layers_are_added_one_by_one() -> None:
    net = dk.Sequential(seed=0)
    net.add(dk.Input((4,)))
    net.add(dk.Dense(5, activation="tanh", name="hidden"))
    net.add(dk.Dropout(0.2))
    net.add(dk.Dense(7))
    assert net.pop() == dk.Dense(7)
    net.add(dk.Dense(3, "softmax"))
    assert all(np.array_equal(*pair) for pair in zip(net.get_weights(), network().get_weights(), strict=True))
    with pytest.raises(ConfigurationError, match="comes after other layers"):
        net.add(dk.Input((4,)))


def test_another_end_for_a_trained_network(backend: Backend) -> None:
    net = network()
    net.fit(X, Y, epochs=2, verbose=0)
    kept = net.get_layer("hidden").get_weights()
    net.pop()
    net.add(dk.Dense(6, name="new", activation="softmax"))
    assert net.predict(X).shape == (30, 6)
    assert all(np.array_equal(*pair) for pair in zip(net.get_layer("hidden").get_weights(), kept, strict=True))
    fresh = dk.Sequential(net.layers, seed=0)
    fresh.build(4)
    assert np.array_equal(net.get_layer("new").get_weights()[0], fresh.get_layer("new").get_weights()[0])
    assert net.executable.state.step == 0
    assert net.history.epoch == [0, 1]
    net.fit(X, Y, verbose=0)
    assert net.history.epoch == [0, 1, 2]


def test_a_layer_that_does_not_fit_leaves_the_network_as_it_was(backend: Backend) -> None:
    net = network()
    before = net.predict(X)
    with pytest.raises(ConfigurationError, match="called 'hidden'"):
        net.add(dk.Dense(2, name="hidden"))
    with pytest.raises(ConfigurationError, match="declares samples of shape"):
        net.add(dk.Dense(2, input_dim=9))
    np.testing.assert_array_equal(net.predict(X), before)
    assert len(net.layers) == 3


def test_a_clone_has_the_layers_and_weights_of_its_own() -> None:
    net = network(dtype="float64", num_threads=1, name="mlp")
    twin = dk.clone_model(net)
    assert (twin.layers, twin.dtype, twin.num_threads, twin.name) == (net.layers, "float64", 1, "mlp")
    assert not twin.is_compiled
    assert twin.count_params() == 43
    assert not np.array_equal(twin.get_weights()[0], net.get_weights()[0])


def test_load_model_takes_the_arguments_of_keras(tmp_path: Path) -> None:
    net = network()
    net.fit(X, Y, verbose=0)
    net.save(tmp_path / "run")
    assert dk.load_model(tmp_path / "run").is_compiled
    bare = dk.models.load_model(tmp_path / "run", compile=False)
    assert not bare.is_compiled
    np.testing.assert_array_equal(bare.predict(X), net.predict(X))
    with pytest.raises(ConfigurationError, match="contain none"):
        dk.load_model(tmp_path / "run", safe_mode=False)
