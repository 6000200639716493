"""CartPole-v1 by PPO: `python examples/cartpole.py [--seeds 5] [--torch]`.

A pole stands on a cart that is pushed left or right; an episode ends when it falls, leaves the track, or after 500
steps. It is solved when the mean of 100 episodes is 475 or more. Physics: A. Barto, R. Sutton, C. Anderson, "Neuronlike
Adaptive Elements That Can Solve Difficult Learning Control Problems", 1983, with the constants, limits and Euler steps
of Gymnasium's CartPole-v1. PPO: J. Schulman et al., arXiv:1707.06347; advantages: arXiv:1506.02438.

The policy's loss is not one of dnnkit's, so this script computes its gradient and passes it to `policy.step`. With
`--torch`, PyTorch trains the same networks from the same gradients.
"""

import argparse
import time
from typing import Any, Protocol

import numpy as np

import dnnkit as dk

GRAVITY, CART, POLE, HALF_LENGTH, FORCE, SECONDS = 9.8, 1.0, 0.1, 0.5, 10.0, 0.02
MOST_X, MOST_ANGLE, MOST_STEPS = 2.4, 12 * np.pi / 180, 500
SOLVED, EPISODES = 475.0, 100

CARTS, HORIZON, PASSES = 8, 32, 20
DISCOUNT, SMOOTHING, CLIP, ENTROPY, RATE = 0.98, 0.8, 0.2, 0.005, 1e-3


class Carts:
    """Several carts; each begins a new episode when its last one ends."""

    def __init__(self, count: int, rng: np.random.Generator) -> None:
        self._rng = rng
        self.state, self.steps = self._new(count), np.zeros(count, np.int64)
        self.returns: list[int] = []
        """The steps of each episode that has ended."""

    def _new(self, count: int) -> Any:
        return self._rng.uniform(-0.05, 0.05, (count, 4))

    def push(self, right: Any) -> tuple[Any, Any, Any]:
        """Return (state after the push, pole fell, episode ended) per cart, and start new episodes."""
        x, speed, angle, turn = self.state.T
        sine, cosine, mass = np.sin(angle), np.cos(angle), CART + POLE
        pushed = (np.where(right, FORCE, -FORCE) + POLE * HALF_LENGTH * turn**2 * sine) / mass
        angular = (GRAVITY * sine - cosine * pushed) / (HALF_LENGTH * (4 / 3 - POLE * cosine**2 / mass))
        linear = pushed - POLE * HALF_LENGTH * angular * cosine / mass
        after = np.stack([x, speed, angle, turn], 1) + SECONDS * np.stack([speed, linear, turn, angular], 1)
        self.steps += 1
        fell = (np.abs(after[:, 0]) > MOST_X) | (np.abs(after[:, 2]) > MOST_ANGLE)
        ended = fell | (self.steps >= MOST_STEPS)
        self.returns += self.steps[ended].tolist()
        self.state = np.where(ended[:, None], self._new(len(after)), after)
        self.steps[ended] = 0
        return after, fell, ended


class Agent(Protocol):
    """Policy and value function of states (B, 4)."""

    def probabilities(self, states: Any) -> Any:
        """Return the probabilities of the actions, (B, 2)."""

    def values(self, states: Any) -> Any:
        """Return the values, (B,)."""

    def improve(self, states: Any, logits_gradient: Any, targets: Any) -> None:
        """Take a step of the policy, from the gradient of its logits, and one of the values."""


class DnnkitAgent:
    """Policy and value function as two networks of dnnkit."""

    def __init__(self, seed: int) -> None:
        def body() -> list[dk.Layer]:
            return [dk.Dense(64, activation="tanh") for _ in range(2)]

        self.policy = dk.Sequential([*body(), dk.Dense(2, activation="softmax")], seed=seed)
        self.critic = dk.Sequential([*body(), dk.Dense(1)], seed=seed + 1)
        self.policy.compile(dk.Adam(RATE))
        self.critic.compile(dk.Adam(RATE), "mean_squared_error")

    def probabilities(self, states: Any) -> Any:  # noqa: D102
        return self.policy.predict(states)

    def values(self, states: Any) -> Any:  # noqa: D102
        return self.critic.predict(states)[:, 0]

    def improve(self, states: Any, logits_gradient: Any, targets: Any) -> None:  # noqa: D102
        self.policy.step(states, logits_gradient=logits_gradient)
        self.critic.train_step(states, targets)


