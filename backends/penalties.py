"""Penalties and constraints on a program's parameters."""

from math import inf

from dnnkit.deferred import dataclass


@dataclass(frozen=True)
class Penalty:
    """Penalty l1 Σ|w| + l2 Σw² on a parameter, by name: part of the loss."""

    parameter: str
    l1: float
    l2: float


@dataclass(frozen=True)
class Bound:
    """Constraint on a parameter, by name, enforced after each update: see `kernels/norm_bound`."""

    parameter: str
    least: float = 0.0
    most: float = inf
    rate: float = 1.0
    not_negative: bool = False
