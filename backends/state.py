"""What changes while a program runs: its state, as plain arrays and numbers, and what is read of it."""

from collections.abc import Mapping, Sequence
from dataclasses import field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from dnnkit.deferred import dataclass

if TYPE_CHECKING:
    from dnnkit.backends.measures import Metric
    from dnnkit.kernels.optimizer_step.reference import Rule

HostArray: TypeAlias = NDArray[Any]


@dataclass(frozen=True)
class EpochSums:
    """What was measured of an epoch so far, as it is summed: who goes on from it has the totals of the whole epoch.

    `sums` has a row for each worker that sums on its own: the loss, then the sums of each metric. `weight` is the sum
    of the row weights since step `first`; `nan_step` the first step whose loss was not a number, or -1.
    """

    first: int
    weight: float
    sums: tuple[tuple[float, ...], ...]
    nan_step: int = -1

    @property
    def total(self) -> tuple[float, ...]:
        """The sums of all workers."""
        return tuple(sum(column) for column in zip(*self.sums, strict=True))


@dataclass
class TrainingState:
    """Everything besides parameters and optimizer slots that decides how training goes on.

    `step` counts batches, each of which is an update unless several make one (`Program.accumulation`): it enters
    dropout masks, and, as the number of updates, Adam's bias correction and schedules. `epoch` counts epochs begun
    and ended: with the seed it decides the order of the samples. `position` is the next step within an epoch that has
    not ended, of `steps` in all, else 0. `evaluations` counts those of loss and gradient on the whole data, by an
    optimizer that decides itself how many it needs. `execution` says how the backend divided the work, in its own
    words: with the same one again, results are the same bit for bit.

    Of an epoch that has not ended: `schedule` is how its samples become batches, in words, and `data` a fingerprint of
    them, where it was asked for; `sums` what was measured, up to date in a snapshot.
    """

    step: int = 0
    epoch: int = 0
    position: int = 0
    steps: int = 0
    execution: str = ""
    schedule: str = ""
    data: str = ""
    sums: EpochSums | None = None
    evaluations: int = 0


@dataclass(frozen=True)
class Snapshot:
    """A network's numbers on the host, independent of the executable that holds them."""

    parameters: Mapping[str, HostArray]
    slots: Mapping[str, HostArray]
    """The optimizer's state of trained parameters, `slot/parameter` -> array; empty before the first compile."""
    state: TrainingState


@dataclass(frozen=True)
class Hyperparameters:
    """The optimizer's numbers, inputs of every run: changing one rebuilds nothing.

    `learning_rates` has one entry per step of the run; `constants` holds what the rules take besides, by name: a
    number, or one per step. Batches that make an update together have the same. Of the gradient, at most one is
    bounded: by `clip_norm` the norm of the whole, by `clip_each` that of each parameter, by `clip_value` each element;
    None for no bound. `groups` has, of each of the program's, rates and constants that are its own.
    """

    learning_rates: NDArray[np.float64]
    constants: Mapping[str, Any]
    clip_norm: float | None = None
    clip_each: float | None = None
    clip_value: float | None = None
    groups: tuple["Hyperparameters", ...] = ()

    @cached_property
    def varies(self) -> bool:
        """Whether a constant differs from step to step."""
        own = any(isinstance(value, np.ndarray) for value in self.constants.values())
        return own or any(group.varies for group in self.groups)

    @cached_property
    def is_plain(self) -> bool:
        """Whether the learning rate is all that differs, from step to step and from parameter to parameter."""
        return not (self.varies or self.groups)

    def at(self, step: int) -> "Hyperparameters":
        """Those of one step of the run."""
        if self.is_plain and len(self.learning_rates) == 1:
            return self
        constants = {
            name: float(value[step]) if isinstance(value, np.ndarray) else value
            for name, value in self.constants.items()
        }
        groups = tuple(group.at(step) for group in self.groups)
        return replace(self, learning_rates=self.learning_rates[step : step + 1], constants=constants, groups=groups)

    def of_steps(self, steps: NDArray[Any]) -> "Hyperparameters":
        """Those of these steps of the run, in this order."""
        constants = {
            name: value[steps] if isinstance(value, np.ndarray) else value for name, value in self.constants.items()
        }
        groups = tuple(group.of_steps(steps) for group in self.groups)
        return replace(self, learning_rates=self.learning_rates[steps], constants=constants, groups=groups)

    def with_rates(self, factor: float) -> "Hyperparameters":
        """The same, with all learning rates times a factor."""
        groups = tuple(group.with_rates(factor) for group in self.groups)
        return replace(self, learning_rates=factor * self.learning_rates, groups=groups)

    def of_group(self, group: int) -> "Hyperparameters":
        """Rates and constants of a group of parameters, by its number; 0 is that of all others."""
        return self.groups[group - 1] if group else self

    def numbers(self, rule: "Rule") -> list[float]:
        """What the rule takes besides the learning rate, of a single step."""
        return [self.constants[name] for name in rule.hyperparameters]


class Totals(NamedTuple):
    """Sums over the rows seen, read from the device in one go; `metrics` are those of one metric after the other.

    `nan_step` is the first step (counted within the epoch) whose loss was not a number, -1 if there was none.
    """

    loss: float
    weight: float
    metrics: tuple[float, ...]
    reduction: Literal["mean", "sum"]
    nan_step: int = -1

    @property
    def mean_loss(self) -> float:
        """The loss over the sum of weights; a summed loss stays a sum."""
        return self.loss if self.reduction == "sum" else self.loss / (self.weight or 1.0)

    def means(self, metrics: "Sequence[Metric]") -> dict[str, float]:
        """`{"loss": ..., "accuracy": ...}`: the mean loss, and what the metrics are by their sums."""
        means, weight, first = {"loss": self.mean_loss}, self.weight or 1.0, 0
        for metric in metrics:
            means[metric.name] = metric.value(self.metrics[first : first + metric.sums], weight)
            first += metric.sums
        return means


@dataclass(frozen=True)
class Plan:
    """How a backend runs a program, for people and for exact repetition; saved with the network."""

    backend: str
    version: str
    device: str
    execution: str
    reason: str | None = None
    """Why the backend's fast path was not taken, None where it was."""
    details: Mapping[str, Any] = field(default_factory=dict)
