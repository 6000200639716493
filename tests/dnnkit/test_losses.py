"""Losses by class: their values, smoothed targets, output weights, and targets that they do not accept."""

import warnings

import numpy as np
import pytest

import dnnkit as dk
from dnnkit.errors import ConfigurationError, DataError, TrainingWarning
from dnnkit.losses import (
    BinaryCrossentropy,
    BinaryFocalCrossentropy,
    CategoricalCrossentropy,
    CategoricalFocalCrossentropy,
    Gamma,
    Hinge,
    Huber,
    MeanSquaredError,
    Poisson,
    Quantile,
    SparseCategoricalCrossentropy,
)

RNG = np.random.default_rng(5)
X = RNG.normal(size=(60, 4))
LABELS = RNG.integers(0, 3, 60)


def trained(loss, y, last=None, backend=None, units=3) -> tuple[dk.Sequential, dk.History]:
    net = dk.Sequential([dk.Dense(6, activation="tanh"), dk.Dense(units, activation=last)], seed=2, dtype="float64")
    net.compile("adam", loss)
    return net, net.fit(X, y, batch_size=16, epochs=2, verbose=0)


@pytest.mark.parametrize(
    ("loss", "last", "y"),
    [
        (SparseCategoricalCrossentropy(label_smoothing=0.2), "softmax", LABELS),
        (CategoricalCrossentropy(label_smoothing=0.2), "softmax", np.eye(3)[LABELS]),
        (CategoricalCrossentropy(label_smoothing=0.2, from_logits=True), None, np.eye(3)[LABELS]),
        (CategoricalCrossentropy(label_smoothing=0.2, epsilon=1e-12), "softmax", np.eye(3)[LABELS]),
    ],
)
def test_smoothed_labels_are_targets_that_are_less_certain(backend, loss, last, y):
    smooth = np.eye(3)[LABELS] * 0.8 + 0.2 / 3
    wanted = trained(CategoricalCrossentropy(from_logits=loss.from_logits), smooth, last)[1]
    net, history = trained(loss, y, last)
    np.testing.assert_allclose(history["loss"], wanted["loss"], rtol=1e-9)
    assert dk.check_gradients(net, X, y).passed


def test_smoothed_answers_go_towards_a_half(backend):
    y = np.eye(3)[LABELS]
    for loss in (BinaryCrossentropy, BinaryFocalCrossentropy):
        wanted = trained(loss(), y * 0.9 + 0.05, "sigmoid")[1]
        smoothed = trained(loss(label_smoothing=0.1), y, "sigmoid")[1]
        np.testing.assert_allclose(smoothed["loss"], wanted["loss"], rtol=1e-9)


def test_metrics_see_targets_as_they_are():
    net = dk.Sequential([dk.Dense(3, activation="softmax")], seed=0)
    net.compile("sgd", CategoricalCrossentropy(label_smoothing=0.5), [lambda y_true, y_pred: np.max(y_true, axis=1)])
    assert list(net.fit(X, np.eye(3)[LABELS], epochs=1, verbose=0).history.values())[1] == [1.0]


def test_focal_losses_are_those_of_keras(backend):
    y, p = np.array([[1.0, 0.0], [0.0, 1.0]]), np.array([[0.9, 0.2], [0.4, 0.7]])
    wrong = np.where(y == 1, 1 - p, p)
    entropy = -np.log1p(-wrong)
    focal = wrong**1.5 * entropy
    assert float(dk.ops.binary_focal_crossentropy(y, p, gamma=1.5)) == pytest.approx(focal.mean())
    balanced = float(dk.ops.binary_focal_crossentropy(y, p, gamma=1.5, apply_class_balancing=True, alpha=0.3))
    assert balanced == pytest.approx((focal * np.where(y == 1, 0.3, 0.7)).mean())
    logits = np.log(p / (1 - p))
    assert float(dk.ops.binary_focal_crossentropy(y, logits, from_logits=True)) == pytest.approx(
        (wrong**2 * entropy).mean()
    )
    of_classes = float(dk.ops.categorical_focal_crossentropy(y, p, alpha=0.5, gamma=1.0))
    assert of_classes == pytest.approx((0.5 * y * (1 - p) * -np.log(p)).sum() / 2)


@pytest.mark.filterwarnings("ignore:constant inputs:dnnkit.errors.TrainingWarning")
def test_several_quantiles_are_learned_at_once(backend):
    spread = np.repeat(RNG.exponential(size=(400, 1)), 3, axis=1)
    net = dk.Sequential([dk.Dense(3, kernel_initializer="zeros")], seed=0, dtype="float64")
    net.compile(dk.Adam(0.05), Quantile([0.1, 0.5, 0.9]))
    net.fit(RNG.normal(0, 0.1, (400, 1)), spread, epochs=60, batch_size=100, verbose=0)
    np.testing.assert_allclose(net.predict([[0.0]])[0], np.quantile(spread[:, 0], [0.1, 0.5, 0.9]), atol=0.15)


