"""State that changes while a program runs, as plain arrays and numbers, and what is read from it."""

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
    """What was measured of an epoch so far, in the form in which it is summed, so that a resumed epoch has full totals.

    `sums` has one row per worker that sums separately: the loss, then the sums of each metric. `weight` is the sum of
    the row weights since step `first`; `nan_step` is the first step whose loss was NaN, or -1.
    """

    first: int
    weight: float
    sums: tuple[tuple[float, ...], ...]
    nan_step: int = -1

    @property
    def total(self) -> tuple[float, ...]:
        """The sums over all workers."""
        return tuple(sum(column) for column in zip(*self.sums, strict=True))


@dataclass
class TrainingState:
    """Everything besides parameters and optimizer slots that determines how training continues.

    Attributes:
        step: number of batches, each of which is an update unless gradients are accumulated (`Program.accumulation`).
            It determines dropout masks and, as the number of updates, Adam's bias correction and schedules.
        epoch: number of completed epochs; with the seed it determines the order of the samples.
        position: next step within an unfinished epoch, of `steps`, else 0.
        steps: steps of the unfinished epoch.
        execution: how the backend divided the work; with the same value, results are bitwise identical.
        schedule: how the samples of an unfinished epoch become batches, as text.
        data: fingerprint of the data of an unfinished epoch, if requested.
        sums: what was measured of an unfinished epoch; up to date in a snapshot.
        evaluations: evaluations of loss and gradient on the whole dataset, by optimizers that choose their number.
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
    """Optimizer state of trained parameters, `slot/parameter` -> array; empty before the first compile."""
    state: TrainingState


@dataclass(frozen=True)
class Hyperparameters:
    """The optimizer's numbers, passed to every run: changing one rebuilds nothing.

    Attributes:
        learning_rates: one entry per step of the run.
        constants: the rules' other numbers, by name: a number, or one per step. Batches of one accumulated update share
            them.
        clip_norm, clip_each, clip_value: bound of the norm of the whole gradient, of each parameter's, or of each
            element; at most one is not None.
        groups: learning rates and constants of each of the program's parameter groups.
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
        """Whether only the learning rate differs, and only from step to step."""
        return not (self.varies or self.groups)

    def at(self, step: int) -> "Hyperparameters":
        """Return those of one step of the run."""
        if self.is_plain and len(self.learning_rates) == 1:
            return self
        constants = {
            name: float(value[step]) if isinstance(value, np.ndarray) else value
            for name, value in self.constants.items()
        }
        groups = tuple(group.at(step) for group in self.groups)
        return replace(self, learning_rates=self.learning_rates[step : step + 1], constants=constants, groups=groups)

    def of_steps(self, steps: NDArray[Any]) -> "Hyperparameters":
        """Return those of these steps of the run, in this order."""
        constants = {
            name: value[steps] if isinstance(value, np.ndarray) else value for name, value in self.constants.items()
        }
        groups = tuple(group.of_steps(steps) for group in self.groups)
        return replace(self, learning_rates=self.learning_rates[steps], constants=constants, groups=groups)

    def with_rates(self, factor: float) -> "Hyperparameters":
        """Return the same, with all learning rates multiplied by a factor."""
        groups = tuple(group.with_rates(factor) for group in self.groups)
        return replace(self, learning_rates=factor * self.learning_rates, groups=groups)

    def of_group(self, group: int) -> "Hyperparameters":
        """Return learning rates and constants of a parameter group, by number; 0 for all other parameters."""
        return self.groups[group - 1] if group else self

    def numbers(self, rule: "Rule") -> list[float]:
        """Return the rule's numbers besides the learning rate, of a single step."""
        return [self.constants[name] for name in rule.hyperparameters]


class Totals(NamedTuple):
    """Sums over rows, read from the device at once; `metrics` are those of one metric after another.

    `nan_step` is the first step (counted within the epoch) whose loss was NaN, or -1.
    """

    loss: float
    weight: float
    metrics: tuple[float, ...]
    reduction: Literal["mean", "sum"]
    nan_step: int = -1

    @property
    def mean_loss(self) -> float:
        """The loss divided by the sum of weights; a summed loss stays a sum."""
        return self.loss if self.reduction == "sum" else self.loss / (self.weight or 1.0)

    def means(self, metrics: "Sequence[Metric]") -> dict[str, float]:
        """Return `{"loss": ..., "accuracy": ...}`: the mean loss, and the metrics' values from their sums."""
        means, weight, first = {"loss": self.mean_loss}, self.weight or 1.0, 0
        for metric in metrics:
            means[metric.name] = metric.value(self.metrics[first : first + metric.sums], weight)
            first += metric.sums
        return means


@dataclass(frozen=True)
class Plan:
    """How a backend runs a program, for display and for exact repetition; saved with the network."""

    backend: str
    version: str
    device: str
    execution: str
    reason: str | None = None
    """Why the backend's fast path was not used, or None."""
    details: Mapping[str, Any] = field(default_factory=dict)
