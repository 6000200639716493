"""Optimizer steps, in plain array code; the oracle in float64. Contract: the package's docstring.

A rule is a function `(step, parameter, gradient, *slots, *hyperparameters) -> (parameter, *slots)`. `RULES` lists its
slots and hyperparameters in argument order; `learning_rate` always comes first.
"""

from collections.abc import Callable
from math import sqrt

import numpy as np

from dnnkit.deferred import dataclass
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


def corrected(step: int, learning_rate: float, beta_1: float, beta_2: float) -> tuple[float, float]:
    """Return Adam's step size and the factor of its root, corrected for the bias of moments that start at zero."""
    return learning_rate / (1 - beta_1**step), 1 / sqrt(1 - beta_2**step)


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
    step_size, root_correction = corrected(step, learning_rate, beta_1, beta_2)
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


def amsgrad(
    step: int,
    p: Array,
    g: Array,
    first_moment: Array,
    second_moment: Array,
    largest: Array,
    learning_rate: float,
    beta_1: float,
    beta_2: float,
    epsilon: float,
    weight_decay: float,
    xp: Namespace = np,
) -> tuple[Array, ...]:
    """AdamW with the running maximum of the second moment."""
    p = p * (1 - learning_rate * weight_decay)
    first_moment = beta_1 * first_moment + (1 - beta_1) * g
    second_moment = beta_2 * second_moment + (1 - beta_2) * (g * g)
    largest = xp.maximum(largest, second_moment)
    step_size, root_correction = corrected(step, learning_rate, beta_1, beta_2)
    p = p - step_size * first_moment / (xp.sqrt(largest) * root_correction + epsilon)
    return p, first_moment, second_moment, largest


def adagrad(
    step: int,
    p: Array,
    g: Array,
    square: Array,
    learning_rate: float,
    initial_accumulator_value: float,
    epsilon: float,
    weight_decay: float,
    xp: Namespace = np,
) -> tuple[Array, ...]:
    """Gradient over the root of the sum of squared gradients. The initial value of the sum is added on use."""
    p = p * (1 - learning_rate * weight_decay)
    square = square + g * g
    return p - learning_rate * g / (xp.sqrt(square + initial_accumulator_value) + epsilon), square


def adamax(
    step: int,
    p: Array,
    g: Array,
    first_moment: Array,
    largest: Array,
    learning_rate: float,
    beta_1: float,
    beta_2: float,
    epsilon: float,
    weight_decay: float,
    xp: Namespace = np,
) -> tuple[Array, ...]:
    """Adam with an exponentially decayed maximum of the gradients in place of the second moment."""
    p = p * (1 - learning_rate * weight_decay)
    first_moment = beta_1 * first_moment + (1 - beta_1) * g
    largest = xp.maximum(beta_2 * largest, xp.abs(g) + epsilon)
    step_size, _ = corrected(step, learning_rate, beta_1, beta_2)
    return p - step_size * first_moment / largest, first_moment, largest


def nadam(
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
    momentum: float,
    next_momentum: float,
    momentum_product: float,
    xp: Namespace = np,
) -> tuple[Array, ...]:
    """Adam with Nesterov's momentum."""
    p = p * (1 - learning_rate * weight_decay)
    first_moment = beta_1 * first_moment + (1 - beta_1) * g
    second_moment = beta_2 * second_moment + (1 - beta_2) * (g * g)
    of_gradient = learning_rate * (1 - momentum) / (1 - momentum_product)
    of_moment = learning_rate * next_momentum / (1 - momentum_product * next_momentum)
    _, root_correction = corrected(step, learning_rate, beta_1, beta_2)
    root = xp.sqrt(second_moment) * root_correction + epsilon
    return p - (of_gradient * g + of_moment * first_moment) / root, first_moment, second_moment


def lion(
    step: int,
    p: Array,
    g: Array,
    first_moment: Array,
    learning_rate: float,
    beta_1: float,
    beta_2: float,
    weight_decay: float,
    xp: Namespace = np,
) -> tuple[Array, ...]:
    """Step by the sign of a running mean of the gradient."""
    p = p * (1 - learning_rate * weight_decay)
    p = p - learning_rate * xp.sign(beta_1 * first_moment + (1 - beta_1) * g)
    return p, beta_2 * first_moment + (1 - beta_2) * g


def average(
    step: int, p: Array, g: Array, average: Array, learning_rate: float, ema_momentum: float, xp: Namespace = np
) -> tuple[Array, ...]:
    """Running mean of a parameter that another rule has just updated."""
    kept = 0.0 if step == 1 else ema_momentum
    return p, kept * average + (1 - kept) * p


@dataclass(frozen=True)
class Rule:
    """An update function, the names of its slots, and of its hyperparameters after `learning_rate`.

    It works element by element, so a backend may apply it to any part of the parameters.
    """

    function: Callable[..., tuple[Array, ...]]
    slots: tuple[str, ...]
    hyperparameters: tuple[str, ...]

    @property
    def name(self) -> str | None:
        """The name of its versions in `cpu.py` and `gpu.py`; None for a rule outside `RULES`."""
        return next((name for name, rule in RULES.items() if rule is self), None)


RULES = {
    "sgd": Rule(sgd, (), ("weight_decay",)),
    "momentum": Rule(momentum, ("velocity",), ("momentum", "weight_decay")),
    "nesterov": Rule(nesterov, ("velocity",), ("momentum", "weight_decay")),
    "rmsprop": Rule(rmsprop, ("square",), ("rho", "epsilon")),
    "adam": Rule(adam, ("first_moment", "second_moment"), ("beta_1", "beta_2", "epsilon")),
    "adamw": Rule(adamw, ("first_moment", "second_moment"), ("beta_1", "beta_2", "epsilon", "weight_decay")),
    "amsgrad": Rule(
        amsgrad, ("first_moment", "second_moment", "largest"), ("beta_1", "beta_2", "epsilon", "weight_decay")
    ),
    "adagrad": Rule(adagrad, ("square",), ("initial_accumulator_value", "epsilon", "weight_decay")),
    "adamax": Rule(adamax, ("first_moment", "largest"), ("beta_1", "beta_2", "epsilon", "weight_decay")),
    "nadam": Rule(
        nadam,
        ("first_moment", "second_moment"),
        ("beta_1", "beta_2", "epsilon", "weight_decay", "momentum", "next_momentum", "momentum_product"),
    ),
    "lion": Rule(lion, ("first_moment",), ("beta_1", "beta_2", "weight_decay")),
    "average": Rule(average, ("average",), ("ema_momentum",)),
}

AVERAGE = RULES["average"]
"""Applied after any rule if a running mean of the parameters is kept."""
