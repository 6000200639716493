"""Optimizer steps, one loop over parameters and slots, in place. Contract: the package's docstring.

The arguments are those of the reference, in the same order; the reference's results overwrite p and the slots. Whatever
does not depend on the element is computed once, before the loop, and rounded to the dtype of p.
"""

import math

from dnnkit.kernels._numba.elementary import square_root
from dnnkit.kernels._numba.jit import jit


@jit
def sgd(step, p, g, learning_rate, weight_decay):
    kind = p.dtype.type
    learning_rate, weight_decay = kind(learning_rate), kind(weight_decay)
    for i in range(p.size):
        p[i] -= learning_rate * (g[i] + weight_decay * p[i])


@jit
def momentum(step, p, g, velocity, learning_rate, momentum, weight_decay):
    kind = p.dtype.type
    learning_rate, momentum, weight_decay = kind(learning_rate), kind(momentum), kind(weight_decay)
    for i in range(p.size):
        velocity[i] = momentum * velocity[i] + (g[i] + weight_decay * p[i])
        p[i] -= learning_rate * velocity[i]


@jit
def nesterov(step, p, g, velocity, learning_rate, momentum, weight_decay):
    kind = p.dtype.type
    learning_rate, momentum, weight_decay = kind(learning_rate), kind(momentum), kind(weight_decay)
    for i in range(p.size):
        gradient = g[i] + weight_decay * p[i]
        velocity[i] = momentum * velocity[i] + gradient
        p[i] -= learning_rate * (gradient + momentum * velocity[i])


@jit
def rmsprop(step, p, g, square, learning_rate, rho, epsilon):
    kind = p.dtype.type
    learning_rate, rho, one_minus_rho, epsilon = kind(learning_rate), kind(rho), kind(1 - rho), kind(epsilon)
    for i in range(p.size):
        square[i] = rho * square[i] + one_minus_rho * (g[i] * g[i])
        p[i] -= learning_rate * g[i] / (square_root(square[i]) + epsilon)


@jit
def adam(step, p, g, first_moment, second_moment, learning_rate, beta_1, beta_2, epsilon):
    kind = p.dtype.type
    step_size = kind(learning_rate / (1 - beta_1**step))
    root_correction = kind(1 / math.sqrt(1 - beta_2**step))
    beta_1, one_minus_beta_1 = kind(beta_1), kind(1 - beta_1)
    beta_2, one_minus_beta_2, epsilon = kind(beta_2), kind(1 - beta_2), kind(epsilon)
    for i in range(p.size):
        first_moment[i] = beta_1 * first_moment[i] + one_minus_beta_1 * g[i]
        second_moment[i] = beta_2 * second_moment[i] + one_minus_beta_2 * (g[i] * g[i])
        p[i] -= step_size * first_moment[i] / (square_root(second_moment[i]) * root_correction + epsilon)


@jit
def adamw(step, p, g, first_moment, second_moment, learning_rate, beta_1, beta_2, epsilon, weight_decay):
    decay = p.dtype.type(1 - learning_rate * weight_decay)
    for i in range(p.size):
        p[i] *= decay
    adam(step, p, g, first_moment, second_moment, learning_rate, beta_1, beta_2, epsilon)


@jit
def larger(a, b):
    """Return the larger number, or NaN if either is NaN."""
    return a if a >= b or a != a else b


@jit
def amsgrad(step, p, g, first_moment, second_moment, largest, learning_rate, beta_1, beta_2, epsilon, weight_decay):
    kind = p.dtype.type
    decay = kind(1 - learning_rate * weight_decay)
    step_size = kind(learning_rate / (1 - beta_1**step))
    root_correction = kind(1 / math.sqrt(1 - beta_2**step))
    beta_1, one_minus_beta_1 = kind(beta_1), kind(1 - beta_1)
    beta_2, one_minus_beta_2, epsilon = kind(beta_2), kind(1 - beta_2), kind(epsilon)
    for i in range(p.size):
        first_moment[i] = beta_1 * first_moment[i] + one_minus_beta_1 * g[i]
        second_moment[i] = beta_2 * second_moment[i] + one_minus_beta_2 * (g[i] * g[i])
        largest[i] = larger(second_moment[i], largest[i])
        p[i] = decay * p[i] - step_size * first_moment[i] / (square_root(largest[i]) * root_correction + epsilon)


