"""Schedules: a learning rate that depends on the number of updates made. Pass one in place of `learning_rate`."""

from dataclasses import dataclass
from math import cos, pi

from dnnkit.errors import ConfigurationError
from dnnkit.registry import Registry


class Schedule:
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

    def __call__(self, step: int) -> float:  # noqa: D102
        exponent = step // self.decay_steps if self.staircase else step / self.decay_steps
        return float(self.initial_learning_rate * self.decay_rate**exponent)


@SCHEDULES.named("CosineDecay")
@dataclass(frozen=True)
class CosineDecay(Schedule):
    """Linear from 0 over `warmup_steps`, then half a cosine down to `alpha` times the initial rate."""

    initial_learning_rate: float
    decay_steps: int
    alpha: float = 0.0
    warmup_steps: int = 0

    def __call__(self, step: int) -> float:  # noqa: D102
        if step < self.warmup_steps:
            return self.initial_learning_rate * (step + 1) / self.warmup_steps
        progress = min(1.0, (step - self.warmup_steps) / self.decay_steps)
        return self.initial_learning_rate * (self.alpha + (1 - self.alpha) * 0.5 * (1 + cos(pi * progress)))


@SCHEDULES.named("PiecewiseConstantDecay")
@dataclass(frozen=True)
class PiecewiseConstantDecay(Schedule):
    """values[0] up to and with step boundaries[0], then values[1], and so on; one value more than boundaries."""

    boundaries: tuple[int, ...]
    values: tuple[float, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "boundaries", tuple(self.boundaries))
        object.__setattr__(self, "values", tuple(self.values))
        if len(self.values) != len(self.boundaries) + 1:
            raise ConfigurationError(
                f"PiecewiseConstantDecay takes one value more than boundaries; got {len(self.values)} values "
                f"and {len(self.boundaries)} boundaries"
            )

    def __call__(self, step: int) -> float:  # noqa: D102
        return self.values[sum(step > boundary for boundary in self.boundaries)]
