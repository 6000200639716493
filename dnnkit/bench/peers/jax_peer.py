"""JAX: the epoch is one jitted scan over its batches; the data are constants on the device, the state is donated."""

# The library comes without types here.
# mypy: disallow-untyped-decorators=False

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from . import machine
from .works import Network, Work, initial_weights, repeated

PACKAGES = ("jax", "jaxlib")
VARIANTS = ("",)


def about(variant: str) -> dict[str, str]:
    threads = f"XLA's pool, up to {machine.processors()}"
    return {"setting": "jitted lax.scan over the epoch", "threads": threads, "device": jax.devices()[0].platform}


def network(work: Work, x: NDArray[Any], y: NDArray[Any], variant: str) -> Network:
    inputs, labels = jax.device_put(x), jnp.asarray(y, jnp.int32)
    parameters = jax.tree.map(jnp.array, initial_weights(work))
    activation = jax.nn.relu if work.activation == "relu" else jax.nn.sigmoid
    rng, size = np.random.default_rng(0), work.batch_size

    def scores(parameters: Any, rows: Any) -> Any:
        *hidden, (weight, bias) = parameters
        for kernel, shift in hidden:
            rows = activation(rows @ kernel + shift)
        return rows @ weight + bias

    def mean_loss(parameters: Any, rows: Any, targets: Any) -> Any:
        z = scores(parameters, rows)
        return (jax.nn.logsumexp(z, axis=1) - jnp.take_along_axis(z, targets[:, None], axis=1)[:, 0]).mean()

    def step(state: Any, rows: Any) -> Any:
        parameters, first, second, count = state
        loss, gradients = jax.value_and_grad(mean_loss)(parameters, inputs[rows], labels[rows])
        if work.optimizer == "sgd":
            parameters = jax.tree.map(lambda p, g: p - work.learning_rate * g, parameters, gradients)
            return (parameters, first, second, count), loss
        count = count + 1
        rate, root = work.learning_rate / (1 - 0.9**count), jnp.sqrt(1 - 0.999**count)
        first = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, first, gradients)
        second = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, second, gradients)
        parameters = jax.tree.map(lambda p, m, v: p - rate * m / (jnp.sqrt(v) / root + 1e-8), parameters, first, second)
        return (parameters, first, second, count), loss

    @partial(jax.jit, donate_argnums=0)
    def run(state: Any, order: Any) -> Any:
        whole = len(order) // size
        state, losses = jax.lax.scan(step, state, order[: whole * size].reshape(whole, size))
        total = losses.sum() * size
        if rest := len(order) - whole * size:
            state, loss = step(state, order[whole * size :])
            total += loss * rest
        return state, total / len(order)

    @jax.jit
    def probabilities(parameters: Any, rows: Any) -> Any:
        return jax.nn.softmax(scores(parameters, rows))

    slots = [jax.tree.map(jnp.zeros_like, parameters) if work.optimizer == "adam" else () for _ in range(2)]
    state = (parameters, *slots, jnp.zeros((), jnp.float32))

    def epoch() -> float:
        nonlocal state
        state, loss = jax.block_until_ready(run(state, rng.permutation(len(x)).astype(np.int32)))
        return float(loss)

    return Network(repeated(epoch), lambda rows: np.asarray(probabilities(state[0], rows)))


def neuron(
    x: NDArray[Any], y: NDArray[Any], weights: NDArray[Any], iterations: int, variant: str
) -> Callable[[], NDArray[Any]]:
    jax.config.update("jax_enable_x64", True)
    inputs, targets, w = jnp.asarray(x), jnp.asarray(y), jnp.asarray(weights)

    def iteration(_: int, w: Any) -> Any:
        """With sums in place of products XLA makes one loop of it, a fifth faster."""
        p = jax.nn.sigmoid((inputs * w.T).sum(axis=1, keepdims=True))
        return w + (inputs * ((targets - p) * p * (1 - p))).sum(axis=0)[:, None]

    loop = jax.jit(lambda w: jax.lax.fori_loop(0, iterations, iteration, w))

    def run() -> NDArray[Any]:
        nonlocal w
        w = loop(w)
        return np.asarray(w)

    return run


def product(a: NDArray[Any], b: NDArray[Any]) -> Callable[[], Any]:
    left, right = jax.device_put(a), jax.device_put(b)
    multiply = jax.jit(jnp.matmul)
    return lambda: multiply(left, right).block_until_ready()