def test_hinge_takes_0_and_1_and_minus_1_and_1(backend):
    y = np.eye(3)[LABELS]
    wanted = trained(Hinge(), 2 * y - 1)[1]
    assert trained(Hinge(), y)[1]["loss"] == wanted["loss"]
    assert trained(Hinge(), y.astype(bool))[1]["loss"] == wanted["loss"]
    assert trained("squared_hinge", y.astype(np.int8))[1]["loss"][0] > 0
    net = trained(Hinge(), y)[0]
    for alone in (0.0, 1.0, -1.0):  # all rows of a batch may be of one class
        assert net.train_step(X[:4], np.full((4, 3), alone)) > 0
    net.compile("sgd", Hinge(), ["accuracy", "binary_accuracy"])
    right = np.mean((net.predict(X) > 0) == (y > 0))
    assert net.evaluate(X, 2 * y - 1)["binary_accuracy"] == pytest.approx(right)


@pytest.mark.parametrize(
    ("loss", "targets", "message"),
    [
        ("hinge", [0.0, 0.5, 1.0], "goes from 0 to 1: a hinge loss expects targets 0 and 1, or -1 and 1"),
        ("hinge", [-1.0, 0.0, 1.0], "a hinge loss expects targets 0 and 1, or -1 and 1"),
        ("squared_hinge", [1.0, 2.0, 0.0], "goes from 0 to 2: a hinge loss expects"),
        (Poisson(), [1.0, -2.0, 0.0], "goes from -2 to 1: the loss expects targets of 0 or more"),
        (Gamma(), [1.0, 2.0, 0.0], "goes from 0 to 2: the loss expects targets above 0"),
        ("kl_divergence", [0.5, 0.6, -0.1], "the loss expects targets of 0 or more"),
        ("binary_focal_crossentropy", [0.5, 0.6, 1.1], r"expects targets in \[0, 1\]"),
    ],
)
def test_targets_that_a_loss_is_not_made_for_are_one_error(loss, targets, message):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TrainingWarning)
        with pytest.raises(DataError, match=message):
            trained(loss, np.tile(targets, (60, 1)))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Huber(0), r"Huber\(delta=0\): expected a finite number above 0"),
        (lambda: Huber(float("nan")), r"Huber\(delta=nan\)"),
        (lambda: Quantile(1), r"Quantile\(quantile=1\): expected a number between 0 and 1, or one per output"),
        (lambda: Quantile([0.5, 1.0]), "expected a number between 0 and 1"),
        (lambda: Quantile([]), "expected a number between 0 and 1"),
        (lambda: Quantile("0.5"), "expected a number between 0 and 1"),
        (
            lambda: MeanSquaredError(output_weights=[1, -1]),
            "expected one number per output, 0 or more and not all 0",
        ),
        (lambda: MeanSquaredError(output_weights=2.0), "expected one number per output"),
        (lambda: BinaryCrossentropy(label_smoothing=1), r"label_smoothing=1\): expected .* below 1"),
        (lambda: CategoricalFocalCrossentropy(from_logits=True), "End the network with activation='softmax'"),
        (lambda: BinaryFocalCrossentropy(gamma=-1), r"gamma=-1\): expected"),
    ],
)
def test_numbers_that_cannot_be_are_one_error(make, message):
    with pytest.raises(ConfigurationError, match=message):
        make()


def test_numpy_arrays_are_lists_of_numbers():
    assert Quantile(np.array([0.25, 0.75])) == Quantile([0.25, 0.75])
    assert Quantile(np.float32(0.5)) == Quantile(0.5)
    assert MeanSquaredError(output_weights=np.array([1, 2])) == MeanSquaredError(output_weights=(1, 2))


def test_parameters_for_another_number_of_outputs_are_an_error():
    with pytest.raises(ConfigurationError, match=r"numbers for 2 outputs .* the network's last layer has 3"):
        trained(Quantile([0.1, 0.9]), X[:, :3])


def test_losses_with_their_numbers_are_saved(tmp_path):
    y = np.abs(X[:, :3])
    for loss in (Quantile([0.1, 0.5, 0.9], output_weights=[1, 2, 1]), Huber(0.3), BinaryFocalCrossentropy(gamma=1.0)):
        net, _ = trained(loss, y / y.max(), "sigmoid")
        net.save(tmp_path)
        again = dk.load(tmp_path)
        assert again.loss == loss
        losses = [each.fit(X, y / y.max(), epochs=1, verbose=0)["loss"] for each in (again, net)]
        assert losses[0] == losses[1]


def test_an_output_that_does_not_suit_the_loss_is_warned_of():
    def compiled(loss, last):
        dk.Sequential([dk.Dense(3, activation=last)], seed=0).compile("sgd", loss)

    with pytest.warns(TrainingWarning, match="'linear' may output numbers below 0, for which the loss Poisson is"):
        compiled("poisson", None)
    with pytest.warns(
        TrainingWarning, match=r"Hinge expects logits and would apply it a second time: leave out the act"
    ):
        compiled("hinge", "sigmoid")
    with pytest.warns(TrainingWarning, match="KLDivergence expects probabilities and is wrong for others.*'softmax'"):
        compiled("kl_divergence", None)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for loss, last in [("gamma", "softplus"), ("hinge", "tanh"), ("kl_divergence", "softmax"), ("huber", None)]:
            compiled(loss, last)
