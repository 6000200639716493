"""Networks written with the same layers share their weights, whichever of them learns."""

import copy
import gc
import pickle
import threading
from typing import Any

import numpy as np
from numpy.testing import assert_allclose, assert_array_equal

import dnnkit as dk
from dnnkit.backends import Backend

X = np.random.default_rng(0).normal(size=(48, 6))


def coder(backend: str) -> tuple[dk.Model, dk.Model, dk.Model]:
    """Encoder, decoder, and both one after the other."""
    x, code = dk.Input((6,)), dk.Input((2,))
    given: dict[str, Any] = {"backend": backend, "dtype": "float64"}
    encoder = dk.Model(x, dk.Dense(2, "tanh")(dk.Dense(4, "tanh")(x)), name="encoder", seed=1, **given)
    decoder = dk.Model(code, dk.Dense(6)(code), name="decoder", seed=2, **given)
    both = dk.Model(x, decoder(encoder(x)), seed=3, **given)
    both.compile(dk.Adam(0.02), "mse")
    return encoder, decoder, both


def assert_one(encoder: dk.Model, decoder: dk.Model, both: Any) -> None:
    assert_allclose(decoder.predict(encoder.predict(X)), both.predict(X), rtol=1e-12, atol=1e-14)


def test_related_networks_share_what_one_learns(backend: Backend) -> None:
    encoder, decoder, both = coder(backend.name)
    before = encoder.predict(X)
    assert_one(encoder, decoder, both)
    both.fit(X, X, epochs=2, batch_size=16, verbose=0)
    assert np.abs(encoder.predict(X) - before).max() > 1e-3
    assert_one(encoder, decoder, both)
    both.train_step(X, X)
    assert_one(encoder, decoder, both)
    encoder.compile("sgd", "mse")
    encoder.train_step(X, X[:, :2])
    decoder.set_weights([1.5 * weight for weight in decoder.get_weights()])
    assert_one(encoder, decoder, both)
    part = dk.Model(both.input, both.get_layer("encoder").output, backend=backend.name, dtype="float64")
    assert_array_equal(part.predict(X[:3]), encoder.predict(X[:3]))
    both.freeze("encoder")
    both.fit(X, X, verbose=0)
    assert_array_equal(part.predict(X), encoder.predict(X))
    assert_one(encoder, decoder, both)


def test_training_is_that_of_a_network_alone(backend: Backend) -> None:
    found = []
    for others_ask in (False, True):
        encoder, _, both = coder(backend.name)
        asks = dk.LambdaCallback(on_train_batch_end=lambda batch, logs, encoder=encoder: encoder.predict(X[:2]))
        both.fit(X, X, epochs=2, batch_size=16, verbose=0, callbacks=[asks] if others_ask else [])
        found.append(both.get_weights())
    for one, other in zip(*found, strict=True):
        assert_array_equal(one, other)


def test_networks_that_train_in_turn_continue_from_each_other() -> None:
    """As the two players of a game do: each step begins with the result of the other's."""
    encoder, decoder, both = coder("numpy")
    decoder.compile("sgd", "mse")
    for _ in range(3):
        both.train_step(X, X)
        left = both.parameters["decoder/dense/kernel"]
        assert_array_equal(decoder.parameters["dense/kernel"], left)
        decoder.train_step(X[:, :2], X)
        assert np.abs(both.parameters["decoder/dense/kernel"] - left).max() > 0
        assert_one(encoder, decoder, both)


def test_copies_pickles_and_loads_share_nothing() -> None:
    encoder, _, both = coder("numpy")
    both.fit(X, X, verbose=0)
    before = encoder.get_weights()
    for twin in (copy.deepcopy(both), pickle.loads(pickle.dumps(both)), dk.clone_model(both)):
        twin.compile("sgd", "mse")
        twin.fit(X, X, verbose=0)
        assert_array_equal(encoder.get_weights()[0], before[0])


def test_layers_of_a_sequential_are_called_with_its_weights() -> None:
    net = dk.Sequential([dk.Input(6), dk.Dense(3, "tanh"), dk.Dense(6)], seed=0, backend="numpy", dtype="float64")
    net.compile("sgd", "mse")
    net.fit(X, X, verbose=0)
    x = dk.Input(6)
    features = dk.Model(x, net.layers[0](x), backend="numpy", dtype="float64")
    below = dk.Model(net.inputs, net.layers[0].output, backend="numpy", dtype="float64")
    net.fit(X, X, verbose=0)
    expected = np.tanh(X @ net.parameters["dense/kernel"] + net.parameters["dense/bias"])
    assert_allclose(features.predict(X), expected, rtol=1e-12)
    assert_allclose(below.predict(X), expected, rtol=1e-12)


def test_a_network_inside_a_sequential_shares_its_weights() -> None:
    encoder, decoder, both = coder("numpy")
    chain = dk.Sequential([encoder, decoder], backend="numpy", dtype="float64")
    both.fit(X, X, verbose=0)
    assert_array_equal(chain.predict(X), both.predict(X))
    longer = dk.Sequential([encoder], backend="numpy", dtype="float64", seed=5)
    longer.build(6)
    longer.add(dk.Dense(3))
    both.fit(X, X, verbose=0)
    code = longer.predict(X)
    weights = longer.get_weights()
    assert_allclose(code, encoder.predict(X) @ weights[-2] + weights[-1], rtol=1e-12)


def test_a_frozen_network_stays_frozen_when_nested(capsys: Any) -> None:
    encoder, decoder, _ = coder("numpy")
    encoder.freeze("dense")
    x = dk.Input((6,))
    both = dk.Model(x, decoder(encoder(x)), backend="numpy", dtype="float64")
    both.compile("sgd", "mse")
    kept, moved = (both.get_layer("encoder").get_weights()[place].copy() for place in (0, 2))
    both.fit(X, X, verbose=0)
    assert_array_equal(both.get_layer("encoder").get_weights()[0], kept)
    assert np.abs(both.get_layer("encoder").get_weights()[2] - moved).max() > 0
    both.summary()
    assert "56 parameters (28 trainable, 28 frozen)" in capsys.readouterr().out


def test_weights_outlive_the_network_that_learned_them() -> None:
    encoder, _, both = coder("numpy")
    both.fit(X, X, verbose=0)
    learned = both.get_layer("encoder").get_weights()[0]
    del both
    gc.collect()
    assert_array_equal(encoder.get_weights()[0], learned)


def test_threads_using_related_networks_neither_deadlock_nor_lose_steps() -> None:
    encoder, decoder, both = coder("numpy")
    both.build(6)  # the first one built has the initial weights
    wrong: list[BaseException] = []

    def ask(net: dk.Model, x: Any) -> None:
        try:
            for _ in range(40):
                net.predict(x)
        except BaseException as error:  # reported by the test
            wrong.append(error)

    threads = [threading.Thread(target=ask, args=given, daemon=True) for given in ((encoder, X), (decoder, X[:, :2]))]
    for thread in threads:
        thread.start()
    both.fit(X, X, epochs=20, batch_size=8, verbose=0)
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()
    assert not wrong
    alone = coder("numpy")[2]
    alone.fit(X, X, epochs=20, batch_size=8, verbose=0)
    for one, other in zip(both.get_weights(), alone.get_weights(), strict=True):
        assert_array_equal(one, other)
