"""Schedules: hyperparameters as functions of the number of updates. Pass one in place of an optimizer's number."""

from itertools import pairwise
from math import ceil, cos, floor, inf, log, log2, pi
from typing import TYPE_CHECKING, ClassVar

from dnnkit.deferred import dataclass
from dnnkit.errors import ConfigurationError
from dnnkit.namespaces import open_namespace
from dnnkit.registry import Registry
from dnnkit.settings import (
    FLAG,
    NOT_NEGATIVE,
    POSITIVE,
    SHARE,
    Expected,
    Settings,
    counted,
    numbers,
    plain,
    shown,
    whole,
)  # fmt: skip

if TYPE_CHECKING:
    from pathlib import Path

    from matplotlib.figure import Figure


class Schedule(Settings):
    """Base class of all schedules, also of custom ones: a dataclass with `__call__`."""

    def __call__(self, step: int) -> float:
        """Return the number for an update.

        Arguments:
            step: number of updates before it.
        """
        raise NotImplementedError

    def plot(self, steps: int, path: "str | Path | None" = None) -> "Figure":
        """Plot the first steps.

        Arguments:
            steps: number of updates to plot.
            path: image file to write, such as "rate.png"; None writes none.

        Returns:
            A matplotlib `Figure`.
        """
        from dnnkit.figures import Figure, write

        values = [float(self(step)) for step in range(whole().of("steps", steps))]
        figure = Figure(figsize=(4.8, 3.6), layout="constrained")
        axes = figure.subplots()
        axes.plot(values, color="#1f6fb4", marker="o" if len(values) < 3 else None)
        axes.set(xlabel="step", title=type(self).__name__)
        axes.grid(alpha=0.25)
        if path is not None:
            write(figure, path)
        return figure


def scheduled(expected: Expected, example: str = "dk.schedules.CosineDecay(1e-3, 10_000)") -> Expected:
    """Accept the same values, or a schedule of such values."""
    return Expected(
        f"{expected.words}, or a schedule, such as {example}",
        lambda value: value if isinstance(value, Schedule) else expected.take(value),
    )


def checked(schedule: Schedule, expected: Expected, step: int) -> float:
    """Return the schedule's number for a step; raise `ConfigurationError` if the setting does not accept it."""
    value = schedule(step)
    return float(expected.check(f"the schedule {shown(schedule)} gives {shown(value)} for step {counted(step)}", value))


def _is_schedule(thing: object) -> bool:
    return isinstance(thing, type) and issubclass(thing, Schedule)


SCHEDULES: Registry[type[Schedule]] = Registry("schedule", "a subclass of Schedule", _is_schedule)
"""Schedule classes by name, as saves refer to them."""


@SCHEDULES.named("ExponentialDecay")
@dataclass(frozen=True)
class ExponentialDecay(Schedule):
    """initial_learning_rate · decay_rate^(step / decay_steps).

    Arguments:
        initial_learning_rate: number at step 0.
        decay_steps: steps in which the number is multiplied by `decay_rate`.
        decay_rate: factor, at least 0.
        staircase: round the exponent down to an integer; default False.
    """

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
            return inf  # which the caller refuses, naming the step


@SCHEDULES.named("CosineDecay")
@dataclass(frozen=True)
class CosineDecay(Schedule):
    """Linear warm-up, then half a cosine from the initial rate down to `alpha` times it.

    Arguments:
        initial_learning_rate: number after the warm-up.
        decay_steps: length of the decay in steps.
        alpha: final number as a fraction of the initial one; default 0.
        warmup_steps: length of the linear increase from 0; default 0.
    """

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
    """Accept a list, tuple or array, and convert it to a tuple."""
    return Expected(words, lambda values: tuple(each.take(plain(value)) for value in values))


@SCHEDULES.named("PiecewiseConstantDecay")
@dataclass(frozen=True)
class PiecewiseConstantDecay(Schedule):
    """values[0] up to and including step boundaries[0], then values[1] up to boundaries[1], and so on.

    Arguments:
        boundaries: increasing step numbers.
        values: one more than there are boundaries.
    """

    boundaries: tuple[int, ...]
    values: tuple[float, ...]

    expects: ClassVar = {
        "boundaries": _several("increasing finite numbers of steps", numbers("")),
        "values": _several("finite numbers, 0 or more", NOT_NEGATIVE),
    }

    def __post_init__(self) -> None:
        super().__post_init__()
        if any(after <= before for before, after in pairwise(self.boundaries)):
            raise ConfigurationError(f"{shown(self)}: expected increasing boundaries")
        if len(self.values) != len(self.boundaries) + 1:
            raise ConfigurationError(
                f"PiecewiseConstantDecay takes one more value than boundaries; got {len(self.values)} values "
                f"and {len(self.boundaries)} boundaries"
            )

    def __call__(self, step: int) -> float:  # noqa: D102
        return self.values[sum(step > boundary for boundary in self.boundaries)]


