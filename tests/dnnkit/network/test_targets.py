"""Targets as users have them: each form trains, bit for bit, like the form that losses take."""

from dataclasses import dataclass

import numpy as np
import pytest

import dnnkit as dk
from dnnkit.backends import Backend
from dnnkit.errors import ConfigurationError, DataError, ShapeError

rng = np.random.default_rng(3)
X = rng.normal(size=(20, 4))
LABELS = rng.integers(0, 3, 20)
BINARY = rng.integers(0, 2, 20)
VALUES = rng.normal(size=20)


def network(loss: str, units: int) -> dk.Sequential:
    last = {"mean_squared_error": "linear", "binary_crossentropy": "sigmoid"}.get(loss, "softmax")
    net = dk.Sequential([dk.Dense(5, activation="tanh"), dk.Dense(units, activation=last)], seed=0)
    net.compile("adam", loss, ["accuracy"] if last != "linear" else [])
    return net


def traces(loss: str, units: int, y, **options) -> list[object]:
    """Return all results of each way of passing targets."""
    net = network(loss, units)
    history = net.fit(X, y, batch_size=8, epochs=2, validation_data=(X, y), verbose=0, **options)
    gradients = net.get_gradients(X, y)
    with_input = net.get_gradients(X, y, with_input=True)[1]["input"]
    return [
        history.history,
        dict(net.evaluate(X, y, batch_size=7)),
        gradients[0],
        *(array.tobytes() for array in gradients[1].values()),
        with_input.tobytes(),
        net.train_step(X, y),
        net.train_step(X, y, np.arange(20)),
        *(net.parameters[name].tobytes() for name in net.parameters),
    ]


KINDS = {
    "sparse_categorical_crossentropy": (
        3,
        LABELS,
        [
            LABELS[:, None],
            LABELS.astype(float),
            LABELS[:, None].astype(np.float32),
            LABELS.astype("uint64"),
            LABELS.astype(">i2"),
            LABELS[:, None].tolist(),
            LABELS[::-1].copy()[::-1],
        ],
    ),
    "binary_crossentropy": (
        1,
        BINARY[:, None].astype(np.float32),
        [BINARY, BINARY == 1, BINARY[:, None], BINARY.astype(np.int8), BINARY.tolist(), (BINARY == 1).tolist()],
    ),
    "mean_squared_error": (1, VALUES[:, None], [VALUES, VALUES.tolist(), VALUES[::-1].copy()[::-1]]),
}


@pytest.mark.parametrize("loss", KINDS)
def test_every_form_of_the_same_targets_trains_alike(backend: Backend, loss: str) -> None:
    units, usual, others = KINDS[loss]
    expected = traces(loss, units, usual)
    for other in others:
        assert traces(loss, units, other) == expected


def test_true_and_false_are_the_classes_1_and_0(backend: Backend) -> None:
    expected = traces("sparse_categorical_crossentropy", 2, BINARY)
    for other in (BINARY == 1, (BINARY == 1)[:, None], BINARY.astype(float)):
        assert traces("sparse_categorical_crossentropy", 2, other) == expected


@pytest.mark.parametrize("loss", ["sparse_categorical_crossentropy", "binary_crossentropy"])
def test_weights_of_classes_are_those_of_every_form(backend: Backend, loss: str) -> None:
    units, usual, others = KINDS[loss]
    expected = traces(loss, units, usual, class_weight={0: 2.0, 1: 0.5})
    assert expected != traces(loss, units, usual)
    for other in others[:3]:
        assert traces(loss, units, other, class_weight={0: 2.0, 1: 0.5}) == expected


def test_operations_take_the_same_labels() -> None:
    scores = np.eye(3)[LABELS] * 0.8 + 0.1
    for y in (LABELS, LABELS[:, None], LABELS * 1.0):
        assert dk.ops.categorical_accuracy(y, scores) == 1
        expected = dk.ops.sparse_categorical_crossentropy(LABELS, scores)
        assert dk.ops.sparse_categorical_crossentropy(y, scores) == expected
    with pytest.raises(DataError, match=r"y_true has 0\.5 in row 0"):
        dk.ops.categorical_accuracy([0.5, 1.0], scores[:2])


def test_confidence_of_a_vector_of_targets_is_that_of_a_column() -> None:
    iterations = []
    for y in (BINARY[:3], BINARY[:3, None]):
        net = network("binary_crossentropy", 1)
        iterations.append(dk.iterations_to_confidence(net, X[:3], y, confidence=0.6, limit=2000))
    assert iterations[0] == iterations[1]
    assert iterations[0] is not None


