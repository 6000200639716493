"""Data and losses that look wrong are reported once, with the cure; correct ones not at all."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import dnnkit as dk
from dnnkit.diagnosis.checks import CHECKS, Check
from dnnkit.diagnosis.course import FACTORS
from dnnkit.errors import ConfigurationError, TrainingWarning

RNG = np.random.default_rng(7)
X = RNG.normal(size=(240, 6))
LABELS = (X @ RNG.normal(size=(6, 3))).argmax(axis=1)
VALUES = X @ RNG.normal(size=(6, 1))
CLASSES, REGRESSION = "sparse_categorical_crossentropy", "mean_squared_error"
STILL = dk.SGD(1e-12)
"""For faults of the data alone: the loss does not change."""
IMAGES = RNG.integers(0, 256, (240, 4, 5), dtype=np.uint8)


def said(layers: Any, loss: str, x: Any, y: Any, *, optimizer: Any = "sgd", metrics: Any = (), **how: Any) -> list[str]:
    """Return the warnings of a fit of a new network."""
    net = dk.Sequential(layers, seed=0, backend=how.pop("backend", "numpy"))
    net.compile(optimizer, loss, metrics)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        net.fit(x, y, verbose=0, **how)
    assert all(w.category is TrainingWarning and w.filename == __file__ for w in caught)
    return [str(w.message) for w in caught]


def dense(units: int, activation: str | None = None) -> list[dk.Layer]:
    return [dk.Dense(8, activation="relu"), dk.Dense(units, activation=activation)]


CLASSIFIER, REGRESSOR = dense(3, "softmax"), dense(1)
BAD: dict[str, tuple[Any, ...]] = {
    "images from 0 to 255": (
        [dk.Flatten(), *CLASSIFIER], CLASSES, IMAGES, LABELS, ["unscaled inputs", "0 to 255", r"dk.Rescaling(1 / 255)"],
    ),
    "images scaled to 0 to 1 twice": (
        [dk.Rescaling(1 / 255), dk.Flatten(), *CLASSIFIER], CLASSES, IMAGES / 255, LABELS,
        ["unscaled inputs", "scaled twice"],
    ),
    "a table as it comes": (
        REGRESSOR, REGRESSION, X * [1, 1, 1, 1, 1, 50_000], VALUES, ["unscaled inputs", "x.std(axis=0)"],
    ),
    "one column much smaller than the others": (
        REGRESSOR, REGRESSION, X * [1, 1, 1e-4, 1, 1, 1], VALUES, ["unscaled inputs", "column 2 9"],
    ),
    "every row the same": (REGRESSOR, REGRESSION, np.ones((240, 6)), VALUES, ["constant inputs", "all 240 rows"]),
    "most columns the same": (
        REGRESSOR, REGRESSION, X * [1, 0, 0, 0, 0, 1], VALUES, ["constant inputs", "4 of the 6 columns"],
    ),
    "labels from 1": (dense(4, "softmax"), CLASSES, X, LABELS + 1, ["labels that never occur", "class 0,", "0 to 2"]),
    "one-hot rows without a class": (
        dense(4, "softmax"), "categorical_crossentropy", X, np.eye(4)[LABELS],
        ["labels that never occur", "class 3,", "columns of y"],
    ),
    "one answer only": (
        dense(1, "sigmoid"), "binary_crossentropy", X, np.zeros((240, 1)), ["labels that never occur", "is 0 for all"],
    ),
    "a sigmoid for large numbers": (
        dense(1, "sigmoid"), REGRESSION, X, 255 * abs(VALUES), ["targets out of reach", "'sigmoid'", "0 to 1"],
    ),
    "a relu for negative numbers": (dense(1, "relu"), REGRESSION, X, VALUES, ["targets out of reach", "at least 0"]),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_faults_of_the_data_are_reported_with_the_cure(case: str) -> None:
    layers, loss, x, y, (name, *words) = BAD[case]
    (message,) = said(layers, loss, x, y, optimizer=STILL)
    assert message.startswith(f"{name}: ")
    assert all(word in message for word in words), message


def test_a_class_that_was_held_out_is_missed() -> None:
    order = np.argsort(LABELS)
    (message,) = said(CLASSIFIER, CLASSES, X[order], LABELS[order], validation_split=(LABELS == 2).mean() + 0.01)
    assert message.startswith("labels that never occur")
    assert "shuffle" in message


def test_accuracy_of_values() -> None:
    (message,) = said(dense(2), REGRESSION, X, np.hstack([VALUES, -VALUES]), metrics=["accuracy"])
    assert message.startswith("accuracy of values: 'accuracy'")


def test_every_backend_sees_the_same(backend: Any) -> None:
    x, y = backend.asarray(X * 300), backend.asarray(LABELS)
    (message,) = said(CLASSIFIER, CLASSES, x, y, backend=backend.name)
    assert message.startswith("unscaled inputs: ")
    (message,) = said(dense(4, "softmax"), "categorical_crossentropy", X, np.eye(4)[LABELS], backend=backend.name)
    assert message.startswith("labels that never occur: ")


def test_each_warning_is_given_once_per_network_and_data_by_fit_only() -> None:
    net = dk.Sequential(CLASSIFIER, seed=0, backend="numpy")
    net.compile("sgd", CLASSES)
    net.train_step(X * 300, LABELS)  # a warning would be an error here
    with pytest.warns(TrainingWarning, match="^unscaled inputs"):
        net.fit(X * 300, LABELS, verbose=0)
    net.fit(X * 300, LABELS, verbose=0)
    net.fit(X, LABELS, verbose=0)
    with pytest.warns(TrainingWarning, match="^unscaled inputs"):
        net.fit(X * 400, LABELS, verbose=0)


def test_a_filter_of_its_name_silences_one() -> None:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "unscaled inputs", TrainingWarning)
        net = dk.Sequential(CLASSIFIER, seed=0, backend="numpy")
        net.compile("sgd", CLASSES)
        net.fit(X * 300, LABELS, verbose=0)


def test_where_a_warning_is_an_error_nothing_was_trained() -> None:
    net = dk.Sequential(CLASSIFIER, seed=0, backend="numpy")
    net.compile("sgd", CLASSES)
    for _ in range(2):
        with pytest.raises(TrainingWarning, match="unscaled"):
            net.fit(X * 300, LABELS, verbose=0)
    assert net.executable.state.step == 0
    assert np.isfinite(net.fit(X, LABELS, verbose=0)["loss"]).all()


# -- no false alarms -------------------------------------------------------------------------------------------------


def test_images_with_a_border_that_is_always_0_are_fine() -> None:
    images = np.zeros((300, 28, 28), np.uint8)
    images[:, 7:21, 8:20] = RNG.integers(0, 256, (300, 14, 12)) * (RNG.random((300, 14, 12)) < 0.5)
    images[3, 0, 0] = 1  # a pixel that is almost always 0
    labels = np.arange(300) % 10
    assert (images.reshape(300, -1).std(axis=0) == 0).mean() > 0.5
    images[:, ::2, :] += RNG.integers(0, 2, (300, 14, 28), dtype=np.uint8) * (RNG.random((300, 14, 28)) < 0.01)
    layers = [dk.Rescaling(1 / 255), dk.Flatten(), dk.Dense(8, activation="relu"), dk.Dense(10, activation="softmax")]
    assert said(layers, CLASSES, images, labels) == []


@st.composite
def sound(draw: Any) -> tuple[Any, ...]:
    """Draw data that are scaled, with targets in reach, few or many of each; and a network for them."""
    rng = np.random.default_rng(draw(st.integers(0, 10**6)))
    rows, columns = draw(st.integers(1, 300)), draw(st.integers(2, 30))
    kind = draw(st.sampled_from(["normal", "0 to 1", "sparse", "one-hot", "bytes", "shifted"]))
    x = {
        "normal": lambda: rng.normal(size=(rows, columns)) * rng.uniform(0.5, 2, columns),
        "0 to 1": lambda: rng.random((rows, columns)).astype(np.float32),
        "sparse": lambda: rng.normal(size=(rows, columns)) * (rng.random((rows, columns)) < 0.3),
        "one-hot": lambda: np.eye(columns)[rng.integers(0, columns, rows)],
        "bytes": lambda: rng.integers(0, 256, (rows, columns), dtype=np.uint8),
        "shifted": lambda: rng.normal(size=(rows, columns)) + rng.normal(size=columns),
    }[kind]()
    first = [dk.Rescaling(1 / 255)] if kind == "bytes" else []
    classes = draw(st.integers(2, 6))
    labels = np.append(rng.integers(0, classes, rows), np.arange(classes))[-rows:]
    loss, last, y = {
        "classes": (CLASSES, dk.Dense(classes, activation="softmax"), labels),
        "rows": ("categorical_crossentropy", dk.Dense(classes, activation="softmax"), np.eye(classes)[labels]),
        "yes or no": ("binary_crossentropy", dk.Dense(1, activation="sigmoid"), (np.arange(rows) % 2)[:, None]),
        "values": (REGRESSION, dk.Dense(2), rng.normal(size=(rows, 2))),
        "tanh": (REGRESSION, dk.Dense(2, activation="tanh"), rng.uniform(-1, 1, (rows, 2))),
        "shares": (REGRESSION, dk.Dense(1, activation="sigmoid"), rng.random((rows, 1))),
        "counts": (REGRESSION, dk.Dense(1, activation="relu"), rng.poisson(3, (rows, 1))),
    }[draw(st.sampled_from(["classes", "rows", "yes or no", "values", "tanh", "shares", "counts"]))]
    hidden = dk.Dense(4, activation=draw(st.sampled_from(["relu", "tanh", "gelu"])))
    return [*first, hidden, last], loss, x, y


@settings(max_examples=60)
@given(sound(), st.sampled_from(["sgd", "adam"]))
def test_sound_data_give_no_warning(case: Any, optimizer: str) -> None:
    assert said(*case, optimizer=optimizer, epochs=3) == []


# -- the course of the loss -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("rate", "epochs"), [(10.0, 1), (10.0, 3)])
def test_a_loss_that_grows_from_the_start_names_a_better_rate(rate: float, epochs: int) -> None:
    (message,) = said(CLASSIFIER, CLASSES, X, LABELS, optimizer=dk.SGD(rate), epochs=epochs, batch_size=16)
    assert message.startswith("growing loss: the loss goes from 1.")
    lower = float(message.rpartition(" ")[2])
    assert any(lower == pytest.approx(rate * factor, rel=0.01) for factor in FACTORS[1:])
    assert said(CLASSIFIER, CLASSES, X, LABELS, optimizer=dk.SGD(lower), epochs=3, batch_size=16) == []


def test_growth_from_epoch_to_epoch_is_reported_once() -> None:
    net = dk.Sequential([dk.Dense(1)], seed=0, backend="numpy")
    net.compile(dk.SGD(1.2), REGRESSION)
    with pytest.warns(TrainingWarning, match=r"^growing loss: .* in epoch 2") as caught:
        net.fit(X, VALUES, epochs=8, batch_size=240, verbose=0)
    assert len(caught) == 1


def test_growth_after_resuming_is_not_growth_from_the_start(tmp_path: Path) -> None:
    def rate(epoch: int) -> float:
        return 0.1 if epoch < 4 else 1.5

    for epochs in (3, 8):
        net = dk.Sequential([dk.Dense(1)], seed=0, backend="numpy")
        net.compile(dk.SGD(0.1), REGRESSION)
        schedule = dk.callbacks.LearningRateScheduler(rate)
        history = net.fit(X, VALUES, epochs=epochs, batch_size=240, callbacks=schedule, checkpoint=tmp_path, verbose=0)
    assert history["loss"][5] > 2 * history["loss"][3]


def test_a_nan_loss_also_suggests_a_rate(backend: Any) -> None:
    (message,) = said(REGRESSOR, REGRESSION, X, VALUES, optimizer=dk.SGD(1e12), epochs=3, backend=backend.name)
    assert message.startswith("lost parameters: the loss has been NaN since epoch 1, step ")
    assert message.endswith("no better: check x and y")
    (message,) = said(REGRESSOR, REGRESSION, X, VALUES, optimizer=dk.SGD(30.0), batch_size=4, backend=backend.name)
    assert "the loss falls with " in message


def test_a_loss_that_begins_high_and_falls_is_fine() -> None:
    assert said(REGRESSOR, REGRESSION, X, VALUES + 30, optimizer=dk.SGD(0.01), epochs=3, batch_size=32) == []


# -- the mechanism ----------------------------------------------------------------------------------------------------


def test_a_custom_check_is_one_function() -> None:
    def too_few(look: Any) -> Any:
        """Fewer samples than inputs."""
        if look.samples < look.x.shape[1]:
            yield f"{look.samples} samples of {look.x.shape[1]} numbers"

    dk.register("warning", "too few", Check("too few", "fit", too_few))
    try:
        assert said(REGRESSOR, REGRESSION, X[:5], VALUES[:5]) == ["too few: 5 samples of 6 numbers"]
        assert CHECKS["too few"].about == "Fewer samples than inputs."
    finally:
        del CHECKS._things["too few"]
    with pytest.raises(ConfigurationError, match=r"expected a dnnkit\.diagnosis\.checks\.Check"):
        dk.register("warning", "another", too_few)
