"""The peers' side of `benchmarks/many.py`: a script for an interpreter with JAX or PyTorch, without dnnkit.

`python many_peers.py jax|torch DATA.npz NETWORKS HIDDEN BATCH EPOCHS ROUNDS` trains the networks together, each with
its own weights and order, and prints a JSON object per round: seconds per network and epoch, by wall-clock and
processor time, and the mean loss of the last epoch. A first round compiles and is not reported.
"""

import json
import math
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

RATE, BETAS, EPSILON = 1e-3, (0.9, 0.999), 1e-8


def first_weights(seed: int, features: int, hidden: int, classes: int) -> list[Any]:
    """Return Glorot-uniform kernels and zero biases."""
    rng, made = np.random.default_rng(seed), []
    for inputs, outputs in ((features, hidden), (hidden, classes)):
        limit = math.sqrt(6 / (inputs + outputs))
        made += [rng.uniform(-limit, limit, (inputs, outputs)).astype("float32"), np.zeros(outputs, "float32")]
    return made


def stacked(networks: int, features: int, hidden: int, classes: int) -> list[Any]:
    """Return the weights of all networks, stacked."""
    each = [first_weights(seed, features, hidden, classes) for seed in range(networks)]
    return [np.stack(arrays) for arrays in zip(*each, strict=True)]


def orders(networks: int, samples: int, batch: int, epoch: int) -> Any:
    """Return (steps, networks, batch) of row numbers; an incomplete last batch is dropped."""
    steps = samples // batch
    drawn = [np.random.default_rng([epoch, net]).permutation(samples)[: steps * batch] for net in range(networks)]
    return np.stack(drawn).reshape(networks, steps, batch).transpose(1, 0, 2)


def with_jax(x: Any, y: Any, networks: int, hidden: int, batch: int) -> Callable[[int], float]:
    """Return a function that trains an epoch: a jitted scan over its steps, with a network's step mapped over all."""
    import jax
    import jax.numpy as jnp

    def loss(weights: Any, rows: Any, labels: Any) -> Any:
        scores = jax.nn.relu(rows @ weights[0] + weights[1]) @ weights[2] + weights[3]
        return -jnp.take_along_axis(jax.nn.log_softmax(scores), labels[:, None], axis=1).mean()

    def step(state: Any, rows: Any, labels: Any, number: Any) -> Any:
        weights, means, squares = state
        value, gradients = jax.value_and_grad(loss)(weights, rows, labels)
        first, second = BETAS
        means = [first * m + (1 - first) * g for m, g in zip(means, gradients, strict=True)]
        squares = [second * s + (1 - second) * g * g for s, g in zip(squares, gradients, strict=True)]
        scale = jnp.sqrt(1 - second**number)
        weights = [
            w - RATE / (1 - first**number) * m / (jnp.sqrt(s) / scale + EPSILON)
            for w, m, s in zip(weights, means, squares, strict=True)
        ]
        return (weights, means, squares), value

    def epoch(state: Any, chosen: Any, done: Any) -> Any:
        def one(carry: Any, places: Any) -> Any:
            state, number = carry
            state, values = jax.vmap(step, in_axes=(0, 0, 0, None))(state, x_here[places], y_here[places], number)
            return (state, number + 1), values

        (state, _), values = jax.lax.scan(one, (state, done + 1.0), chosen)
        return state, values.mean()

    x_here, y_here = jnp.asarray(x), jnp.asarray(y)
    weights = [jnp.asarray(each) for each in stacked(networks, x.shape[1], hidden, int(y.max()) + 1)]
    state = [(weights, [jnp.zeros_like(w) for w in weights], [jnp.zeros_like(w) for w in weights])]
    run = jax.jit(epoch, donate_argnums=0)

    def go(number: int) -> float:
        chosen = orders(networks, len(x), batch, number)
        state[0], value = run(state[0], chosen, float(number * len(chosen)))
        return float(value)

    return go


def with_torch(x: Any, y: Any, networks: int, hidden: int, batch: int) -> Callable[[int], float]:
    """Return a function that trains an epoch: gradients of all networks by `torch.func`, one fused Adam for all."""
    import torch
    from torch.func import functional_call, grad_and_value, stack_module_state, vmap

    features, classes = x.shape[1], int(y.max()) + 1
    nets = [
        torch.nn.Sequential(torch.nn.Linear(features, hidden), torch.nn.ReLU(), torch.nn.Linear(hidden, classes))
        for _ in range(networks)
    ]
    base, x_here, y_here = nets[0], torch.from_numpy(x), torch.from_numpy(y)
    weights, _ = stack_module_state(nets)
    weights = {name: value.detach().clone().requires_grad_() for name, value in weights.items()}
    optimizer = torch.optim.Adam(list(weights.values()), RATE, BETAS, EPSILON, fused=True)

    def loss(own: Any, rows: Any, labels: Any) -> Any:
        return torch.nn.functional.cross_entropy(functional_call(base, own, (rows,)), labels)

    differentiate = vmap(grad_and_value(loss), in_dims=(0, 0, 0))

    def go(number: int) -> float:
        values = []
        for places in torch.from_numpy(np.ascontiguousarray(orders(networks, len(x), batch, number))):
            gradients, value = differentiate(
                {k: w.detach() for k, w in weights.items()}, x_here[places], y_here[places]
            )
            for name, parameter in weights.items():
                parameter.grad = gradients[name]
            optimizer.step()
            values.append(value)
        return float(torch.stack(values).mean())

    return go


def main() -> None:
    """Train, and print."""
    library, path, *numbers = sys.argv[1:]
    networks, hidden, batch, epochs, rounds = map(int, numbers)
    with np.load(path) as file:
        x, y = file["x"], file["y"]
    go = {"jax": with_jax, "torch": with_torch}[library](x, y, networks, hidden, batch)
    go(0)
    for each in range(rounds):
        clock, processor = time.perf_counter(), time.process_time()
        for number in range(epochs):
            loss = go(1 + each * epochs + number)
        seconds = time.perf_counter() - clock, time.process_time() - processor
        clock, processor = (value / (networks * epochs) for value in seconds)
        print(json.dumps({"clock": clock, "processor": processor, "loss": loss}), flush=True)


if __name__ == "__main__":
    main()