class TorchAgent:
    """The same networks in PyTorch, with the same initial weights."""

    def __init__(self, seed: int) -> None:
        import torch

        torch.set_num_threads(1)  # the fastest setting for networks this small
        self._torch, networks, first = torch, [], DnnkitAgent(seed)
        for net, outputs in ((first.policy, 2), (first.critic, 1)):
            net.build(4)
            layers = [torch.nn.Linear(4, 64), torch.nn.Linear(64, 64), torch.nn.Linear(64, outputs)]
            for layer, same in zip(layers, net.layers, strict=True):
                kernel, bias = map(torch.from_numpy, same.get_weights())
                layer.weight.data, layer.bias.data = kernel.T.contiguous(), bias
            tanh = torch.nn.Tanh
            networks.append(torch.nn.Sequential(layers[0], tanh(), layers[1], tanh(), layers[2]))
        self._policy, self._critic = networks
        self._optimizers = [torch.optim.Adam(net.parameters(), lr=RATE, fused=True) for net in networks]

    def probabilities(self, states: Any) -> Any:  # noqa: D102
        with self._torch.inference_mode():
            return self._torch.softmax(self._policy(self._torch.from_numpy(states)), 1).numpy()

    def values(self, states: Any) -> Any:  # noqa: D102
        with self._torch.inference_mode():
            return self._critic(self._torch.from_numpy(states))[:, 0].numpy()

    def improve(self, states: Any, logits_gradient: Any, targets: Any) -> None:  # noqa: D102
        given = self._torch.from_numpy(states)
        for optimizer in self._optimizers:
            optimizer.zero_grad()
        self._policy(given).backward(self._torch.from_numpy(logits_gradient))
        wanted = self._torch.from_numpy(targets)
        self._torch.nn.functional.mse_loss(self._critic(given)[:, 0], wanted).backward()
        for optimizer in self._optimizers:
            optimizer.step()


def logits_gradient(now: Any, actions: Any, before: Any, advantages: Any) -> Any:
    """Return dL/dz of PPO's clipped loss minus an entropy bonus, means over rows; `before` (B,): of the actions."""
    chosen = np.eye(2)[actions]
    ratio = (now * chosen).sum(1) / before
    clipped = np.where(advantages > 0, ratio > 1 + CLIP, ratio < 1 - CLIP)
    of_policy = -(np.where(clipped, 0.0, ratio * advantages))[:, None] * (chosen - now)
    logs = np.log(now + 1e-12)
    of_entropy = now * (logs - (now * logs).sum(1, keepdims=True))
    return ((of_policy + ENTROPY * of_entropy) / len(now)).astype(np.float32)


def train(agent: Agent, seed: int, most_steps: int = 300_000) -> tuple[int, list[int]]:
    """Train until solved; return (steps of all carts, returns of the episodes)."""
    rng = np.random.default_rng(seed)
    carts, steps = Carts(CARTS, rng), 0
    shape = HORIZON, CARTS
    while steps < most_steps and np.mean(carts.returns[-EPISODES:] or [0]) < SOLVED:
        states, after = (np.empty((*shape, 4), np.float32) for _ in range(2))
        actions, chances = np.empty(shape, np.int64), np.empty(shape)
        fell, ended = np.empty(shape, bool), np.empty(shape, bool)
        for t in range(HORIZON):
            states[t] = carts.state
            right = agent.probabilities(states[t])[:, 1]
            actions[t] = rng.random(CARTS) < right
            chances[t] = np.where(actions[t], right, 1 - right)
            after[t], fell[t], ended[t] = carts.push(actions[t])
        steps += HORIZON * CARTS
        values, next_values = (agent.values(each.reshape(-1, 4)).reshape(shape) for each in (states, after))
        errors = 1.0 + DISCOUNT * next_values * ~fell - values
        advantages, later = np.empty(shape), np.zeros(CARTS)
        for t in reversed(range(HORIZON)):
            advantages[t] = later = errors[t] + DISCOUNT * SMOOTHING * ~ended[t] * later
        targets = (advantages + values).reshape(-1).astype(np.float32)
        flat, x = ((advantages - advantages.mean()) / (advantages.std() + 1e-8)).reshape(-1), states.reshape(-1, 4)
        for _ in range(PASSES):
            gradient = logits_gradient(agent.probabilities(x), actions.reshape(-1), chances.reshape(-1), flat)
            agent.improve(x, gradient, targets)
    return steps, carts.returns


def main() -> None:
    """Train with each seed, and print how long it took."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--torch", action="store_true", help="Also train with PyTorch.")
    options = parser.parse_args()
    for seed in range(options.seeds):
        for kind in (DnnkitAgent, TorchAgent)[: 1 + options.torch]:
            agent, start, busy = kind(seed), time.perf_counter(), time.process_time()
            steps, returns = train(agent, seed)
            seconds, busy = time.perf_counter() - start, time.process_time() - busy
            mean = np.mean(returns[-EPISODES:])
            print(
                f"{kind.__name__:12} seed {seed}: mean return {mean:.0f} after {steps:7,} steps, {seconds:5.1f} s "
                f"({busy:.1f} s of a processor)",
                flush=True,
            )


if __name__ == "__main__":
    main()
