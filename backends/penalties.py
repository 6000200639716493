"""What a program says of parameters besides how they are trained: penalties in the loss, and bounds."""

from math import inf

from dnnkit.deferred import dataclass


@dataclass(frozen=True)
class Penalty:
    """l1 Σ|w| + l2 Σw² of a parameter, by its name: part of the loss."""

    parameter: str
    l1: float
    l2: float


@dataclass(frozen=True)
class Bound:
    """What a parameter, by its name, is held to after each update: see `kernels/norm_bound`."""

    parameter: str
    least: float = 0.0
    most: float = inf
    rate: float = 1.0
    not_negative: bool = False
