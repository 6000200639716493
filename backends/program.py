"""Contract between networks and backends: a network as a frozen, flat description.

`dnnkit` lowers a network to a `Program`; a backend builds it into an executable and runs it. A program defines what is
computed and the order of named parameters, never where or how they are stored. Programs compare and hash by value, so a
backend can cache what it compiled for one.

Stages are defined in `stages.py`, losses and metrics in `measures.py`, and state that changes while a program runs in
`state.py`. Plugins import all of them from here.

    scores      = the stages, one after another, on a batch of inputs; `sources` lists what each reads
    loss        = program.loss(scores, targets)
    predictions = program.head(scores)

Several inputs are concatenated to one. So are several outputs; `outputs` lists the columns of scores and targets of
each.

A softmax or sigmoid output with its cross-entropy is already lowered: the scores are logits, the head is the softmax,
and the loss kernel is the fused one on logits.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from math import prod
from typing import TYPE_CHECKING, Literal

from dnnkit.backends.graph import Sources, chain, misplaced, readers
from dnnkit.backends.measures import OWN_LOSS, CustomLoss, CustomMetric, Exact, Finish, Loss, Metric, OwnLoss, Sums
from dnnkit.backends.penalties import Bound, Penalty
from dnnkit.backends.stages import (
    Activate,
    Custom,
    CustomFunction,
    Dense,
    Dropout,
    Op,
    Parameter,
    Rescale,
    Stage,
    first_trained,
    is_trained,
    stage_features,
    stage_parameters,
)
from dnnkit.backends.state import EpochSums, HostArray, Hyperparameters, Plan, Snapshot, Totals, TrainingState
from dnnkit.deferred import dataclass
from dnnkit.errors import ConfigurationError
from dnnkit.kernels.optimizer_step.reference import AVERAGE, RULES, Rule

if TYPE_CHECKING:
    from dnnkit.backends.outputs import Output

__all__ = [
    "GRADIENT_SUM",
    "OWN_LOSS",
    "Activate",
    "Custom",
    "CustomFunction",
    "CustomLoss",
    "CustomMetric",
    "Dense",
    "Dropout",
    "EpochSums",
    "Exact",
    "Finish",
    "FullBatch",
    "Group",
    "HostArray",
    "Hyperparameters",
    "Loss",
    "Metric",
    "Op",
    "OwnLoss",
    "Parameter",
    "Plan",
    "Program",
    "Rescale",
    "Snapshot",
    "Stage",
    "Sums",
    "Totals",
    "TrainingState",
    "first_trained",
    "is_trained",
    "stage_features",
    "stage_parameters",
]

GRADIENT_SUM = "gradient_sum"
"""Slot of the gradients accumulated over several batches."""


@dataclass(frozen=True)
class FullBatch:
    """An optimizer that works on the whole dataset at a time, and chooses the parameters at which it evaluates.

    `pairs` is the maximum number of steps it remembers, each with the change of the gradient over it (`kernels/lbfgs`).
    """

    pairs: int


@dataclass(frozen=True)
class Group:
    """Parameters that the optimizer updates with separate hyperparameters.

    `patterns` are the indices of the optimizer's patterns that match their names.
    """

    patterns: tuple[int, ...]
    parameters: tuple[str, ...]


@dataclass(frozen=True)
class Program:
    """A complete network: what it computes, what it minimizes, how it is updated.

    Attributes:
        input_shape: shape of a sample.
        output_features: number of scores.
        stages: operations in topological order.
        head: activation that computes predictions from scores.
        loss: None for a network that was never compiled, which only predicts.
        metrics: metrics reported alongside the loss.
        rule: name of a rule in `kernels/optimizer_step`, a user-defined one, or a `FullBatch`
            (`backends/full_batch.py`); None without a loss.
        dtype: dtype of all computation.
        seed: 32 bits that determine dropout masks.
        num_threads: number of threads; None leaves it to the backend.
    """

    input_shape: tuple[int, ...]
    output_features: int
    stages: tuple[Stage, ...]
    head: str
    loss: Loss | None
    metrics: tuple[Metric, ...]
    rule: str | Rule | FullBatch | None
    dtype: Literal["float32", "float64"]
    seed: int
    num_threads: int | None
    groups: tuple[Group, ...] = ()
    """Parameters outside all groups use the optimizer's own hyperparameters."""
    averages: bool = False
    """Whether a running mean of each trained parameter is kept, in the slot of the rule `average`."""
    sources: Sources = ()
    """Values that each stage reads: 0 is the input, i + 1 the output of stage i. () for a chain."""
    outputs: "tuple[Output, ...]" = ()
    """With several outputs, set by `with_outputs`: the parts of scores and targets, each with its loss."""
    accumulation: int = 1
    """Number of batches whose gradients are accumulated per update: their mean for mean losses, their sum for sums.
    Update u follows batch (u + 1) · accumulation - 1, counted by `TrainingState.step` from 0.
    """
    penalties: tuple[Penalty, ...] = ()
    """Penalties on parameters, added to the loss."""
    bounds: tuple[Bound, ...] = ()
    """Constraints on parameters, enforced after each update."""

    def __post_init__(self) -> None:
        known: dict[str, Parameter] = {}
        for stage in self.stages:
            own = [parameter for parameter in stage_parameters(stage) if not parameter.statistic]
            if len({parameter.trainable for parameter in own}) > 1:
                names = ", ".join(parameter.name for parameter in own)
                raise ConfigurationError(f"of {names} some are frozen and some are not: freeze all of a stage, or none")
            for parameter in stage_parameters(stage):
                if known.setdefault(parameter.name, parameter) != parameter:
                    raise ConfigurationError(f"two parameters are called {parameter.name!r}: {known[parameter.name]}")
        if self.sources == chain(len(self.stages)):
            object.__setattr__(self, "sources", ())  # canonical form, so that equal networks are equal programs
        if self.sources:
            self._check_sources()

    def _check_sources(self) -> None:
        """Raise `ConfigurationError` if the stages cannot be connected like this."""
        found = misplaced(self.sources, len(self.stages))
        for place, (stage, values) in enumerate(zip(self.stages, self.sources, strict=False)):
            if not isinstance(stage, Op) and len(values) > 1 and found is None:
                found = f"stage {place}, {type(stage).__name__}, reads {len(values)} values: only an Op can"
        if found is not None:
            raise ConfigurationError(f"{found}: stages are in topological order, and the last gives the scores")

    def with_outputs(self, outputs: "Sequence[Output]") -> "Program":
        """Return the program with several outputs, whose losses are added and whose metrics are listed together.

        Their losses and metrics, `name_loss` and `name_metric`, become `metrics` of the program, replacing its own.
        """
        from dnnkit.backends.outputs import joint

        return replace(self, **joint(tuple(outputs)))

    @cached_property
    def edges(self) -> Sources:
        """As `sources`, but explicit for a chain, too."""
        return self.sources or chain(len(self.stages))

    @cached_property
    def gathered(self) -> "tuple[Rescale, tuple[Stage, ...], Sources]":
        """The rescaling that is part of gathering a batch, the stages after it, and their sources.

        It exists if the first stage is a `Rescale` and the only reader of the input.
        """
        stages, edges = self.stages, self.edges
        if not stages or not isinstance(stages[0], Rescale) or readers(edges)[0] != [(0, 0)]:
            return Rescale(1.0, 0.0), stages, edges
        return stages[0], stages[1:], tuple(tuple(value - 1 for value in values) for values in edges[1:])

    @cached_property
    def gathered_widths(self) -> tuple[int, ...]:
        """The features of each value of the stages after that rescaling."""
        return self.widths[len(self.stages) - len(self.gathered[1]) :]

    @cached_property
    def is_chain(self) -> bool:
        """Whether each stage reads the output of the previous one, and no parameters are shared."""
        owned = sum(len(stage_parameters(stage)) for stage in self.stages)
        return not self.sources and owned == len(self.parameters)

    @cached_property
    def has_scheduled_dropout(self) -> bool:
        """Whether the rate of a dropout changes from step to step."""
        return any(isinstance(stage, Dropout) and stage.is_scheduled for stage in self.stages)

    @cached_property
    def api_version(self) -> int:
        """The plugin version that supports it: 1 for a chain of the original stages."""
        is_new = any(isinstance(stage, Op) for stage in self.stages) or self.has_scheduled_dropout
        is_simple = self.is_chain and not self.outputs and not is_new
        return 1 if is_simple else 2

    @cached_property
    def widths(self) -> tuple[int, ...]:
        """The features of each value."""
        found = [prod(self.input_shape)]
        for stage, values in zip(self.stages, self.edges, strict=True):
            found.append(stage_features(stage, found[values[0]]))
        return tuple(found)

    @cached_property
    def target_width(self) -> int:
        """Numbers per row of targets, if they are values."""
        return max((output.targets[1] for output in self.outputs), default=self.output_features)

    def part(self, metric: "Metric") -> "Output | None":
        """Return the output that a metric measures, if there are several."""
        return self.outputs[metric.output] if self.outputs else None

    def without_training(self) -> "Program":
        """Return the program without what only training uses: for predictions and their derivatives."""
        return replace(
            self, loss=None, metrics=(), rule=None, groups=(), averages=False, accumulation=1, penalties=(), bounds=()
        )

    @property
    def optimizer_rule(self) -> Rule | None:
        """The optimizer's own rule; None if no rule updates parameters."""
        if isinstance(self.rule, FullBatch):
            return None
        return RULES[self.rule] if isinstance(self.rule, str) else self.rule

    @property
    def summand(self) -> float:
        """The factor of a batch's gradient in the accumulated sum."""
        is_sum = self.loss is None or self.loss.reduction == "sum"
        return 1.0 if is_sum else 1.0 / self.accumulation

    @cached_property
    def rules(self) -> tuple[Rule, ...]:
        """The rules that update parameters, in order: the optimizer's, then that of the running mean."""
        rule = self.optimizer_rule
        return () if rule is None else (rule, AVERAGE) if self.averages else (rule,)

    @cached_property
    def slots(self) -> tuple[str, ...]:
        """Slots per trained parameter, in order: those of the rules, and the accumulated gradient."""
        own = tuple(slot for rule in self.rules for slot in rule.slots)
        return own if self.accumulation == 1 else (*own, GRADIENT_SUM)

    @cached_property
    def group_of(self) -> Mapping[str, int]:
        """The group number of each parameter in a group, from 1, by name."""
        return {name: number for number, group in enumerate(self.groups, 1) for name in group.parameters}

    @cached_property
    def size(self) -> int:
        """Number of elements of all parameters."""
        return sum(parameter.size for parameter in self.parameters)

    @cached_property
    def measured(self) -> int:
        """How many numbers are summed over an epoch: the loss, and the sums of all metrics."""
        return 1 + sum(metric.sums for metric in self.metrics)

    @cached_property
    def parameters(self) -> tuple[Parameter, ...]:
        """All parameters in canonical order; a shared one appears once."""
        return tuple(dict.fromkeys(parameter for stage in self.stages for parameter in stage_parameters(stage)))

    @cached_property
    def trainable_parameters(self) -> tuple[Parameter, ...]:
        """Trained parameters in canonical order: those with a gradient, slots and updates."""
        return tuple(parameter for parameter in self.parameters if parameter.trainable)

    @cached_property
    def frozen_parameters(self) -> tuple[Parameter, ...]:
        """Frozen parameters in canonical order."""
        return tuple(parameter for parameter in self.parameters if not parameter.trainable)

    @cached_property
    def trainable_size(self) -> int:
        """Number of elements of the trained parameters."""
        return sum(parameter.size for parameter in self.trainable_parameters)

    def largest_product(self, rows: int) -> int:
        """Return the FLOPs of the largest matrix product for a batch of this many rows."""
        return max((2 * rows * s.kernel.size for s in self.stages if isinstance(s, Dense)), default=0)

    @property
    def held(self) -> str:
        """Description of penalties and constraints; empty for most networks."""
        parts = (["penalties"] if self.penalties else []) + (["constraints"] if self.bounds else [])
        return f"{' and '.join(parts)} of parameters" if parts else ""

    @property
    def kernels(self) -> set[str]:
        """Names of the kernels it uses: activations, operations, losses and metrics."""
        activations = {s.activation for s in self.stages if isinstance(s, Dense | Activate)}
        heads = {output.head for output in self.outputs} or {self.head}
        measures = [metric.kernel for metric in self.metrics] + [loss.kernel for loss in self.losses]
        operations = {s.kind for s in self.stages if isinstance(s, Op)}
        return activations | heads | operations | {kernel for kernel in measures if isinstance(kernel, str)}

    @cached_property
    def losses(self) -> tuple[Loss, ...]:
        """All losses that are computed: one per output, if there are several."""
        of_outputs = tuple(output.loss for output in self.outputs if output.loss is not None)
        return of_outputs or (() if self.loss is None else (self.loss,))

    @cached_property
    def custom_layers(self) -> tuple[str, ...]:
        """Names of user-defined layers, for messages."""
        return tuple(f"layer {type(s.function).__name__}" for s in self.stages if isinstance(s, Custom))

    @cached_property
    def custom_measures(self) -> tuple[str, ...]:
        """Names of user-defined losses and metrics, for messages."""
        kernels = [loss.kernel for loss in self.losses]
        losses = tuple(f"loss {type(kernel).__name__}" for kernel in kernels if not isinstance(kernel, str))
        return (*losses, *(f"metric {metric.name}" for metric in self.metrics if metric.is_own))

    @property
    def custom_rule(self) -> tuple[str, ...]:
        """Name of a user-defined optimizer, for messages."""
        if not isinstance(self.rule, Rule):
            return ()
        return (f"optimizer {self.rule.function.__qualname__.removesuffix('.update')}",)

    @property
    def custom_parts(self) -> tuple[str, ...]:
        """Names of all user-defined parts, for messages; empty for most networks."""
        return self.custom_layers + self.custom_measures + self.custom_rule
