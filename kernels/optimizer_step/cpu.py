"""Weight updates, one loop over a slice of parameters and slots, in place. Contract: the package's docstring.

The arguments are those of the reference, in the same order; what the reference returns is written over p and the
slots. What does not depend on the element is computed once, before the loop.
"""

import math

from dnnkit.kernels._numba.jit import jit


@jit
def sgd(step, p, g, learning_rate, weight_decay):
    kind = p.dtype.type
    rate, decay = kind(learning_rate), kind(weight_decay)
    for i in range(p.size):
        p[i] -= rate * (g[i] + decay * p[i])


@jit
def momentum(step, p, g, velocity, learning_rate, momentum, weight_decay):
    kind = p.dtype.type
    rate, kept, decay = kind(learning_rate), kind(momentum), kind(weight_decay)
    for i in range(p.size):
        velocity[i] = kept * velocity[i] + (g[i] + decay * p[i])
        p[i] -= rate * velocity[i]


@jit
def nesterov(step, p, g, velocity, learning_rate, momentum, weight_decay):
    kind = p.dtype.type
    rate, kept, decay = kind(learning_rate), kind(momentum), kind(weight_decay)
    for i in range(p.size):
        gradient = g[i] + decay * p[i]
        velocity[i] = kept * velocity[i] + gradient
        p[i] -= rate * (gradient + kept * velocity[i])


@jit
def rmsprop(step, p, g, square, learning_rate, rho, epsilon):
    kind = p.dtype.type
    rate, kept, added, small = kind(learning_rate), kind(rho), kind(1 - rho), kind(epsilon)
    for i in range(p.size):
        square[i] = kept * square[i] + added * (g[i] * g[i])
        p[i] -= rate * g[i] / (math.sqrt(square[i]) + small)


@jit
def adam(step, p, g, first_moment, second_moment, learning_rate, beta_1, beta_2, epsilon):
    kind = p.dtype.type
    kept_1, added_1, kept_2, added_2 = kind(beta_1), kind(1 - beta_1), kind(beta_2), kind(1 - beta_2)
    step_size, small = kind(learning_rate / (1 - beta_1**step)), kind(epsilon)
    root_correction = kind(1 / math.sqrt(1 - beta_2**step))
    for i in range(p.size):
        first_moment[i] = kept_1 * first_moment[i] + added_1 * g[i]
        second_moment[i] = kept_2 * second_moment[i] + added_2 * (g[i] * g[i])
        p[i] -= step_size * first_moment[i] / (math.sqrt(second_moment[i]) * root_correction + small)


@jit
def adamw(step, p, g, first_moment, second_moment, learning_rate, beta_1, beta_2, epsilon, weight_decay):
    kept = p.dtype.type(1 - learning_rate * weight_decay)
    for i in range(p.size):
        p[i] *= kept
    adam(step, p, g, first_moment, second_moment, learning_rate, beta_1, beta_2, epsilon)
