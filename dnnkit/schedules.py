"""Schedules: a learning rate that depends on the number of updates made. Pass one in place of `learning_rate`."""

from dataclasses import dataclass
from itertools import pairwise
from math import cos, inf, pi
from typing import ClassVar

from dnnkit.errors import ConfigurationError
from dnnkit.registry import Registry
from dnnkit.settings import FLAG, NOT_NEGATIVE, POSITIVE, Expected, Settings, numbers, plain, shown


class Schedule(Settings):
    """Base of all schedules, and of your own: a dataclass with `__call__`."""

    def __call__(self, step: int) -> float:
        """The learning rate for the update after `step` others."""
        raise NotImplementedError


def _is_schedule(thing: object) -> bool:
    return isinstance(thing, type) and issubclass(thing, Schedule)


SCHEDULES: Registry[type[Schedule]] = Registry("schedule", "a subclass of Schedule", _is_schedule)
"""By the class names that saves hold."""


@SCHEDULES.named("ExponentialDecay")
@dataclass(frozen=True)
class ExponentialDecay(Schedule):
    """initial_learning_rate · decay_rate^(step / decay_steps); the exponent whole if `staircase`."""

    initial_learning_rate: float
    decay_steps: int
    decay_rate: float
    staircase: bool = False

    expects: ClassVar = {
        "initial_learning_rate": NOT_NEGATIVE,
        "decay_steps": POSITIVE,
        "decay_rate": NOT_NEGATIVE,
        "staircase": FLAG,
    }

    def __call__(self, step: int) -> float:  # noqa: D102
        exponent = step // self.decay_steps if self.staircase else step / self.decay_steps
        try:
            return float(self.initial_learning_rate * self.decay_rate**exponent)
        except OverflowError:
            return inf  # which whoever takes the rate refuses, with the step


@SCHEDULES.named("CosineDecay")
@dataclass(frozen=True)
class CosineDecay(Schedule):
    """Linear from 0 over `warmup_steps`, then half a cosine down to `alpha` times the initial rate."""

    initial_learning_rate: float
    decay_steps: int
    alpha: float = 0.0
    warmup_steps: int = 0

    expects: ClassVar = {
        "initial_learning_rate": NOT_NEGATIVE,
        "decay_steps": POSITIVE,
        "alpha": NOT_NEGATIVE,
        "warmup_steps": NOT_NEGATIVE,
    }

    def __call__(self, step: int) -> float:  # noqa: D102
        if step < self.warmup_steps:
            return self.initial_learning_rate * (step + 1) / self.warmup_steps
        progress = min(1.0, (step - self.warmup_steps) / self.decay_steps)
        return self.initial_learning_rate * (self.alpha + (1 - self.alpha) * 0.5 * (1 + cos(pi * progress)))


def _several(words: str, each: Expected) -> Expected:
    """A tuple from a list, a tuple or an array."""
    return Expected(words, lambda values: tuple(each.take(plain(value)) for value in values))


@SCHEDULES.named("PiecewiseConstantDecay")
@dataclass(frozen=True)
class PiecewiseConstantDecay(Schedule):
    """values[0] up to and with step boundaries[0], then values[1], and so on; one value more than boundaries."""

    boundaries: tuple[int, ...]
    values: tuple[float, ...]

    expects: ClassVar = {
        "boundaries": _several("finite numbers of steps, each larger than the one before", numbers("")),
        "values": _several("finite numbers, 0 or more", NOT_NEGATIVE),
    }

    def __post_init__(self) -> None:
        super().__post_init__()
        if any(after <= before for before, after in pairwise(self.boundaries)):
            raise ConfigurationError(f"{shown(self)}: expected boundaries that are each larger than the one before")
        if len(self.values) != len(self.boundaries) + 1:
            raise ConfigurationError(
                f"PiecewiseConstantDecay takes one value more than boundaries; got {len(self.values)} values "
                f"and {len(self.boundaries)} boundaries"
            )

    def __call__(self, step: int) -> float:  # noqa: D102
        return self.values[sum(step > boundary for boundary in self.boundaries)]
