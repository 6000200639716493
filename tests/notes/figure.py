"""A figure of the notes: its name, the notes' value, and how dnnkit computes it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

Compute: TypeAlias = Callable[[], Any]


@dataclass(frozen=True)
class Figure:
    """`compute()` gives the figure on the current backend; `expected` is the value to approach, or an upper or lower
    bound. `tolerance` is relative to the largest number expected, or absolute where `absolute` says so."""

    name: str
    compute: Compute
    expected: Any
    tolerance: float = 0.0
    relation: str = "="
    absolute: bool = True
    needs_mnist: bool = False
    is_long: bool = False
    """Whether it takes minutes where nothing is compiled."""

    def difference(self, value: Any) -> float:
        """Return the distance of a value from the figure; for a bound, by how much it is missed."""
        value, expected = np.asarray(value, np.float64), np.asarray(self.expected, np.float64)
        if self.relation == "=":
            scale = 1.0 if self.absolute else float(np.abs(expected).max())
            return float(np.abs(value.reshape(expected.shape) - expected).max()) / scale
        short = expected - value if self.relation == ">=" else value - expected
        return max(0.0, float(np.max(short)))

    def holds(self, value: Any) -> bool:
        """Return whether a value agrees with the notes. NaN does not."""
        return bool(np.isfinite(np.asarray(value, np.float64)).all()) and self.difference(value) <= self.tolerance


def figure(
    name: str,
    expected: Any,
    tolerance: float = 0.0,
    *,
    relation: str = "=",
    absolute: bool = True,
    mnist: bool = False,
    long: bool = False,
) -> Callable[[Compute], Figure]:
    """Make a function a figure: `@figure("weights after 1 iteration", (0.12, 0.50, -0.85), 1e-8)`."""

    def make(compute: Compute) -> Figure:
        return Figure(name, compute, expected, tolerance, relation, absolute, mnist, long)

    return make


def figures_of(module: Any) -> list[Figure]:
    """Return the figures of a module, in source order."""
    return [value for value in vars(module).values() if isinstance(value, Figure)]