@SCHEDULES.named("PolynomialDecay")
@dataclass(frozen=True)
class PolynomialDecay(Schedule):
    """From the initial rate to `end_learning_rate` in proportion to (1 - step / decay_steps)^power.

    Arguments:
        initial_learning_rate: number at step 0.
        decay_steps: length of the decay in steps.
        end_learning_rate: final number, default 1e-4.
        power: exponent, above 0; default 1, a linear decay.
        cycle: extend `decay_steps` to its next multiple each time it is reached, as in Keras; default False.
    """

    initial_learning_rate: float
    decay_steps: int
    end_learning_rate: float = 0.0001
    power: float = 1.0
    cycle: bool = False

    expects: ClassVar = {
        "initial_learning_rate": NOT_NEGATIVE,
        "decay_steps": POSITIVE,
        "end_learning_rate": NOT_NEGATIVE,
        "power": POSITIVE,
        "cycle": FLAG,
    }

    def __call__(self, step: int) -> float:  # noqa: D102
        steps = self.decay_steps * max(1, ceil(step / self.decay_steps)) if self.cycle else self.decay_steps
        left = 1 - min(1.0, step / steps)
        return float((self.initial_learning_rate - self.end_learning_rate) * left**self.power + self.end_learning_rate)


@SCHEDULES.named("InverseTimeDecay")
@dataclass(frozen=True)
class InverseTimeDecay(Schedule):
    """initial_learning_rate / (1 + decay_rate · step / decay_steps).

    Arguments:
        initial_learning_rate: number at step 0.
        decay_steps: steps in which the denominator grows by `decay_rate`.
        decay_rate: at least 0.
        staircase: round the quotient step / decay_steps down to an integer; default False.
    """

    initial_learning_rate: float
    decay_steps: int
    decay_rate: float
    staircase: bool = False

    expects: ClassVar = ExponentialDecay.expects

    def __call__(self, step: int) -> float:  # noqa: D102
        times = step // self.decay_steps if self.staircase else step / self.decay_steps
        return float(self.initial_learning_rate / (1 + self.decay_rate * times))


@SCHEDULES.named("CosineDecayRestarts")
@dataclass(frozen=True)
class CosineDecayRestarts(Schedule):
    """Repeated half cosines from the rate down to `alpha` times it, with growing periods (SGDR); arguments as in Keras.

    Arguments:
        initial_learning_rate: number at step 0.
        first_decay_steps: length of the first period in steps.
        t_mul: factor of each period's length, at least 1; default 2.
        m_mul: factor of each period's initial number; default 1.
        alpha: minimum as a fraction of the initial number; default 0.

    Source: I. Loshchilov, F. Hutter, ICLR 2017.
    """

    initial_learning_rate: float
    first_decay_steps: int
    t_mul: float = 2.0
    m_mul: float = 1.0
    alpha: float = 0.0

    expects: ClassVar = {
        "initial_learning_rate": NOT_NEGATIVE,
        "first_decay_steps": POSITIVE,
        "t_mul": numbers("a finite number, 1 or more", lambda number: number >= 1),
        "m_mul": NOT_NEGATIVE,
        "alpha": NOT_NEGATIVE,
    }

    def __call__(self, step: int) -> float:  # noqa: D102
        done, grows = step / self.first_decay_steps, self.t_mul
        if grows == 1:
            restarts = floor(done)
            progress = done - restarts
        else:
            restarts = floor(log(1 + done * (grows - 1)) / log(grows) + 1e-12)  # the term absorbs rounding errors
            progress = max(0.0, (done - (grows**restarts - 1) / (grows - 1)) / grows**restarts)
        height = 0.5 * self.m_mul**restarts * (1 + cos(pi * progress))
        return float(self.initial_learning_rate * (self.alpha + (1 - self.alpha) * height))


