"""User loops: train_step, get_gradients and apply_gradients, batch after batch."""

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import numpy as np
import pytest

import dnnkit as dk
from dnnkit.backends import Backend
from dnnkit.errors import ConfigurationError, DataError, DnnkitError, NotReady, ShapeError, UnknownName

rng = np.random.default_rng(5)
ROWS, FEATURES = 24, 70
NUMBERS = rng.normal(size=(ROWS, FEATURES))
IMAGES = rng.integers(0, 256, (ROWS, 10, 7)).astype(np.uint8) * (rng.random((ROWS, 10, 7)) < 0.2).astype(np.uint8)
LABELS = rng.integers(0, 3, ROWS)
CASES: dict[str, tuple[str, str, Any, Any]] = {
    "labels": ("softmax", "sparse_categorical_crossentropy", NUMBERS.astype(np.float32), LABELS),
    "labels of other numbers": ("softmax", "sparse_categorical_crossentropy", NUMBERS, LABELS.astype(np.uint8)),
    "images of bytes, most of them 0": ("softmax", "sparse_categorical_crossentropy", IMAGES, LABELS),
    "images of numbers": ("softmax", "sparse_categorical_crossentropy", IMAGES / np.float32(255), LABELS),
    "one-hot rows": ("softmax", "categorical_crossentropy", NUMBERS.astype(np.float32), np.eye(3)[LABELS]),
    "flags": ("sigmoid", "binary_crossentropy", NUMBERS.astype(np.float32), np.eye(3)[LABELS] > 0),
    "values": ("linear", "mean_squared_error", NUMBERS.astype(np.float32), NUMBERS[:, :3]),
    "a sum": ("linear", "sum_squared_error", np.asfortranarray(NUMBERS), NUMBERS[:, :3].astype(np.float32)),
}


def network(case: str, backend: Backend | str, optimizer: Any = None, **options: Any) -> dk.Sequential:
    activation, loss, x, _ = CASES[case]
    first: list[dk.Layer] = [dk.Flatten()] if x.ndim == 3 else []
    first = [dk.Rescaling(1 / 255), *first] if x.dtype == np.uint8 else first
    layers = [*first, dk.Dense(66, activation="tanh"), dk.Dropout(0.2), dk.Dense(3, activation=activation)]
    net = dk.Sequential(layers, seed=2, backend=backend, **options)
    net.compile(optimizer or dk.Adam(0.01), loss)
    return net


def numbers(net: dk.Sequential) -> dict[str, np.ndarray]:
    """Return parameters and optimizer state."""
    snapshot = net.executable.snapshot()
    return {**snapshot.parameters, **snapshot.slots}


def check_equal(net: dk.Sequential, other: dk.Sequential) -> None:
    for name, value in numbers(net).items():
        np.testing.assert_array_equal(value, numbers(other)[name], err_msg=name)


def check_close(net: dk.Sequential, other: dk.Sequential) -> None:
    for name, value in numbers(net).items():
        np.testing.assert_allclose(value, numbers(other)[name], rtol=1e-3, atol=1e-5, err_msg=name)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("size", [ROWS, 1, 7])
def test_a_step_is_one_of_fit_and_the_loss_the_one_before_it(case: str, size: int, backend: Backend) -> None:
    *_, x, y = CASES[case]
    stepped, fitted = network(case, backend), network(case, backend)
    for start in range(0, ROWS - size + 1, size):
        batch = slice(start, start + size)
        loss = stepped.train_step(x[batch], y[batch])
        assert loss == fitted.fit(x[batch], y[batch], batch_size=size, shuffle=False, verbose=0)["loss"][0]
    check_equal(stepped, fitted)
    assert stepped.executable.state.step == fitted.executable.state.step


