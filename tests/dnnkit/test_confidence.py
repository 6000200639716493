"""The number of updates until a network is confident, on every backend."""

import numpy as np
import pytest

import dnnkit as dk
from dnnkit import iterations_to_confidence
from dnnkit.backends import Backend
from dnnkit.errors import ConfigurationError, NotReady, ShapeError

X = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
AND = np.array([[0.0], [0.0], [0.0], [1.0]])
CLASSES = np.array([0, 1, 1, 2])


def gate(backend: Backend | str | None = None, rate: float = 5.0) -> dk.Sequential:
    """One neuron."""
    net = dk.Sequential([dk.Dense(1, activation="sigmoid")], seed=3, dtype="float64", backend=backend)
    net.compile(dk.SGD(rate), "binary_crossentropy")
    net.build(2)
    return net


def classifier(backend: Backend | str | None = None, loss: str = "sparse_categorical_crossentropy") -> dk.Sequential:
    layers = [dk.Dense(8, activation="tanh"), dk.Dense(3, activation="softmax")]
    net = dk.Sequential(layers, seed=3, dtype="float64", backend=backend)
    net.compile(dk.Adam(0.1), loss)
    net.build(2)
    return net


def surest_doubt(net: dk.Sequential, targets: np.ndarray) -> float:
    """Return the distance of the worst prediction from its target."""
    return float(np.abs(net.predict(X) - targets).max())


def test_it_is_the_first_update_with_every_prediction_confident(backend: Backend):
    net, again = gate(backend), gate(backend)
    iterations = iterations_to_confidence(net, X, AND)
    assert iterations > 10
    assert surest_doubt(net, AND) <= 0.05
    assert net.executable.state.step == iterations
    for _ in range(iterations - 1):
        again.train_step(X, AND)
    assert surest_doubt(again, AND) > 0.05
    again.train_step(X, AND)
    for name, value in net.parameters.items():  # it keeps what it learned, and learned nothing else
        np.testing.assert_allclose(again.parameters[name], value, rtol=1e-12)


def test_with_classes_the_true_one_has_to_be_confident(backend: Backend):
    net, again = classifier(backend), classifier(backend)
    iterations = iterations_to_confidence(net, X, CLASSES, confidence=0.9)
    assert net.predict(X)[np.arange(4), CLASSES].min() >= 0.9
    for _ in range(iterations - 1):
        again.train_step(X, CLASSES)
    assert again.predict(X)[np.arange(4), CLASSES].min() < 0.9


def test_every_backend_needs_as_many(backend: Backend):
    assert iterations_to_confidence(gate(backend), X, AND) == iterations_to_confidence(gate("numpy"), X, AND)
    assert iterations_to_confidence(classifier(backend), X, CLASSES) == iterations_to_confidence(
        classifier("numpy"), X, CLASSES
    )


def test_one_hot_rows_are_targets_to_be_within_reach_of():
    rows = np.eye(3)[CLASSES]
    net = classifier(loss="categorical_crossentropy")
    iterations = iterations_to_confidence(net, X, rows)
    assert np.abs(net.predict(X) - rows).max() <= 0.05
    assert iterations == iterations_to_confidence(classifier(), X, CLASSES)  # p of the true class is the furthest off


def test_lists_are_accepted():
    assert iterations_to_confidence(gate(), X.tolist(), AND.tolist()) == iterations_to_confidence(gate(), X, AND)
    net = classifier()
    assert iterations_to_confidence(net, X.tolist(), CLASSES.tolist()) == net.executable.state.step


def test_more_confidence_takes_longer_and_continues_from_less():
    levels = (0.6, 0.9, 0.95, 0.99)
    alone = [iterations_to_confidence(gate(), X, AND, confidence=level) for level in levels]
    assert alone == sorted(set(alone))
    net = gate()
    one_after_the_other = [iterations_to_confidence(net, X, AND, confidence=level) for level in levels]
    assert np.cumsum(one_after_the_other).tolist() == alone


def test_a_network_that_is_sure_is_not_trained(backend: Backend):
    net = gate(backend)
    net.set_parameters({"dense/kernel": [[20.0], [20.0]], "dense/bias": [-30.0]})
    before = net.executable.snapshot()
    assert iterations_to_confidence(net, X, AND) == 0
    np.testing.assert_equal(dict(net.parameters), dict(before.parameters))
    assert net.executable.state.step == 0


def test_the_limit_is_the_most_updates_that_are_made():
    needed = iterations_to_confidence(gate(), X, AND)
    assert iterations_to_confidence(gate(), X, AND, limit=needed) == needed
    net = gate()
    assert iterations_to_confidence(net, X, AND, limit=needed - 1) is None
    assert net.executable.state.step == needed - 1
    assert iterations_to_confidence(net, X, AND) == 1


def test_an_unlearnable_task_never_reaches_confidence():
    xor = np.array([[0.0], [1.0], [1.0], [0.0]])
    assert iterations_to_confidence(gate(), X, xor, limit=200) is None


@pytest.mark.parametrize("confidence", [0, 1, 0.0, 1.0, -0.5, 95, float("nan")])
def test_a_confidence_that_is_none_is_an_error(confidence):
    net = gate()
    with pytest.raises(ConfigurationError, match=r"confidence is .*: expected more than 0 and less than 1"):
        iterations_to_confidence(net, X, AND, confidence=confidence)
    assert net.executable.state.step == 0


@pytest.mark.parametrize("limit", [0, -1, 1.5, None, True])
def test_a_limit_that_is_none_is_an_error(limit):
    with pytest.raises(ConfigurationError, match=r"limit is .*: expected a whole number"):
        iterations_to_confidence(gate(), X, AND, limit=limit)


def test_a_network_without_a_loss_cannot_be_trained():
    net = dk.Sequential([dk.Dense(1, activation="sigmoid")], seed=0)
    with pytest.raises(NotReady, match="call compile"):
        iterations_to_confidence(net, X, AND)


def test_targets_that_do_not_fit_are_an_error():
    with pytest.raises(ShapeError, match="x has 4 samples but y has 3"):
        iterations_to_confidence(classifier(), X, CLASSES[:3])


@pytest.mark.parametrize(
    ("make", "y"),
    [
        (gate, [[0, 1], [0, 1], [0, 1], [1, 0]]),
        (classifier, [5, 0, 1, 2]),
        (classifier, [[0, 1], [1, 0], [1, 0], [0, 1]]),
    ],
    ids=["two outputs for one", "a class that there is not", "rows of classes"],
)
def test_targets_of_another_kind_are_an_error_in_words(make, y):
    with pytest.raises(dk.DnnkitError, match="expected"):
        iterations_to_confidence(make(), X, np.array(y), confidence=0.001)
