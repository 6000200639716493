"""The results of evaluate, and the related calls, as programs for Keras use them."""

import pickle

import numpy as np
import pytest

import dnnkit as dk
from dnnkit.backends import Backend
from dnnkit.errors import ConfigurationError, UnknownName
from dnnkit.network.evaluation import Evaluation

rng = np.random.default_rng(8)
X, Y = rng.normal(size=(40, 4)), rng.integers(0, 3, 40)


def network(metrics=("accuracy",)) -> dk.Sequential:
    net = dk.Sequential([dk.Dense(5, activation="tanh"), dk.Dense(3, activation="softmax")], seed=0)
    net.compile("adam", "sparse_categorical_crossentropy", list(metrics))
    return net


def test_it_is_values_in_order_and_a_mapping_by_name() -> None:
    found = Evaluation({"loss": 0.25, "accuracy": 0.5})
    loss, accuracy = found
    assert (loss, accuracy, len(found)) == (0.25, 0.5, 2)
    assert found["loss"] == found[0] == found.get("loss") == 0.25
    assert found[-1] == found["accuracy"] == 0.5
    assert found.get("auc", 7) == 7
    assert dict(found) == {**found} == {"loss": 0.25, "accuracy": 0.5} == found
    assert found == Evaluation(dict(found)) == [0.25, 0.5]
    assert found != {"loss": 0.25}
    assert found != "loss"
    assert list(found.items()) == [("loss", 0.25), ("accuracy", 0.5)]
    assert (*found.keys(), *found.values()) == ("loss", "accuracy", 0.25, 0.5)
    assert "loss" in found
    assert 0.25 not in found
    assert repr(found) == "Evaluation(loss=0.25, accuracy=0.5)"
    assert pickle.loads(pickle.dumps(found)) == found
    with pytest.raises(UnknownName, match=r"'acuracy': did you mean 'accuracy'\? expected one of loss, accuracy"):
        found["acuracy"]
    with pytest.raises(IndexError):
        found[2]
    with pytest.raises(TypeError, match="is 2 numbers, not one"):
        float(found)


def test_a_loss_alone_is_the_number_that_it_is() -> None:
    found = Evaluation({"loss": 0.25})
    assert f"{found:.3f}" == "0.250"
    assert f"{found}" == "Evaluation(loss=0.25)"
    assert float(found) == 0.25
    assert found < 0.3
    assert found <= 0.25
    assert found > 0.2
    assert found >= 0.25


def test_evaluate_by_order_by_name_and_as_a_dictionary(backend: Backend, capsys: pytest.CaptureFixture[str]) -> None:
    net = network()
    loss, accuracy = net.evaluate(X, Y)
    by_name = net.evaluate(X, Y, 7, 0, return_dict=True)
    assert type(by_name) is dict
    assert by_name == {"loss": pytest.approx(loss), "accuracy": accuracy}
    assert accuracy == np.mean(net.predict(X).argmax(axis=1) == Y)
    assert capsys.readouterr().out == ""
    for verbose in (1, 2, "auto"):
        net.evaluate(X, Y, verbose=verbose)
        assert capsys.readouterr().out == f"40 samples  loss {loss:.4f}  accuracy {accuracy:.4f}\n"
    with pytest.raises(ConfigurationError, match="verbose is 3"):
        net.evaluate(X, Y, verbose=3)
    with pytest.raises(ConfigurationError, match="batch_size is 0"):
        net.evaluate(X, Y, 0)


def test_predict_by_call_and_with_a_word(backend: Backend, capsys: pytest.CaptureFixture[str]) -> None:
    net = network()
    expected = net.predict(X)
    np.testing.assert_array_equal(net(X), expected)
    np.testing.assert_array_equal(net(X, training=False), expected)
    np.testing.assert_array_equal(net.predict(X, 40, 1), expected)
    np.testing.assert_array_equal(net.predict(X, batch_size=None, verbose=0), expected)
    assert capsys.readouterr().out == "40 samples predicted\n"
    with pytest.raises(ConfigurationError, match=r"training=True.* would apply dropout"):
        net(X, training=True)


def test_a_training_batch_returns_the_measures_before_the_update(backend: Backend) -> None:
    net, twin = network(), network()
    for _ in range(3):
        before = net.evaluate(X, Y)
        assert net.train_on_batch(X, Y) == pytest.approx(list(before))
        assert twin.train_step(X, Y) == pytest.approx(before["loss"])
    assert all(np.array_equal(*pair) for pair in zip(net.get_weights(), twin.get_weights(), strict=True))
    assert net.test_on_batch(X, Y) == net.evaluate(X, Y)
    weights = np.where(Y == 1, 3.0, 1.0)
    expected = net.evaluate(X, Y, sample_weight=weights, return_dict=True)
    assert net.train_on_batch(X, Y, class_weight={1: 3}, return_dict=True) == pytest.approx(expected)
    alone = network(metrics=())
    assert type(alone.test_on_batch(X, Y)) is type(alone.train_on_batch(X, Y)) is float


def test_fit_takes_its_arguments_in_the_order_of_keras(backend: Backend) -> None:
    named, by_order = network(), network()
    expected = named.fit(X, Y, batch_size=16, epochs=2, verbose=0, validation_split=0.25, shuffle=False).history
    assert by_order.fit(X, Y, 16, 2, 0, None, 0.25, None, False).history == expected
    assert network().fit(X, Y, None, verbose=0).history == network().fit(X, Y, verbose=0).history


@pytest.mark.parametrize(("frequency", "validated"), [(1, [0, 1, 2, 3]), (2, [1, 3]), ([1, 4], [0, 3]), (9, [])])
def test_validation_now_and_then(backend: Backend, frequency, validated) -> None:
    seen = []

    class Listen(dk.Callback):
        def on_epoch_end(self, epoch, logs):
            if "val_loss" in logs:
                seen.append(epoch)

    history = network().fit(
        X, Y, epochs=4, validation_data=(X, Y), validation_freq=frequency, callbacks=[Listen()], verbose=0
    )
    assert seen == validated
    if validated:
        assert np.flatnonzero(np.isfinite(history["val_loss"])).tolist() == validated
    assert network().fit(X, Y, epochs=4, validation_data=(X, Y), verbose=0)["loss"] == history["loss"]


def test_frequencies_that_there_are_not() -> None:
    for given in (0, "two", [0], 1.5):
        with pytest.raises(ConfigurationError, match="validation_freq"):
            network().fit(X, Y, validation_data=(X, Y), validation_freq=given)


def test_compile_names_missing_arguments() -> None:
    with pytest.raises(ConfigurationError, match="compile got metrics but no loss"):
        network().compile("adam", metrics=["accuracy"])
