"""Weight updates, in plain array code; the oracle in float64. Contract: the package's docstring.

A rule is one function: `(step, parameter, gradient, *slots, *hyperparameters) -> (parameter, *slots)`. `RULES` says
which slots and hyperparameters it takes, in the order of its arguments; `learning_rate` is always the first.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import sqrt

import numpy as np

from dnnkit.kernels.array import Array, Namespace


def sgd(
    step: int, p: Array, g: Array, learning_rate: float, weight_decay: float, xp: Namespace = np
) -> tuple[Array, ...]:
    """Gradient descent."""
    return (p - learning_rate * (g + weight_decay * p),)


def momentum(
    step: int,
    p: Array,
    g: Array,
    velocity: Array,
    learning_rate: float,
    momentum: float,
    weight_decay: float,
    xp: Namespace = np,
) -> tuple[Array, ...]:
    """Gradient descent with Polyak's momentum."""
    velocity = momentum * velocity + (g + weight_decay * p)
    return p - learning_rate * velocity, velocity


def nesterov(
    step: int,
    p: Array,
    g: Array,
    velocity: Array,
    learning_rate: float,
    momentum: float,
    weight_decay: float,
    xp: Namespace = np,
) -> tuple[Array, ...]:
    """Gradient descent with Nesterov's momentum."""
    g = g + weight_decay * p
    velocity = momentum * velocity + g
    return p - learning_rate * (g + momentum * velocity), velocity


def rmsprop(
    step: int,
    p: Array,
    g: Array,
    square: Array,
    learning_rate: float,
    rho: float,
    epsilon: float,
    xp: Namespace = np,
) -> tuple[Array, ...]:
    """RMSprop."""
    square = rho * square + (1 - rho) * (g * g)
    return p - learning_rate * g / (xp.sqrt(square) + epsilon), square


def adam(
    step: int,
    p: Array,
    g: Array,
    first_moment: Array,
    second_moment: Array,
    learning_rate: float,
    beta_1: float,
    beta_2: float,
    epsilon: float,
    xp: Namespace = np,
) -> tuple[Array, ...]:
    """Adam."""
    first_moment = beta_1 * first_moment + (1 - beta_1) * g
    second_moment = beta_2 * second_moment + (1 - beta_2) * (g * g)
    step_size = learning_rate / (1 - beta_1**step)
    root_correction = 1 / sqrt(1 - beta_2**step)
    p = p - step_size * first_moment / (xp.sqrt(second_moment) * root_correction + epsilon)
    return p, first_moment, second_moment


def adamw(
    step: int,
    p: Array,
    g: Array,
    first_moment: Array,
    second_moment: Array,
    learning_rate: float,
    beta_1: float,
    beta_2: float,
    epsilon: float,
    weight_decay: float,
    xp: Namespace = np,
) -> tuple[Array, ...]:
    """Adam with decoupled weight decay."""
    p = p * (1 - learning_rate * weight_decay)
    return adam(step, p, g, first_moment, second_moment, learning_rate, beta_1, beta_2, epsilon, xp)


@dataclass(frozen=True)
class Rule:
    """An update function with the names of its slots and of its hyperparameters after `learning_rate`.

    It works element by element, so a backend may apply it to any part of the parameters.
    """

    function: Callable[..., tuple[Array, ...]]
    slots: tuple[str, ...]
    hyperparameters: tuple[str, ...]

    @property
    def name(self) -> str | None:
        """The name of its versions in `cpu.py` and `gpu.py`; None for a rule that is not one of `RULES`."""
        return next((name for name, rule in RULES.items() if rule is self), None)


RULES = {
    "sgd": Rule(sgd, (), ("weight_decay",)),
    "momentum": Rule(momentum, ("velocity",), ("momentum", "weight_decay")),
    "nesterov": Rule(nesterov, ("velocity",), ("momentum", "weight_decay")),
    "rmsprop": Rule(rmsprop, ("square",), ("rho", "epsilon")),
    "adam": Rule(adam, ("first_moment", "second_moment"), ("beta_1", "beta_2", "epsilon")),
    "adamw": Rule(adamw, ("first_moment", "second_moment"), ("beta_1", "beta_2", "epsilon", "weight_decay")),
}
