"""JAX: the epoch is one jitted scan over its batches; the data are constants on the device, the state is donated.

On a GPU its products use float32 precision like all peers'; its default there is TF32.
"""

# The library has no types here.
# mypy: disallow-untyped-decorators=False

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from . import machine
from .works import LAST, MOMENTUM, WEIGHT_DECAY, Network, Work, in_order, initial_weights

PACKAGES = ("jax", "jaxlib")
VARIANTS = ("", "gpu")
GENERAL = ("", "gpu")
GPU = ("gpu",)
ACTIVATIONS: dict[str, Callable[[Any], Any]] = {
    "relu": jax.nn.relu,
    "tanh": jnp.tanh,
    "sigmoid": jax.nn.sigmoid,
    "gelu": partial(jax.nn.gelu, approximate=False),
    "silu": jax.nn.silu,
}
LAST_ACTIVATIONS: dict[str, Callable[[Any], Any]] = {
    "softmax": jax.nn.softmax,
    "sigmoid": jax.nn.sigmoid,
    "linear": lambda z: z,
}
SLOTS = {"sgd": 0, "momentum": 1, "adam": 2, "adamw": 2}


def _cross_entropy(z: Any, classes: Any) -> Any:
    return jax.nn.logsumexp(z, axis=1) - jnp.take_along_axis(z, classes[:, None], axis=1)[:, 0]


LOSSES: dict[str, Callable[[Any, Any], Any]] = {
    "sparse_categorical_crossentropy": _cross_entropy,
    "binary_crossentropy": lambda z, t: jnp.maximum(z, 0) - z * t + jnp.log1p(jnp.exp(-jnp.abs(z))),
    "mean_squared_error": lambda z, t: jnp.square(z - t),
}
"""Losses as functions of the last layer's pre-activations."""


def about(variant: str) -> dict[str, str]:
    device = _use(variant)
    if variant in GPU:
        return {"setting": "jitted lax.scan over the epoch, float32 products", "device": device.device_kind}
    threads = f"XLA's pool, up to {machine.processors()}"
    return {"setting": "jitted lax.scan over the epoch", "threads": threads, "device": device.platform}


def _use(variant: str) -> Any:
    """Select the variant's device for all following computations."""
    device = jax.devices("gpu" if variant in GPU else "cpu")[0]
    jax.config.update("jax_default_device", device)
    if variant in GPU:
        jax.config.update("jax_default_matmul_precision", "highest")
    return device


def network(work: Work, x: NDArray[Any], y: NDArray[Any], variant: str) -> Network:
    _use(variant)
    jax.config.update("jax_enable_x64", work.dtype == "float64")
    inputs, targets = jax.device_put(x), jnp.asarray(y, jnp.int32 if y.ndim == 1 else work.dtype)
    parameters = jax.tree.map(jnp.array, initial_weights(work))
    activation, row_losses, update = ACTIVATIONS[work.activation], LOSSES[work.loss], _update(work)
    size = work.batch_size

    def outputs(parameters: Any, rows: Any) -> Any:
        *hidden, (weight, bias) = parameters
        for kernel, shift in hidden:
            rows = activation(rows @ kernel + shift)
        return rows @ weight + bias

    def mean_loss(parameters: Any, rows: Any, wanted: Any) -> Any:
        return row_losses(outputs(parameters, rows), wanted).mean()

    def step(state: Any, rows: Any) -> Any:
        parameters, slots, count = state
        loss, gradients = jax.value_and_grad(mean_loss)(parameters, inputs[rows], targets[rows])
        count = count + 1
        return (*update(parameters, gradients, slots, count), count), loss

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
    def predictions(parameters: Any, rows: Any) -> Any:
        return LAST_ACTIVATIONS[LAST[work.loss]](outputs(parameters, rows))

    slots = [jax.tree.map(jnp.zeros_like, parameters) for _ in range(SLOTS[work.optimizer])]
    state = (parameters, slots, jnp.zeros((), work.dtype))

    def epoch(order: NDArray[Any]) -> float:
        nonlocal state
        state, loss = jax.block_until_ready(run(state, order.astype(np.int32)))
        return float(loss)

    return Network(in_order(epoch, len(x)), lambda rows: np.asarray(predictions(state[0], rows)))


def _update(work: Work) -> Callable[[Any, Any, Any, Any], tuple[Any, Any]]:
    """Return a function of parameters, gradients, slots and step count: the new parameters and slots."""
    rate, decay = work.learning_rate, work.learning_rate * WEIGHT_DECAY if work.optimizer == "adamw" else 0.0

    def sgd(parameters: Any, gradients: Any, slots: Any, count: Any) -> tuple[Any, Any]:
        return jax.tree.map(lambda p, g: p - rate * g, parameters, gradients), slots

    def momentum(parameters: Any, gradients: Any, slots: Any, count: Any) -> tuple[Any, Any]:
        velocity = jax.tree.map(lambda v, g: MOMENTUM * v + g, slots[0], gradients)
        return jax.tree.map(lambda p, v: p - rate * v, parameters, velocity), [velocity]

    def adam(parameters: Any, gradients: Any, slots: Any, count: Any) -> tuple[Any, Any]:
        size, root = rate / (1 - 0.9**count), jnp.sqrt(1 - 0.999**count)
        first = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, slots[0], gradients)
        second = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, slots[1], gradients)

        def moved(p: Any, m: Any, v: Any) -> Any:
            return (p * (1 - decay) if decay else p) - size * m / (jnp.sqrt(v) / root + 1e-8)

        return jax.tree.map(moved, parameters, first, second), [first, second]

    return {"sgd": sgd, "momentum": momentum, "adam": adam, "adamw": adam}[work.optimizer]


def neuron(
    x: NDArray[Any], y: NDArray[Any], weights: NDArray[Any], iterations: int, variant: str
) -> Callable[[], NDArray[Any]]:
    jax.config.update("jax_enable_x64", True)
    inputs, targets, w = jnp.asarray(x), jnp.asarray(y), jnp.asarray(weights)

    def iteration(_: int, w: Any) -> Any:
        """Use sums in place of products: XLA fuses them into one loop, which is a fifth faster."""
        p = jax.nn.sigmoid((inputs * w.T).sum(axis=1, keepdims=True))
        return w + (inputs * ((targets - p) * p * (1 - p))).sum(axis=0)[:, None]

    loop = jax.jit(lambda w: jax.lax.fori_loop(0, iterations, iteration, w))

    def run() -> NDArray[Any]:
        nonlocal w
        w = loop(w)
        return np.asarray(w)

    return run


def product(a: NDArray[Any], b: NDArray[Any]) -> Callable[[], Any]:
    jax.config.update("jax_enable_x64", a.dtype == np.float64)
    left, right = jax.device_put(a), jax.device_put(b)
    multiply = jax.jit(jnp.matmul)
    return lambda: multiply(left, right).block_until_ready()