@jit
def adagrad(step, p, g, square, learning_rate, initial_accumulator_value, epsilon, weight_decay):
    kind = p.dtype.type
    decay, initial = kind(1 - learning_rate * weight_decay), kind(initial_accumulator_value)
    learning_rate, epsilon = kind(learning_rate), kind(epsilon)
    for i in range(p.size):
        square[i] += g[i] * g[i]
        p[i] = decay * p[i] - learning_rate * g[i] / (square_root(square[i] + initial) + epsilon)


@jit
def adamax(step, p, g, first_moment, largest, learning_rate, beta_1, beta_2, epsilon, weight_decay):
    kind = p.dtype.type
    decay, step_size = kind(1 - learning_rate * weight_decay), kind(learning_rate / (1 - beta_1**step))
    beta_1, one_minus_beta_1, beta_2, epsilon = kind(beta_1), kind(1 - beta_1), kind(beta_2), kind(epsilon)
    for i in range(p.size):
        first_moment[i] = beta_1 * first_moment[i] + one_minus_beta_1 * g[i]
        largest[i] = larger(abs(g[i]) + epsilon, beta_2 * largest[i])
        p[i] = decay * p[i] - step_size * first_moment[i] / largest[i]


@jit
def nadam(
    step, p, g, first_moment, second_moment, learning_rate, beta_1, beta_2, epsilon, weight_decay, momentum,
    next_momentum, momentum_product,
):  # fmt: skip
    kind = p.dtype.type
    decay = kind(1 - learning_rate * weight_decay)
    of_gradient = kind(learning_rate * (1 - momentum) / (1 - momentum_product))
    of_moment = kind(learning_rate * next_momentum / (1 - momentum_product * next_momentum))
    root_correction = kind(1 / math.sqrt(1 - beta_2**step))
    beta_1, one_minus_beta_1 = kind(beta_1), kind(1 - beta_1)
    beta_2, one_minus_beta_2, epsilon = kind(beta_2), kind(1 - beta_2), kind(epsilon)
    for i in range(p.size):
        first_moment[i] = beta_1 * first_moment[i] + one_minus_beta_1 * g[i]
        second_moment[i] = beta_2 * second_moment[i] + one_minus_beta_2 * (g[i] * g[i])
        root = square_root(second_moment[i]) * root_correction + epsilon
        p[i] = decay * p[i] - (of_gradient * g[i] + of_moment * first_moment[i]) / root


@jit
def lion(step, p, g, first_moment, learning_rate, beta_1, beta_2, weight_decay):
    kind = p.dtype.type
    decay, learning_rate, zero = kind(1 - learning_rate * weight_decay), kind(learning_rate), kind(0)
    beta_1, one_minus_beta_1 = kind(beta_1), kind(1 - beta_1)
    beta_2, one_minus_beta_2 = kind(beta_2), kind(1 - beta_2)
    for i in range(p.size):
        mean = beta_1 * first_moment[i] + one_minus_beta_1 * g[i]
        moved = learning_rate if mean > zero else (-learning_rate if mean < zero else mean)  # NaN stays NaN
        p[i] = decay * p[i] - moved
        first_moment[i] = beta_2 * first_moment[i] + one_minus_beta_2 * g[i]


@jit
def average(step, p, g, average, learning_rate, ema_momentum):
    kind, momentum = p.dtype.type, 0.0 if step == 1 else ema_momentum
    kept, added = kind(momentum), kind(1 - momentum)
    for i in range(p.size):
        average[i] = kept * average[i] + added * p[i]
