"""What L-BFGS does with vectors, in plain array code; the oracle in float64. Contract: the package's docstring.

`iteration.py` calls the functions with its state `s`, and with the vectors `v` that are meant.
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
    """A step, what it changed in the gradient, both (n,), and the product of the two, which is above 0."""

    step: Array
    change: Array
    curvature: float


@dataclass(frozen=True, eq=False)
class Point:
    """Parameters, and the gradient there; flat."""

    numbers: Array
    gradient: Array


@dataclass(eq=False)
class Vectors:
    """The points of an iteration, and the pairs, the oldest first, of which the newest `s.pairs` are in use."""

    xp: Namespace
    most: int
    """Pairs that are kept."""
    pairs: tuple[Pair, ...] = ()
    now: Point | None = None
    """Where the iteration began."""
    trial: Point | None = None
    """Where loss and gradient were evaluated last."""
    kept: Point | None = None
    """The lowest trial that falls enough."""
    wanted: Array | None = None
    """Where they are evaluated next."""
    direction: Array | None = None
    rates: Sequence[float] = (1.0,)
    """The learning rate of each iteration."""
    note: Callable[[], None] = field(default=lambda: None)
    """Called at the end of an iteration."""

    def in_use(self, s: Any) -> tuple[Pair, ...]:
        """The newest of the pairs."""
        return self.pairs[len(self.pairs) - s.pairs :]


def recall(s: Any, v: Any) -> None:
    """Compute what is known of pairs that were given: here they come with it."""


def new_direction(s: Any, v: Any) -> float:
    """Set out in the direction that the pairs in use give; return the slope."""
    pairs = v.in_use(s)
    steps, changes = [pair.step for pair in pairs], [pair.change for pair in pairs]
    v.direction = direction(v.now.gradient, steps, changes, [pair.curvature for pair in pairs], v.xp)
    return float(dot(v.now.gradient, v.direction, v.xp))


def rate(s: Any, v: Any) -> float:
    """The learning rate of this iteration."""
    return float(v.rates[s.made])


def go(s: Any, v: Any) -> None:
    """Make the next trial `s.step` along the direction."""
    v.wanted = v.now.numbers + s.step * v.direction


def slope(s: Any, v: Any) -> float:
    """The slope along the direction at the trial."""
    return float(dot(v.trial.gradient, v.direction, v.xp))


def keep(s: Any, v: Any) -> None:
    """Keep the trial."""
    v.kept = v.trial


def settle(s: Any, v: Any) -> None:
    """Begin where the trial is that was kept."""
    v.now = v.kept


def move(s: Any, v: Any) -> None:
    """The same, and remember the step, if the loss is convex along it: else the next direction might not lead down."""
    step, change = v.kept.numbers - v.now.numbers, v.kept.gradient - v.now.gradient
    curvature = float(dot(step, change, v.xp))
    if curvature > NO_CURVATURE * float(dot(change, change, v.xp)):
        v.pairs = (*v.in_use(s), Pair(step, change, curvature))[-v.most :]
        s.pairs = len(v.pairs)
    v.now = v.kept


def largest(s: Any, v: Any) -> float:
    """The largest number of the gradient where an iteration begins."""
    return float(v.xp.max(v.xp.abs(v.now.gradient)))


def note(s: Any, v: Any) -> None:
    """Note what the iteration came to."""
    v.note()


def dot(a: Array, b: Array, xp: Namespace = np) -> Array:
    """The scalar product of two flat arrays, float64."""
    return xp.sum(xp.astype(a, xp.float64, copy=False) * xp.astype(b, xp.float64, copy=False))


def direction(
    gradient: Array, steps: Sequence[Array], changes: Sequence[Array], curvatures: Sequence[float], xp: Namespace = np
) -> Array:
    """-H times the gradient (n,), from pairs of steps and changes (n,), the oldest first; without any, -gradient.

    `curvatures` are the products of the two of each pair.
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
