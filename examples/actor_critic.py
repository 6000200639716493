"""An actor and a critic with one trunk: `python examples/actor_critic.py [--steps 4000]`.

A cart on a line of 9 places starts in the middle and steps left or right; the right end is worth 1, the left end 0.2,
each step costs 0.01. One network gives the policy and the value. One call of `step` takes the gradients of both losses,
with respect to the policy's logits and to the value, and trains trunk and heads. V. Konda, J. Tsitsiklis, "Actor-Critic
Algorithms", 2000; the loss with an entropy bonus is that of V. Mnih et al., arXiv:1602.01783.
"""

import argparse
from typing import Any

import numpy as np

import dnnkit as dk

PLACES, CARTS, DISCOUNT, ENTROPY = 9, 32, 0.97, 0.01
LEFT, RIGHT, COST = 0.2, 1.0, 0.01


def actor_critic(seed: int = 0) -> dk.Model:
    """Place (one-hot) -> policy and value."""
    place = dk.Input((PLACES,), name="place")
    trunk = dk.Dense(32, activation="tanh", name="trunk")(place)
    policy = dk.Dense(2, activation="softmax", name="policy")(trunk)
    value = dk.Dense(1, name="value")(trunk)
    net = dk.Model(place, {"policy": policy, "value": value}, seed=seed)
    net.compile(dk.Adam(3e-3))
    return net


def train(net: dk.Model, steps: int, seed: int = 0) -> None:
    """Train for `steps` steps of all carts."""
    rng, rows = np.random.default_rng(seed), np.eye(PLACES, dtype=np.float32)
    places = np.full(CARTS, PLACES // 2)
    for _ in range(steps):
        now = net.predict(rows[places])
        actions = (rng.random(CARTS) < now["policy"][:, 1]).astype(int)
        after = places + 2 * actions - 1
        ended = (after == 0) | (after == PLACES - 1)
        rewards = np.where(after == 0, LEFT, np.where(after == PLACES - 1, RIGHT, 0.0)) - COST
        wanted = rewards + DISCOUNT * ~ended * net.predict(rows[after])["value"][:, 0]
        advantages, p = wanted - now["value"][:, 0], now["policy"]
        logs = np.log(p + 1e-12)
        of_entropy = p * (logs - (p * logs).sum(1, keepdims=True))
        of_policy = -advantages[:, None] * (np.eye(2)[actions] - p)
        net.step(
            rows[places],
            {"value": -advantages[:, None] / CARTS},  # of ½ (wanted - value)²
            logits_gradient={"policy": (of_policy + ENTROPY * of_entropy) / CARTS},
        )
        places = np.where(ended, PLACES // 2, after)


def values_of_going_right() -> Any:
    """Return the value of each place between the ends under the policy that always goes right."""
    left = PLACES - 2 - np.arange(1, PLACES - 1)
    return DISCOUNT**left * RIGHT - COST * (1 - DISCOUNT ** (left + 1)) / (1 - DISCOUNT)


def main(steps: int = 4000) -> Any:
    """Train, and print policy and value of each place."""
    net = actor_critic()
    train(net, steps)
    found = net.predict(np.eye(PLACES, dtype=np.float32)[1:-1])
    print("place  goes right  value  of going right")
    for place, (right, value, best) in enumerate(
        zip(found["policy"][:, 1], found["value"][:, 0], values_of_going_right(), strict=True), 1
    ):
        print(f"{place:5}  {right:10.2f}  {value:5.2f}  {best:14.2f}")
    return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=4000)
    main(parser.parse_args().steps)
