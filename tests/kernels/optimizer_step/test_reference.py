"""Every update rule against its published formula, element by element in Python floats."""

import inspect
import math

import numpy as np
import pytest

from dnnkit.kernels.optimizer_step.reference import RULES

STEPS = 100
LEARNING_RATE = 0.01
HYPERPARAMETERS = {
    "sgd": (0.1,),
    "momentum": (0.9, 0.1),
    "nesterov": (0.9, 0.1),
    "rmsprop": (0.9, 1e-7),
    "adam": (0.9, 0.999, 1e-7),
    "adamw": (0.9, 0.999, 1e-7, 0.1),
    "amsgrad": (0.9, 0.99, 1e-7, 0.1),
    "adagrad": (0.1, 1e-7, 0.1),
    "adamax": (0.9, 0.999, 1e-7, 0.1),
    "nadam": (0.9, 0.999, 1e-7, 0.1, 0.5, 0.6, 0.4),
    "lion": (0.9, 0.99, 0.1),
    "average": (0.9,),
}


def sgd(step, p, state, g, lr, decay):
    return p - lr * (g + decay * p)


def momentum(step, p, state, g, lr, mu, decay):
    state["v"] = mu * state.get("v", 0.0) + g + decay * p
    return p - lr * state["v"]


def nesterov(step, p, state, g, lr, mu, decay):
    g = g + decay * p
    state["v"] = mu * state.get("v", 0.0) + g
    return p - lr * (g + mu * state["v"])


def rmsprop(step, p, state, g, lr, rho, epsilon):
    state["s"] = rho * state.get("s", 0.0) + (1 - rho) * g**2
    return p - lr * g / (math.sqrt(state["s"]) + epsilon)


def adam(step, p, state, g, lr, beta_1, beta_2, epsilon):
    """Kingma and Ba, algorithm 1."""
    state["m"] = beta_1 * state.get("m", 0.0) + (1 - beta_1) * g
    state["s"] = beta_2 * state.get("s", 0.0) + (1 - beta_2) * g**2
    m_hat = state["m"] / (1 - beta_1**step)
    s_hat = state["s"] / (1 - beta_2**step)
    return p - lr * m_hat / (math.sqrt(s_hat) + epsilon)


def adamw(step, p, state, g, lr, beta_1, beta_2, epsilon, decay):
    """Loshchilov and Hutter, algorithm 2, the decay times the learning rate."""
    return adam(step, p, state, g, lr, beta_1, beta_2, epsilon) - lr * decay * p


def amsgrad(step, p, state, g, lr, beta_1, beta_2, epsilon, decay):
    """Reddi et al., algorithm 2, with Adam's corrections, as torch.optim has it."""
    state["m"] = beta_1 * state.get("m", 0.0) + (1 - beta_1) * g
    state["s"] = beta_2 * state.get("s", 0.0) + (1 - beta_2) * g**2
    state["u"] = max(state.get("u", 0.0), state["s"])
    m_hat = state["m"] / (1 - beta_1**step)
    return p - lr * decay * p - lr * m_hat / (math.sqrt(state["u"] / (1 - beta_2**step)) + epsilon)


def adagrad(step, p, state, g, lr, initial, epsilon, decay):
    state["s"] = state.get("s", 0.0) + g**2
    return p - lr * decay * p - lr * g / (math.sqrt(initial + state["s"]) + epsilon)


def adamax(step, p, state, g, lr, beta_1, beta_2, epsilon, decay):
    """Kingma and Ba, algorithm 2; epsilon as in torch.optim."""
    state["m"] = beta_1 * state.get("m", 0.0) + (1 - beta_1) * g
    state["u"] = max(beta_2 * state.get("u", 0.0), abs(g) + epsilon)
    return p - lr * decay * p - lr / (1 - beta_1**step) * state["m"] / state["u"]


def nadam(step, p, state, g, lr, beta_1, beta_2, epsilon, decay, mu, next_mu, product):
    """Dozat's, as torch.optim.NAdam implements it, for given momenta."""
    state["m"] = beta_1 * state.get("m", 0.0) + (1 - beta_1) * g
    state["s"] = beta_2 * state.get("s", 0.0) + (1 - beta_2) * g**2
    root = math.sqrt(state["s"] / (1 - beta_2**step)) + epsilon
    p = p - lr * decay * p - lr * (1 - mu) / (1 - product) * g / root
    return p - lr * next_mu / (1 - product * next_mu) * state["m"] / root