@SCHEDULES.named("OneCycle")
@dataclass(frozen=True)
class OneCycle(Schedule):
    """Half a cosine up to `max_learning_rate`, then another down to almost 0; as torch.optim.lr_scheduler.OneCycleLR.

    Arguments:
        max_learning_rate: the maximum.
        total_steps: length of the cycle in steps.
        pct_start: fraction of the steps spent increasing, in [0, 1); default 0.3.
        div_factor: the initial number is the maximum divided by this; default 25.
        final_div_factor: the final number is the initial one divided by this; default 1e4.

    Source: L. Smith, N. Topin, 2018.
    """

    max_learning_rate: float
    total_steps: int
    pct_start: float = 0.3
    div_factor: float = 25.0
    final_div_factor: float = 1e4

    expects: ClassVar = {
        "max_learning_rate": NOT_NEGATIVE,
        "total_steps": POSITIVE,
        "pct_start": SHARE,
        "div_factor": POSITIVE,
        "final_div_factor": POSITIVE,
    }

    def __call__(self, step: int) -> float:  # noqa: D102
        first = self.max_learning_rate / self.div_factor
        top, last = self.pct_start * self.total_steps - 1, self.total_steps - 1
        if step <= top:
            return first + (self.max_learning_rate - first) * 0.5 * (1 - cos(pi * step / top)) if top > 0 else first
        progress = min(1.0, (step - top) / (last - top)) if last > top else 1.0
        end = first / self.final_div_factor
        return end + (self.max_learning_rate - end) * 0.5 * (1 + cos(pi * progress))


@SCHEDULES.named("CosLog4")
@dataclass(frozen=True)
class CosLog4(Schedule):
    """Four cycles from 0 to the rate and back, each twice as long: rate · ½ (1 - cos(2π log2(1 + 15 step / steps))).

    Arguments:
        initial_learning_rate: the maximum.
        decay_steps: total length in steps.

    Source: D. Holzmüller et al., RealMLP, NeurIPS 2024.
    """

    initial_learning_rate: float
    decay_steps: int

    expects: ClassVar = {"initial_learning_rate": NOT_NEGATIVE, "decay_steps": POSITIVE}

    def __call__(self, step: int) -> float:  # noqa: D102
        progress = min(1.0, step / self.decay_steps)
        return max(0.0, self.initial_learning_rate * 0.5 * (1 - cos(2 * pi * log2(1 + 15 * progress))))


@SCHEDULES.named("FlatCosine")
@dataclass(frozen=True)
class FlatCosine(Schedule):
    """Constant for a fraction `flat` of the steps, then half a cosine down to `alpha` times the initial rate.

    Arguments:
        initial_learning_rate: number at step 0.
        decay_steps: total length in steps.
        flat: fraction of constant steps, in [0, 1); default 0.5. RealMLP uses 0.5 for decay and dropout; 0.75 is
            common elsewhere.
        alpha: final number as a fraction of the initial one; default 0.

    Source: D. Holzmüller et al., RealMLP, NeurIPS 2024.
    """

    initial_learning_rate: float
    decay_steps: int
    flat: float = 0.5
    alpha: float = 0.0

    expects: ClassVar = {
        "initial_learning_rate": NOT_NEGATIVE,
        "decay_steps": POSITIVE,
        "flat": SHARE,
        "alpha": NOT_NEGATIVE,
    }

    def __call__(self, step: int) -> float:  # noqa: D102
        progress = min(1.0, step / self.decay_steps)
        progress = max(0.0, (progress - self.flat) / (1 - self.flat))
        return self.initial_learning_rate * (self.alpha + (1 - self.alpha) * 0.5 * (1 + cos(pi * progress)))


@SCHEDULES.named("Warmup")
@dataclass(frozen=True)
class Warmup(Schedule):
    """Linear warm-up to a schedule's first number, or to a number, followed by the schedule.

    Arguments:
        schedule: a schedule or a number.
        warmup_steps: length of the warm-up in steps.
    """

    schedule: Schedule | float
    warmup_steps: int

    expects: ClassVar = {
        "schedule": Expected(
            "a schedule, or a finite number, 0 or more",
            lambda value: value if isinstance(value, Schedule) else NOT_NEGATIVE.take(value),
        ),
        "warmup_steps": NOT_NEGATIVE,
    }

    def __call__(self, step: int) -> float:  # noqa: D102
        after = max(0, step - ceil(self.warmup_steps))
        value = self.schedule(after) if isinstance(self.schedule, Schedule) else float(self.schedule)
        return value * min(1.0, (step + 1) / self.warmup_steps) if step < self.warmup_steps else value


open_namespace(__name__, SCHEDULES)
