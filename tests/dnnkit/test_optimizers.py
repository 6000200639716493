"""Optimizers in use: their numbers, schedules, clipping, and the formulas through a whole network."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

import dnnkit as dk
from dnnkit.backends import Backend
from dnnkit.errors import ConfigurationError

X = np.random.default_rng(0).normal(size=(8, 3))
Y = np.random.default_rng(1).normal(size=(8, 2))


def network(optimizer: dk.optimizers.Optimizer, backend: Backend) -> dk.Sequential:
    net = dk.Sequential([dk.Dense(2)], seed=0, dtype="float64", backend=backend)
    net.compile(optimizer=optimizer, loss="mean_squared_error")
    net.build(3)
    return net


def published(name: str, p: np.ndarray, gradient, steps: int) -> np.ndarray:
    """The published update, written out, with the numbers of `MAKE`."""
    m, s, u, product = np.zeros_like(p), np.zeros_like(p), np.zeros_like(p), 1.0
    for t in range(1, steps + 1):
        g = gradient(p)
        if name in ("adagrad", "adamax", "nadam"):
            p = p - 0.02 * 0.05 * p
        if name == "sgd":
            p = p - 0.1 * (g + 0.01 * p)
        elif name == "momentum":
            m = 0.9 * m + g + 0.01 * p
            p = p - 0.05 * m
        elif name == "nesterov":
            g = g + 0.01 * p
            m = 0.9 * m + g
            p = p - 0.05 * (g + 0.9 * m)
        elif name == "rmsprop":
            s = 0.8 * s + 0.2 * g**2
            p = p - 0.001 * g / (np.sqrt(s) + 1e-7)
        elif name == "adagrad":
            s = s + g**2
            p = p - 0.02 * g / (np.sqrt(0.1 + s) + 1e-8)
        elif name == "lion":
            p = p - 0.001 * 0.05 * p - 0.001 * np.sign(0.8 * m + 0.2 * g)
            m = 0.99 * m + 0.01 * g
        elif name == "adamax":
            m, s = 0.8 * m + 0.2 * g, np.maximum(0.99 * s, np.abs(g) + 1e-8)
            p = p - 0.02 / (1 - 0.8**t) * m / s
        elif name == "nadam":
            now, after = (0.8 * (1 - 0.5 * 0.96**step) for step in (t, t + 1))
            product *= now
            m, s = 0.8 * m + 0.2 * g, 0.99 * s + 0.01 * g**2
            mean = after * m / (1 - product * after) + (1 - now) * g / (1 - product)
            p = p - 0.02 * mean / (np.sqrt(s / (1 - 0.99**t)) + 1e-7)
        else:
            if name == "adamw":
                p = p - 0.02 * 0.05 * p
            m = 0.8 * m + 0.2 * g
            s = 0.99 * s + 0.01 * g**2
            u = np.maximum(u, s) if name == "amsgrad" else s
            m_hat, s_hat = m / (1 - 0.8**t), u / (1 - 0.99**t)
            p = p - 0.02 * m_hat / (np.sqrt(s_hat) + 1e-7)
    return p


# Rates small enough that none converges: around a minimum rmsprop inflates rounding errors to the size of its steps.
MAKE = {
    "sgd": lambda: dk.SGD(0.1, weight_decay=0.01),
    "momentum": lambda: dk.SGD(0.05, momentum=0.9, weight_decay=0.01),
    "nesterov": lambda: dk.SGD(0.05, momentum=0.9, nesterov=True, weight_decay=0.01),
    "rmsprop": lambda: dk.RMSprop(0.001, rho=0.8, epsilon=1e-7),
    "adam": lambda: dk.Adam(0.02, beta_1=0.8, beta_2=0.99, epsilon=1e-7),
    "adamw": lambda: dk.AdamW(0.02, beta_1=0.8, beta_2=0.99, epsilon=1e-7, weight_decay=0.05),
    "amsgrad": lambda: dk.Adam(0.02, beta_1=0.8, beta_2=0.99, epsilon=1e-7, amsgrad=True),
    "adagrad": lambda: dk.optimizers.Adagrad(0.02, weight_decay=0.05),
    "adamax": lambda: dk.optimizers.Adamax(0.02, beta_1=0.8, beta_2=0.99, weight_decay=0.05),
    "nadam": lambda: dk.optimizers.Nadam(0.02, beta_1=0.8, beta_2=0.99, epsilon=1e-7, weight_decay=0.05),
    "lion": lambda: dk.optimizers.Lion(0.001, beta_1=0.8, weight_decay=0.05),
}


@pytest.mark.parametrize("name", MAKE)
def test_a_hundred_steps_are_those_of_the_published_formula(backend: Backend, name: str) -> None:
    net = network(MAKE[name](), backend)
    flat = np.concatenate([value.reshape(-1) for value in net.parameters.values()])

    def gradient(p: np.ndarray) -> np.ndarray:
        w, b = p[:6].reshape(3, 2), p[6:]
        d = (X @ w + b - Y) * 2 / Y.size
        return np.concatenate([(X.T @ d).reshape(-1), d.sum(axis=0)])

    for _ in range(100):
        net.train_step(X, Y)
    actual = np.concatenate([value.reshape(-1) for value in net.parameters.values()])
    np.testing.assert_allclose(actual, published(name, flat, gradient, 100), rtol=1e-12, atol=1e-12)


def test_a_schedule_is_called_for_every_step(backend: Backend) -> None:
    schedule = dk.schedules.PiecewiseConstantDecay([2, 5], [0.1, 0.0, 0.05])
    scheduled, by_hand = network(dk.SGD(schedule), backend), network(dk.SGD(0.1), backend)
    scheduled.fit(X, Y, epochs=4, batch_size=4, shuffle=False, verbose=0)
    for step in range(8):
        by_hand.optimizer.learning_rate = schedule(step)
        half = slice(0, 4) if step % 2 == 0 else slice(4, 8)
        by_hand.train_step(X[half], Y[half])
    np.testing.assert_equal(dict(scheduled.parameters), dict(by_hand.parameters))


@pytest.mark.parametrize(
    ("schedule", "rates"),
    [
        (dk.schedules.ExponentialDecay(1.0, 10, 0.5), {0: 1.0, 10: 0.5, 5: 0.5**0.5}),
        (dk.schedules.ExponentialDecay(1.0, 10, 0.5, staircase=True), {9: 1.0, 10: 0.5, 19: 0.5}),
        (dk.schedules.CosineDecay(2.0, 10), {0: 2.0, 5: 1.0, 10: 0.0, 99: 0.0}),
        (dk.schedules.CosineDecay(2.0, 10, alpha=0.1, warmup_steps=4), {0: 0.5, 3: 2.0, 4: 2.0, 14: 0.2}),
        (dk.schedules.PiecewiseConstantDecay([3], [1.0, 0.1]), {0: 1.0, 3: 1.0, 4: 0.1}),
        (dk.schedules.PolynomialDecay(1.0, 10, 0.2, power=2.0), {0: 1.0, 5: 0.4, 10: 0.2, 15: 0.2}),
        (dk.schedules.PolynomialDecay(1.0, 10, 0.0, cycle=True), {10: 0.0, 15: 0.25, 20: 0.0}),
        (dk.schedules.InverseTimeDecay(1.0, 10, 0.5), {0: 1.0, 5: 0.8, 20: 0.5}),
        (dk.schedules.InverseTimeDecay(1.0, 10, 0.5, staircase=True), {9: 1.0, 20: 0.5}),
        (dk.schedules.CosineDecayRestarts(1.0, 4, m_mul=0.5), {0: 1.0, 2: 0.5, 4: 0.5, 8: 0.25, 12: 0.25, 28: 0.125}),
        (dk.schedules.CosineDecayRestarts(1.0, 4, t_mul=1.0, alpha=0.2), {2: 0.6, 4: 1.0, 6: 0.6}),
        (dk.schedules.OneCycle(1.0, 101, 2 / 101, div_factor=4), {0: 0.25, 1: 1.0, 100: 0.25e-4, 200: 0.25e-4}),
        (dk.schedules.CosLog4(2.0, 15), {0: 0.0, 1: 0.0, 3: 0.0, 7: 0.0, 15: 0.0, 99: 0.0}),
        (dk.schedules.CosLog4(2.0, 150), {10 * (2**0.5 - 1): 2.0, 10 * (2**3.5 - 1): 2.0}),
        (dk.schedules.FlatCosine(2.0, 10), {0: 2.0, 5: 2.0, 7.5: 1.0, 10: 0.0, 20: 0.0}),
        (dk.schedules.FlatCosine(2.0, 8, flat=0.75, alpha=0.5), {6: 2.0, 7: 1.5, 8: 1.0}),
        (dk.schedules.Warmup(2.0, 4), {0: 0.5, 3: 2.0, 4: 2.0, 9: 2.0}),
        (dk.schedules.Warmup(dk.schedules.CosineDecay(2.0, 10), 4), {1: 1.0, 3: 2.0, 4: 2.0, 9: 1.0, 14: 0.0}),
    ],
)
def test_schedules(schedule: dk.schedules.Schedule, rates: dict[int, float]) -> None:
    for step, rate in rates.items():
        assert schedule(step) == pytest.approx(rate, abs=1e-15)


def test_a_schedule_can_be_inspected(tmp_path) -> None:
    schedule = dk.schedules.Warmup(dk.schedules.CosineDecay(2.0, 10), 4)
    (axes,) = schedule.plot(20, tmp_path / "rate.png").axes
    assert list(axes.lines[0].get_ydata()) == [schedule(step) for step in range(20)]
    assert (axes.get_xlabel(), axes.get_title(), axes.get_legend()) == ("step", "Warmup", None)
    assert (tmp_path / "rate.png").stat().st_size > 1000


def test_a_schedule_with_the_wrong_number_of_values() -> None:
    with pytest.raises(ConfigurationError, match="one more value"):
        dk.schedules.PiecewiseConstantDecay([1, 2], [0.1])


def test_clipping_bounds_the_norm_of_the_whole_gradient(backend: Backend) -> None:
    clipped, free = network(dk.SGD(1.0, global_clipnorm=1e-3), backend), network(dk.SGD(1.0), backend)
    before = np.concatenate([value.reshape(-1) for value in clipped.parameters.values()])
    steps = []
    for net in (clipped, free):
        net.train_step(X, Y)
        steps.append(np.concatenate([value.reshape(-1) for value in net.parameters.values()]) - before)
    assert np.linalg.norm(steps[0]) == pytest.approx(1e-3, rel=1e-9)
    cosine = steps[0] @ steps[1] / np.linalg.norm(steps[0]) / np.linalg.norm(steps[1])
    assert cosine == pytest.approx(1, rel=1e-9)
    loose = network(dk.SGD(1.0, global_clipnorm=1e6), backend)
    loose.train_step(X, Y)
    np.testing.assert_equal(dict(loose.parameters), dict(free.parameters))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: dk.SGD(-0.1), "learning_rate=-0.1"),
        (lambda: dk.SGD(float("nan")), "learning_rate=nan"),
        (lambda: dk.SGD("fast"), "learning_rate='fast'"),
        (lambda: dk.Adam(epsilon=-1), "epsilon=-1"),
        (lambda: dk.Adam(global_clipnorm=0), "global_clipnorm=0"),
        (lambda: dk.RMSprop(rho=None), "rho=None"),
    ],
)
def test_bad_numbers(make, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        make()


def test_defaults_are_those_of_the_documentation() -> None:
    assert dk.SGD() == dk.SGD(learning_rate=0.01, momentum=0.0, nesterov=False, weight_decay=0.0)
    assert dk.RMSprop() == dk.RMSprop(learning_rate=1e-3, rho=0.9, epsilon=1e-8)
    assert dk.Adam() == dk.Adam(learning_rate=1e-3, beta_1=0.9, beta_2=0.999, epsilon=1e-8)
    assert dk.AdamW().weight_decay == 0.01


def test_momentum_can_be_turned_off_and_on_between_steps(backend: Backend) -> None:
    net, tiny = network(dk.SGD(0.1, momentum=0.9), backend), network(dk.SGD(0.1, momentum=0.9), backend)
    for each, momentum in ((net, 0.0), (tiny, 1e-300)):
        each.train_step(X, Y)
        each.optimizer.momentum = momentum
        each.train_step(X, Y)
    np.testing.assert_equal(dict(net.parameters), dict(tiny.parameters))

    fresh = network(dk.SGD(0.1, momentum=0.9), backend)
    fresh.set_parameters(net.parameters)
    net.optimizer.momentum = 0.9
    for each in (net, fresh):
        each.train_step(X, Y)
        each.train_step(X, Y)
    np.testing.assert_equal(dict(net.parameters), dict(fresh.parameters))


@dataclass
class Remembers(dk.optimizers.Optimizer):
    """A rule that keeps its arguments as they were: the last gradient, and the parameter before the step."""

    learning_rate: Any = 0.1
    slots = ("gradient", "before")

    @staticmethod
    def update(step, parameter, gradient, last, before, learning_rate, xp):
        moved = parameter - learning_rate * (2 * gradient - last) + 0.5 * (parameter - before)
        return moved, gradient, parameter


def test_a_rule_may_keep_its_arguments(backend: Backend) -> None:
    """Memory that a backend reuses in the next step must not change it."""
    net = network(Remembers(), backend)
    p, last, before = dict(net.parameters), {}, {}
    for _ in range(4):
        net.set_parameters(p)
        _, gradients = net.get_gradients(X, Y)
        new = {
            name: p[name] - 0.1 * (2 * gradients[name] - last.get(name, 0.0)) + 0.5 * (p[name] - before.get(name, 0.0))
            for name in p
        }
        last, before, p = gradients, p, new
    trained = network(Remembers(), backend)
    trained.fit(np.tile(X, (4, 1)), np.tile(Y, (4, 1)), batch_size=8, shuffle=False, verbose=0)
    for name, value in p.items():
        np.testing.assert_allclose(trained.parameters[name], value, rtol=1e-9, atol=1e-12)
    slots = trained.executable.snapshot().slots
    np.testing.assert_allclose(slots["before/dense/kernel"], before["dense/kernel"], rtol=1e-9)
    np.testing.assert_allclose(slots["gradient/dense/kernel"], last["dense/kernel"], rtol=1e-9)


def test_an_assigned_number_takes_effect_with_the_next_update() -> None:
    optimizer = dk.Adam(0.1)
    assert optimizer.hyperparameters(0, 1).learning_rates.tolist() == [0.1]
    optimizer.learning_rate, optimizer.beta_1, optimizer.global_clipnorm = 0.2, 0.5, 3.0
    for count in (1, 2):
        now = optimizer.hyperparameters(7, count)
        assert now.learning_rates.tolist() == [0.2] * count
        assert now.constants["beta_1"] == 0.5
        assert now.clip_norm == 3.0
    optimizer.learning_rate = dk.schedules.PiecewiseConstantDecay((5,), (1.0, 0.25))
    assert optimizer.hyperparameters(7, 1).learning_rates.tolist() == [0.25]
    optimizer.learning_rate = 0.5
    assert optimizer.hyperparameters(7, 1).learning_rates.tolist() == [0.5]


def test_hyperparameters_of_several_steps_are_kept_until_an_assignment():
    optimizer = dk.Adam(1e-3)
    first, second = optimizer.hyperparameters(0, 4), optimizer.hyperparameters(4, 7)
    assert optimizer.hyperparameters(11, 7) is second
    assert first.learning_rates.tolist() == [1e-3] * 4
    assert second.learning_rates.tolist() == [1e-3] * 7
    assert first.constants == second.constants == optimizer.hyperparameters(0, 1).constants
    optimizer.learning_rate = 0.5
    optimizer.beta_1 = 0.25
    third = optimizer.hyperparameters(18, 7)
    assert third.learning_rates.tolist() == [0.5] * 7
    assert third.constants["beta_1"] == 0.25
    optimizer.learning_rate = dk.schedules.ExponentialDecay(1.0, 1, 0.5)
    assert optimizer.hyperparameters(1, 3).learning_rates.tolist() == [0.5, 0.25, 0.125]
    assert optimizer.hyperparameters(2, 3).learning_rates.tolist() == [0.25, 0.125, 0.0625]
