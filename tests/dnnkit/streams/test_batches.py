"""Batches from an iterator are trained on as they come, and a bad one is reported with its number."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import dnnkit as dk
from dnnkit.backends import Backend
from dnnkit.errors import ConfigurationError, DataError, DnnkitError, ShapeError
from tests.dnnkit.streams.files import BATCH, CLASSES, FEATURES, ROWS, bits, data, network
from tests.dnnkit.streams.test_streams import PressCtrlCAt

STEPS = -(-ROWS // BATCH)


def slices(count: int = 1 << 30, *, reuses: bool = False) -> Iterator[tuple[Any, Any]]:
    """Yield batches of the data, in order, repeatedly; in one reused array, if requested."""
    x, y = data()
    own = np.empty((BATCH, FEATURES), np.float32)
    for number in range(count):
        at = number % STEPS * BATCH
        batch = x[at : at + BATCH]
        if reuses:
            own[: len(batch)] = batch
            batch = own[: len(batch)]
        yield batch, y[at : at + BATCH]


class Again:
    """The same batches, from the beginning each time."""

    def __len__(self) -> int:
        return STEPS

    def __iter__(self) -> Iterator[tuple[Any, Any]]:
        return slices(STEPS)


@pytest.mark.parametrize("way", ["generator", "reused array", "again"])
def test_batches_train_as_the_array_that_they_are_of(backend: Backend, way: str) -> None:
    expected, net = network(backend), network(backend)
    in_memory = expected.fit(*data(), batch_size=BATCH, epochs=2, shuffle=False, verbose=0)
    given: Any = Again() if way == "again" else slices(reuses=way == "reused array")
    steps = None if way == "again" else STEPS
    history = net.fit(given, steps_per_epoch=steps, epochs=2, verbose=0, validation_data=Again())
    assert bits(net) == bits(expected)
    assert history["accuracy"] == in_memory["accuracy"]
    assert dict(net.evaluate(Again())) == pytest.approx(dict(net.evaluate(*data())), rel=1e-6)
    np.testing.assert_array_equal(
        net.predict(x for x, _ in slices(STEPS)),
        np.concatenate([net.predict(x) for x, _ in slices(STEPS)]),
    )


@pytest.mark.parametrize("is_once", [True, False])
def test_a_fit_resumes_where_the_batches_were(tmp_path: Path, is_once: bool) -> None:
    def given() -> Any:
        return slices() if is_once else Again()

    options: dict[str, Any] = {"steps_per_epoch": STEPS, "epochs": 3, "verbose": 0}
    whole, net, later = network("numpy"), network("numpy"), network("numpy")
    expected = whole.fit(given(), **options)
    with pytest.raises(KeyboardInterrupt):
        net.fit(given(), checkpoint=tmp_path, callbacks=PressCtrlCAt(STEPS + 9), **options)
    history = later.fit(given(), checkpoint=tmp_path, **options)
    assert bits(later) == bits(whole)
    assert history.history == expected.history


def test_no_more_batches_are_drawn_than_are_trained_on() -> None:
    given = slices()
    net, expected = network("numpy"), network("numpy")
    expected.fit(slices(), steps_per_epoch=STEPS, steps=9, verbose=0)
    for steps in (4, 5):
        net.fit(given, steps_per_epoch=STEPS, steps=steps, verbose=0)
    assert bits(net) == bits(expected)


def odd(number: int, batch: Any) -> Iterator[Any]:
    """Yield good batches, and another one at one position."""
    for place, good in enumerate(slices()):
        yield batch if place == number else good


X, Y = np.zeros((BATCH, FEATURES), np.float32), np.zeros(BATCH, np.int64)


@pytest.mark.parametrize(("given", "options", "error", "message"), [
    (slices(), {}, ConfigurationError, "give steps_per_epoch"),
    (slices(0), {"steps_per_epoch": 3}, DataError, "gives no batches"),
    (slices(7), {"steps_per_epoch": 9}, DataError, "x ended after 7 batches, in step 7 of an epoch of 9"),
    (odd(5, (X[:, :-1], Y)), {"steps_per_epoch": 9}, ShapeError, r"batch 5: x has shape \(16, 11\)"),
    (odd(5, (X * np.nan, Y)), {"steps_per_epoch": 9}, DataError, "batch 5: x has NaN or infinite numbers"),
    (odd(5, (X, Y + CLASSES)), {"steps_per_epoch": 9}, DataError, "batch 5: y has labels from 4 to 4"),
    (odd(5, X), {"steps_per_epoch": 9}, DataError, r"(?s)batch 5 is .*: expected \(x, y\) or"),
    (odd(0, (X, Y[:-1])), {"steps_per_epoch": 9}, ShapeError, "batch 0: x has 16 samples but y has 15"),
    (slices(), {"steps_per_epoch": 9, "y": Y}, ConfigurationError, "targets and weights come with them"),
    (slices(), {"steps_per_epoch": 9, "batch_size": 8}, ConfigurationError, "x yields batches"),
    (slices(), {"steps_per_epoch": 9, "validation_data": slices()}, ConfigurationError, "exhausted after one epoch"),
])  # fmt: skip
def test_errors_name_the_batch(given: Any, options: dict[str, Any], error: type[DnnkitError], message: str) -> None:
    net = network("numpy")
    with pytest.raises(error, match=message):
        net.fit(given, verbose=0, **options)


def test_an_error_of_the_generator_is_raised_as_it_is() -> None:
    def broken() -> Iterator[Any]:
        yield from slices(3)
        raise LookupError("of the user's own")

    with pytest.raises(LookupError, match="of the user's own"):
        network("numpy").fit(broken(), steps_per_epoch=5, verbose=0)


def test_a_layer_that_needs_statistics_says_so() -> None:
    net = dk.Sequential([dk.Normalization(), dk.Dense(CLASSES, activation="softmax")], seed=0, backend="numpy")
    net.compile("sgd", "sparse_categorical_crossentropy")
    with pytest.raises(ConfigurationError, match="call its adapt"):
        net.fit(slices(), steps_per_epoch=3, verbose=0)