@dataclass(frozen=True)
class PolicyGradient(dk.losses.Loss):
    """-advantage log p(action); targets are rows (action, advantage)."""

    targets = "any"

    def loss_and_gradient(self, predictions, targets, weights, scale, xp):
        action, advantage = targets[:, 0, None], targets[:, 1, None]
        classes = xp.arange(predictions.shape[1], dtype=predictions.dtype)
        chosen = xp.astype(classes[None, :] == action, predictions.dtype)
        if weights is not None:
            advantage = advantage * weights[:, None]
        return -xp.sum(advantage * chosen * xp.log(predictions)), -advantage * chosen / predictions * scale


@dataclass(frozen=True)
class OfVolumes(dk.losses.Loss):
    """(y - sum of the targets)²; targets are whole numbers (N, 2, 3)."""

    targets = "any"

    def loss_and_gradient(self, predictions, targets, weights, scale, xp):
        assert targets.shape[1:] == (2, 3)
        assert xp.isdtype(targets.dtype, "integral")
        rows = xp.sum(xp.astype(xp.reshape(targets, (-1, 6)), predictions.dtype), axis=1)
        difference = predictions - rows[:, None]
        return xp.sum(difference**2), 2 * difference * scale


def action_of(y_true, y_pred):
    return y_true[:, 0]


@pytest.mark.parametrize("threads", [1, 2])
def test_a_custom_loss_takes_targets_of_any_shape(backend: Backend, threads: int) -> None:
    y = np.stack([LABELS, rng.normal(size=20)], axis=1)
    layers = [dk.Dense(6, activation="tanh"), dk.Dense(3, activation="softmax")]
    net = dk.Sequential(layers, seed=0, dtype="float64", num_threads=threads)
    net.compile(dk.SGD(0.1), PolicyGradient(), [action_of])
    net.build(4)

    def expected() -> float:
        return float(np.mean(-y[:, 1] * np.log(net.predict(X)[np.arange(20), LABELS])))

    for batch_size in (6, 20):
        result = net.evaluate(X, y, batch_size=batch_size)
        assert result["loss"] == pytest.approx(expected())
        assert result["action_of"] == pytest.approx(LABELS.mean())
    assert dk.check_gradients(net, X, y).passed
    before = expected()
    assert net.train_step(X, y) == pytest.approx(before)
    history = net.fit(X, y, batch_size=6, epochs=3, validation_data=(X, y), sample_weight=np.arange(20), verbose=0)
    assert history["val_loss"][-1] == pytest.approx(expected())
    assert history["val_loss"][-1] < before


def test_whole_numbers_of_any_shape_stay_whole_numbers(backend: Backend) -> None:
    y = rng.integers(0, 3, (20, 2, 3))
    net = dk.Sequential([dk.Dense(1)], seed=0, dtype="float64")
    net.compile("sgd", OfVolumes())
    net.fit(X, y, batch_size=8, epochs=2, validation_split=0.25, verbose=0)
    expected = np.mean((net.predict(X)[:, 0] - y.sum(axis=(1, 2))) ** 2)
    assert net.evaluate(X, y)["loss"] == pytest.approx(expected)
    assert dk.check_gradients(net, X, y).passed


def test_limits_of_targets_of_any_shape() -> None:
    net = dk.Sequential([dk.Dense(1)], seed=0)
    net.compile("sgd", OfVolumes())
    y = rng.integers(0, 3, (20, 2, 3))
    with pytest.raises(ConfigurationError, match=r"class_weight is given, but only your custom loss knows"):
        net.fit(X, y, class_weight={0: 1.0}, verbose=0)
    with pytest.raises(ShapeError, match="x has 20 samples but y has 19"):
        net.fit(X, y[1:], verbose=0)
    with pytest.raises(DataError, match="y has NaN"):
        net.fit(X, y * np.nan, verbose=0)
    net = dk.Sequential([dk.Dense(1)], seed=0)
    with pytest.raises(
        ConfigurationError, match="the metric 'accuracy' cannot interpret the targets of your custom loss"
    ):
        net.compile("sgd", OfVolumes(), ["accuracy"])


@pytest.mark.parametrize(
    ("loss", "good", "bad"),
    [("hinge", [-1, 1, 1], [0.5, 1, 1]), ("poisson", [0, 2, 5], [0, 2, -1]), ("gamma", [0.5, 2, 5], [0, 2, 5])],
)
def test_a_single_step_checks_the_range_of_targets_too(
    loss: str, good: list[float], bad: list[float], backend: Backend
) -> None:
    net = dk.Sequential([dk.Dense(1, activation="softplus")], seed=0, backend=backend)
    net.compile("sgd", loss)
    x = np.ones((3, 2), np.float32)
    for _ in range(3):
        net.train_step(x, np.array(good, np.float32)[:, None])
    before = net.get_weights()
    for wrong in (np.array(bad, np.float32)[:, None], np.array(bad)):
        for ask in (net.train_step, net.get_gradients):
            with pytest.raises(DataError, match="expects targets"):
                ask(x, wrong)
    for was, now in zip(before, net.get_weights(), strict=True):
        np.testing.assert_array_equal(was, now)
