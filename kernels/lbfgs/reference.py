"""Vector operations of L-BFGS, in plain array code; the oracle in float64. Contract: the package's docstring.

`iteration.py` calls these functions with its state `s` and the vectors `v`.
"""

from collections.abc import Callable, Sequence
from dataclasses import field
from typing import Any

import numpy as np

from dnnkit.deferred import dataclass
from dnnkit.kernels.array import Array, Namespace
from dnnkit.kernels.lbfgs import NO_CURVATURE


@dataclass(frozen=True, eq=False)
class Pair:
    """A step, the change of the gradient over it, both (n,), and their dot product, which is above 0."""

    step: Array
    change: Array
    curvature: float


@dataclass(frozen=True, eq=False)
class Point:
    """Parameters and the gradient there; flat."""

    numbers: Array
    gradient: Array


@dataclass(eq=False)
class Vectors:
    """Points of an iteration, and the curvature pairs, the oldest first, of which the newest `s.pairs` are in use."""

    xp: Namespace
    most: int
    """Maximum number of pairs kept."""
    pairs: tuple[Pair, ...] = ()
    now: Point | None = None
    """Start of the iteration."""
    trial: Point | None = None
    """Point at which loss and gradient were evaluated last."""
    kept: Point | None = None
    """Lowest trial with sufficient decrease."""
    wanted: Array | None = None
    """Parameters at which loss and gradient are evaluated next."""
    direction: Array | None = None
    rates: Sequence[float] = (1.0,)
    """Learning rate of each iteration."""
    note: Callable[[], None] = field(default=lambda: None)
    """Called at the end of an iteration."""

    def in_use(self, s: Any) -> tuple[Pair, ...]:
        """Return the pairs in use, the newest of all."""
        return self.pairs[len(self.pairs) - s.pairs :]


def recall(s: Any, v: Any) -> None:
    """Do nothing: pairs that were given come with their dot products."""


def new_direction(s: Any, v: Any) -> float:
    """Set the direction from the pairs in use; return the slope along it."""
    pairs = v.in_use(s)
    steps, changes = [pair.step for pair in pairs], [pair.change for pair in pairs]
    v.direction = direction(v.now.gradient, steps, changes, [pair.curvature for pair in pairs], v.xp)
    return float(dot(v.now.gradient, v.direction, v.xp))


def rate(s: Any, v: Any) -> float:
    """Return the learning rate of this iteration."""
    return float(v.rates[s.made])


def go(s: Any, v: Any) -> None:
    """Set the next trial, at `s.step` along the direction."""
    v.wanted = v.now.numbers + s.step * v.direction


def slope(s: Any, v: Any) -> float:
    """Return the slope along the direction at the trial."""
    return float(dot(v.trial.gradient, v.direction, v.xp))


def keep(s: Any, v: Any) -> None:
    """Keep the trial as the best so far."""
    v.kept = v.trial


def settle(s: Any, v: Any) -> None:
    """Start the next iteration at the kept trial."""
    v.now = v.kept


def move(s: Any, v: Any) -> None:
    """Start the next iteration at the kept trial, and store the pair if the loss is convex along the step.

    Without that curvature condition the next direction might not be a descent direction.
    """
    step, change = v.kept.numbers - v.now.numbers, v.kept.gradient - v.now.gradient
    curvature = float(dot(step, change, v.xp))
    if curvature > NO_CURVATURE * float(dot(change, change, v.xp)):
        v.pairs = (*v.in_use(s), Pair(step, change, curvature))[-v.most :]
        s.pairs = len(v.pairs)
    v.now = v.kept


def largest(s: Any, v: Any) -> float:
    """Return the maximum norm of the gradient at the start of the iteration."""
    return float(v.xp.max(v.xp.abs(v.now.gradient)))


def note(s: Any, v: Any) -> None:
    """Call the hook that records the result of the iteration."""
    v.note()


def dot(a: Array, b: Array, xp: Namespace = np) -> Array:
    """Return the dot product of two flat arrays, float64."""
    return xp.sum(xp.astype(a, xp.float64, copy=False) * xp.astype(b, xp.float64, copy=False))


def direction(
    gradient: Array, steps: Sequence[Array], changes: Sequence[Array], curvatures: Sequence[float], xp: Namespace = np
) -> Array:
    """Return -H times the gradient (n,), from pairs of steps and changes (n,), the oldest first; without pairs,
    -gradient.

    `curvatures` are the dot products of the pairs.
    """
    shares: list[Array] = []
    d = -gradient
    for step, change, curvature in zip(steps[::-1], changes[::-1], curvatures[::-1], strict=True):
        share = xp.asarray(dot(step, d, xp) / curvature, dtype=d.dtype)
        d = d - share * change
        shares.append(share)
    if shares:
        d = d * xp.asarray(curvatures[-1] / dot(changes[-1], changes[-1], xp), dtype=d.dtype)
    for step, change, curvature, share in zip(steps, changes, curvatures, shares[::-1], strict=True):
        d = d + (share - xp.asarray(dot(change, d, xp) / curvature, dtype=d.dtype)) * step
    return d