def lion(step, p, state, g, lr, beta_1, beta_2, decay):
    """Chen et al., algorithm 2."""
    mean = beta_1 * state.get("m", 0.0) + (1 - beta_1) * g
    state["m"] = beta_2 * state.get("m", 0.0) + (1 - beta_2) * g
    return p - lr * decay * p - lr * math.copysign(1, mean)


def average(step, p, state, g, lr, momentum):
    """The mean of a constant: itself from the first step on."""
    state["a"] = momentum * state.get("a", p) + (1 - momentum) * p
    return p


FORMULAS = {
    rule.__name__: rule
    for rule in (sgd, momentum, nesterov, rmsprop, adam, adamw, amsgrad, adagrad, adamax, nadam, lion, average)
}


def run(name, p, gradients, hyperparameters, learning_rate=LEARNING_RATE):
    rule = RULES[name]
    slots = [np.zeros_like(p) for _ in rule.slots]
    for step, g in enumerate(gradients, 1):
        p, *slots = rule.function(step, p, g, *slots, learning_rate, *hyperparameters)
    return p, slots


def test_every_rule_here_is_there():
    assert set(RULES) >= set(FORMULAS)


@pytest.mark.parametrize("name", RULES)
def test_hundred_steps_against_the_published_formula(name, rng):
    p, gradients = rng.normal(size=7), rng.normal(size=(STEPS, 7))
    expected, states = p.tolist(), [{} for _ in p]
    for step in range(1, STEPS + 1):
        for e, state in enumerate(states):
            g = float(gradients[step - 1, e])
            expected[e] = FORMULAS[name](step, expected[e], state, g, LEARNING_RATE, *HYPERPARAMETERS[name])
    actual, slots = run(name, p, gradients, HYPERPARAMETERS[name])
    np.testing.assert_allclose(actual, expected, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(slots, [[s[key] for s in states] for key in states[0]], rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("name", RULES)
def test_rule_names_the_arguments_of_its_function(name):
    rule = RULES[name]
    expected = ["step", "p", "g", *rule.slots, "learning_rate", *rule.hyperparameters, "xp"]
    assert list(inspect.signature(rule.function).parameters) == expected
    assert rule.function.__name__ == name


@pytest.mark.parametrize("name", ["adam", "adamw"])
def test_first_step_of_adam_is_the_learning_rate_against_the_sign(name):
    g = np.array([1e3, 1e-3, -1e-3, -1e3, 0])
    hyperparameters = (0.9, 0.999, 1e-12) if name == "adam" else (0.9, 0.999, 1e-12, 0.0)
    p, _ = run(name, np.zeros(5), [g], hyperparameters)
    np.testing.assert_allclose(p, -LEARNING_RATE * np.sign(g), rtol=1e-8)


def test_adamw_without_decay_is_adam(rng):
    p, gradients = rng.normal(size=7), rng.normal(size=(STEPS, 7))
    np.testing.assert_array_equal(
        run("adamw", p, gradients, (0.9, 0.999, 1e-7, 0.0))[0], run("adam", p, gradients, (0.9, 0.999, 1e-7))[0]
    )


@pytest.mark.parametrize("name", ["nesterov", "momentum"])
def test_without_momentum_it_is_sgd(name, rng):
    p, gradients = rng.normal(size=7), rng.normal(size=(STEPS, 7))
    np.testing.assert_allclose(run(name, p, gradients, (0.0, 0.1))[0], run("sgd", p, gradients, (0.1,))[0], rtol=1e-15)


@pytest.mark.parametrize("name", RULES)
def test_no_gradient_and_no_decay_leave_the_parameter(name, rng):
    p = rng.normal(size=7)
    hyperparameters = [
        0.0 if key == "weight_decay" else value
        for key, value in zip(RULES[name].hyperparameters, HYPERPARAMETERS[name], strict=True)
    ]
    np.testing.assert_array_equal(run(name, p, np.zeros((3, 7)), hyperparameters)[0], p)


@pytest.mark.parametrize("name", ["adam", "adamw"])
def test_bias_correction_of_a_very_late_step(name):
    result = RULES[name].function(
        10**9, np.ones(1), np.ones(1), np.ones(1), np.ones(1), LEARNING_RATE, *HYPERPARAMETERS[name]
    )
    decayed = 1 - (LEARNING_RATE * 0.1 if name == "adamw" else 0)
    np.testing.assert_allclose(result[0], decayed - LEARNING_RATE / (1 + 1e-7), rtol=1e-14)