@pytest.mark.parametrize("case", CASES)
def test_fast_gradients_are_those_of_the_fully_checked_path(case: str, backend: Backend) -> None:
    *_, x, y = CASES[case]
    net = network(case, backend)
    net.train_step(x, y)
    for batch in (slice(None), slice(3), slice(3, 6), slice(None)):
        loss, gradients = net.get_gradients(x[batch], y[batch])
        checked, expected = net.get_gradients(x[batch], y[batch], with_input=True)
        assert loss == pytest.approx(checked, rel=1e-6)
        for name, gradient in gradients.items():
            np.testing.assert_allclose(gradient, expected[name], rtol=1e-4, atol=1e-5, err_msg=name)
            assert gradient.shape == net.parameters[name].shape
    mine = {name: gradient.copy() for name, gradient in gradients.items()}
    net.get_gradients(x[:3], y[:3])
    for name, gradient in gradients.items():
        np.testing.assert_array_equal(gradient, mine[name], err_msg="gradients are the caller's own")


OPTIMIZERS: dict[str, Callable[[], Any]] = {
    "adam": lambda: dk.Adam(0.01),
    "momentum, clipped": lambda: dk.SGD(0.1, momentum=0.9, weight_decay=0.01, global_clipnorm=0.05),
    "a schedule": lambda: dk.RMSprop(dk.schedules.ExponentialDecay(0.01, 2, 0.5)),
}


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_applied_gradients_are_a_step(optimizer: str, backend: Backend) -> None:
    *_, x, y = CASES["labels"]
    applied, stepped = (network("labels", backend, OPTIMIZERS[optimizer]()) for _ in range(2))
    for number in range(6):
        gradients = applied.get_gradients(x, y)[1]
        if number % 2:  # with other memory, order and dtype
            gradients = {name: np.asfortranarray(gradients[name], np.float64) for name in reversed(gradients)}
        applied.apply_gradients(gradients)
        stepped.train_step(x, y)
        if number == 3:
            for net in (applied, stepped):
                net.fit(x, y, batch_size=8, verbose=0)
    check_close(applied, stepped)
    assert applied.executable.state.step == stepped.executable.state.step == 6 + 3


def test_gradients_that_do_not_fit_change_nothing(backend: Backend) -> None:
    *_, x, y = CASES["labels"]
    net = network("labels", backend)
    with pytest.raises(NotReady, match="not built"):
        net.apply_gradients({})
    gradients = net.get_gradients(x, y, with_input=True)[1]
    before = numbers(net)
    for given, error, message in [
        (gradients, UnknownName, "no parameter 'input'"),
        ({"dense/bias": gradients["dense/bias"]}, ConfigurationError, "dense/kernel, dense_1/kernel, dense_1/bias is"),
        (
            {**gradients, "dense/bias": np.zeros(3)},
            ShapeError,
            r"gradient 'dense/bias' has shape \(66,\); got .*\(3,\)",
        ),
        ({**gradients, "dense/bias": ["a"] * 66}, DataError, "gradient 'dense/bias' cannot be converted to an array"),
        (list(gradients.values()), ConfigurationError, "get_gradients returns; got"),
    ]:
        with pytest.raises(error, match=message):
            net.apply_gradients(given)
    for name, value in before.items():
        np.testing.assert_array_equal(value, numbers(net)[name])
    assert net.executable.state.step == 0


BAD: dict[str, Callable[[Any, Any], tuple[Any, Any]]] = {
    "a NaN": lambda x, y: (np.where(np.arange(FEATURES) == 69, np.nan, x), y),
    "a number that is infinite in float32": lambda x, y: (np.where(np.arange(FEATURES) == 3, 1e300, x), y),
    "a label too large": lambda x, y: (x, np.where(np.arange(ROWS) == 3, 3, y)),
    "a label below 0": lambda x, y: (x, y - 1),
    "labels that are no whole numbers": lambda x, y: (x, y + 0.5),
    "a label too few": lambda x, y: (x, y[1:]),
    "no labels": lambda x, y: (x, None),
    "another number of features": lambda x, y: (x[:, 1:], y),
    "no rows": lambda x, y: (x[:0], y[:0]),
    "complex numbers": lambda x, y: (x + 1j, y),
}


@pytest.mark.parametrize("fault", BAD)
def test_a_bad_batch_after_good_ones_is_the_error_of_a_first_one(fault: str, backend: Backend) -> None:
    *_, x, y = CASES["labels"]
    fresh, used = network("labels", backend), network("labels", backend)
    used.train_step(x, y)
    used.get_gradients(x, y)
    before, bad = numbers(used), BAD[fault](x.astype(np.float64), y)
    fresh.build(FEATURES)
    for ask in ("train_step", "get_gradients"):
        with pytest.raises(DnnkitError) as expected:
            getattr(fresh, ask)(*bad)
        with pytest.raises(type(expected.value)) as found:
            getattr(used, ask)(*bad)
        assert str(found.value) == str(expected.value)
    for name, value in before.items():
        np.testing.assert_array_equal(value, numbers(used)[name])
    assert used.executable.state.step == 1
    used.train_step(x, y)


def test_targets_out_of_range_or_not_finite_are_caught_in_every_step(backend: Backend) -> None:
    for case, wrong in (("flags", 1.5), ("values", np.inf), ("a sum", 1e300), ("one-hot rows", np.nan)):
        *_, x, y = CASES[case]
        net, bad = network(case, backend), y.astype(np.float64)
        net.train_step(x, y)
        bad[4, 1] = wrong
        with pytest.raises(DataError):
            net.train_step(x, bad)


def test_fast_steps_between_fits_and_assignments_equal_checked_ones(backend: Backend) -> None:
    *_, x, y = CASES["labels"]
    quick, careful = network("labels", backend), network("labels", backend)
    ones = np.ones(ROWS)
    for number in range(8):
        size = ROWS if number % 3 else 5
        quick.train_step(x[:size], y[:size])
        careful.train_step(x[:size], y[:size], sample_weight=ones[:size])  # for which the fast path is not used
        for net in (quick, careful):
            if number == 2:
                net.fit(x, y, batch_size=ROWS, verbose=0)
            if number == 3:
                net.parameters["dense/bias"] += 0.1
            if number == 4:
                net.optimizer.learning_rate = 0.002
            if number == 5:
                net.compile(dk.SGD(0.1), "sparse_categorical_crossentropy")
            if number == 6:
                net.optimizer.momentum = 0.9
    check_equal(quick, careful)


def test_a_step_within_a_fit_is_a_step(backend: Backend) -> None:
    *_, x, y = CASES["labels"]

    class Step(dk.Callback):
        def on_batch_end(self, batch: int, logs: Any) -> None:
            self.model.train_step(x[:8], y[:8])
            self.model.apply_gradients(self.model.get_gradients(x[:8], y[:8])[1])
            self.model.parameters["dense_1/bias"] *= 0.5

    within, by_hand = network("labels", backend), network("labels", backend)
    within.fit(x, y, batch_size=8, shuffle=False, callbacks=Step(), verbose=0)
    for start in range(0, ROWS, 8):
        by_hand.train_step(x[start : start + 8], y[start : start + 8])
        by_hand.train_step(x[:8], y[:8])
        by_hand.apply_gradients(by_hand.get_gradients(x[:8], y[:8])[1])
        by_hand.parameters["dense_1/bias"] *= 0.5
    check_equal(within, by_hand)


def test_an_error_in_a_callback_on_batches_leaves_whole_steps(backend: Backend) -> None:
    *_, x, y = CASES["labels"]

    class Fail(dk.Callback):
        def on_batch_end(self, batch: int, logs: Any) -> None:
            if batch == 1:
                raise RuntimeError("planted")

    failed, whole = network("labels", backend), network("labels", backend)
    with suppress(RuntimeError):
        failed.fit(x, y, batch_size=8, shuffle=False, callbacks=Fail(), verbose=0)
    whole.fit(x[:16], y[:16], batch_size=8, shuffle=False, verbose=0)
    check_equal(failed, whole)
