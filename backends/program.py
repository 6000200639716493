"""The contract between networks and backends: a network as a frozen, flat description.

`dnnkit` lowers a network to a `Program`; a backend builds the program into an executable and runs it. A program says
what is computed and in which order the parameters are named, never where or how they are stored. Programs compare
and hash by value, so a backend may keep what it compiled for one.

What a stage is, is in `stages.py`, what a loss and a metric are in `measures.py`, what changes while a program runs in
`state.py`. Plugins import all of it from here.

    scores      = the stages, one after the other, on a batch of inputs; `sources` says what each reads
    loss        = program.loss(scores, targets)
    predictions = program.head(scores)

Several inputs are one: their columns side by side. So are several outputs, of which `outputs` says whose columns of the
scores and of the targets are which.

A softmax or sigmoid output with its cross-entropy is already lowered: the scores are logits, the head is the softmax,
the loss kernel is the fused one on logits.
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
"""The slot of gradients that wait for those of other batches."""


@dataclass(frozen=True)
class FullBatch:
    """An optimizer that works on the whole data at a time, and decides itself at which parameters it evaluates them.

    `pairs` are the steps that it remembers at most, each with what it changed in the gradient (`kernels/lbfgs`).
    """

    pairs: int


@dataclass(frozen=True)
class Group:
    """Parameters that the optimizer updates with numbers of their own.

    `patterns` are the places, among the optimizer's, of those that their names match.
    """

    patterns: tuple[int, ...]
    parameters: tuple[str, ...]


@dataclass(frozen=True)
class Program:
    """A network, whole: what it computes, what it minimises, how it is updated.

    `loss` and `rule` are None in a network that was never compiled: it predicts only. `rule` names one of
    `kernels/optimizer_step`, or is a user's own, or a `FullBatch` (`backends/full_batch.py`). `seed` (32 bits) decides
    dropout masks; `num_threads` None leaves the choice to the backend.
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
    """What is not in one of them is updated with the optimizer's own numbers."""
    averages: bool = False
    """Whether a running mean of each trained parameter is kept, in the slot of the rule `average`."""
    sources: Sources = ()
    """Which values each stage reads: 0 is the input, i + 1 what stage i gives. () where each reads the one before."""
    outputs: "tuple[Output, ...]" = ()
    """Where there are several, which `with_outputs` takes: the parts of scores and targets, each with its own loss."""
    accumulation: int = 1
    """Batches whose gradients together make an update: of losses that are means their mean, of sums their sum. Update u
    is made after batch u · accumulation - 1, counted by `TrainingState.step` from 0."""
    penalties: tuple[Penalty, ...] = ()
    """What parameters add to the loss, besides its rows."""
    bounds: tuple[Bound, ...] = ()
    """What parameters are held to after each update."""

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
            object.__setattr__(self, "sources", ())  # one way to say it, so that equal networks are equal programs
        if self.sources:
            self._check_sources()

    def _check_sources(self) -> None:
        """Raise `ConfigurationError` if the stages cannot be connected so."""
        found = misplaced(self.sources, len(self.stages))
        for place, (stage, values) in enumerate(zip(self.stages, self.sources, strict=False)):
            if not isinstance(stage, Op) and len(values) > 1 and found is None:
                found = f"stage {place}, {type(stage).__name__}, reads {len(values)} values: only an Op can"
        if found is not None:
            raise ConfigurationError(f"{found}: stages are in topological order, and the last gives the scores")

    def with_outputs(self, outputs: "Sequence[Output]") -> "Program":
        """The program with several outputs, whose losses are added up and whose metrics stand side by side.

        Their loss and metrics, `name_loss` and `name_metric`, are `metrics` of the program. What this has of either is
        replaced.
        """
        from dnnkit.backends.outputs import joint

        return replace(self, **joint(tuple(outputs)))

    @cached_property
    def edges(self) -> Sources:
        """`sources`, also of a chain."""
        return self.sources or chain(len(self.stages))

    @cached_property
    def gathered(self) -> "tuple[Rescale, tuple[Stage, ...], Sources]":
        """The rescaling that is done while a batch is gathered, the stages after it, and what these read.

        There is one where the first stage is, and nobody else reads the input.
        """
        stages, edges = self.stages, self.edges
        if not stages or not isinstance(stages[0], Rescale) or readers(edges)[0] != [(0, 0)]:
            return Rescale(1.0, 0.0), stages, edges
        return stages[0], stages[1:], tuple(tuple(value - 1 for value in values) for values in edges[1:])

    @cached_property
    def gathered_widths(self) -> tuple[int, ...]:
        """The features of each value of the stages after that."""
        return self.widths[len(self.stages) - len(self.gathered[1]) :]

    @cached_property
    def is_chain(self) -> bool:
        """Whether each stage reads what the one before it gives, and no parameter belongs to two."""
        owned = sum(len(stage_parameters(stage)) for stage in self.stages)
        return not self.sources and owned == len(self.parameters)

    @cached_property
    def has_scheduled_dropout(self) -> bool:
        """Whether what a dropout zeroes changes from step to step."""
        return any(isinstance(stage, Dropout) and stage.is_scheduled for stage in self.stages)

    @cached_property
    def api_version(self) -> int:
        """The version of plugins that understand it: 1 where it is a chain of stages that they have always known."""
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
        """How many numbers a row's targets are, where they are values."""
        return max((output.targets[1] for output in self.outputs), default=self.output_features)

    def part(self, metric: "Metric") -> "Output | None":
        """The output that a metric measures, where there are several."""
        return self.outputs[metric.output] if self.outputs else None

    @property
    def optimizer_rule(self) -> Rule | None:
        """The rule of the optimizer itself; None where nothing is updated by a rule."""
        if isinstance(self.rule, FullBatch):
            return None
        return RULES[self.rule] if isinstance(self.rule, str) else self.rule

    @property
    def summand(self) -> float:
        """The factor of a batch's gradient in that sum."""
        is_sum = self.loss is None or self.loss.reduction == "sum"
        return 1.0 if is_sum else 1.0 / self.accumulation

    @cached_property
    def rules(self) -> tuple[Rule, ...]:
        """What updates parameters, one after the other: the optimizer's rule, and the running mean's."""
        rule = self.optimizer_rule
        return () if rule is None else (rule, AVERAGE) if self.averages else (rule,)

    @cached_property
    def slots(self) -> tuple[str, ...]:
        """What the rules keep for each trained parameter, in order; and the sum of gradients over several batches."""
        own = tuple(slot for rule in self.rules for slot in rule.slots)
        return own if self.accumulation == 1 else (*own, GRADIENT_SUM)

    @cached_property
    def group_of(self) -> Mapping[str, int]:
        """The number of a parameter's group, from 1, by its name; those without one are missing."""
        return {name: number for number, group in enumerate(self.groups, 1) for name in group.parameters}

    @cached_property
    def size(self) -> int:
        """How many numbers all parameters are."""
        return sum(parameter.size for parameter in self.parameters)

    @cached_property
    def measured(self) -> int:
        """How many numbers are summed up over an epoch: the loss, and the sums of all metrics."""
        return 1 + sum(metric.sums for metric in self.metrics)

    @cached_property
    def parameters(self) -> tuple[Parameter, ...]:
        """Every parameter in canonical order; one that stages share comes once."""
        return tuple(dict.fromkeys(parameter for stage in self.stages for parameter in stage_parameters(stage)))

    @cached_property
    def trainable_parameters(self) -> tuple[Parameter, ...]:
        """Those that are trained, in canonical order: what has a gradient, slots and updates."""
        return tuple(parameter for parameter in self.parameters if parameter.trainable)

    @cached_property
    def frozen_parameters(self) -> tuple[Parameter, ...]:
        """The others, in canonical order."""
        return tuple(parameter for parameter in self.parameters if not parameter.trainable)

    @cached_property
    def trainable_size(self) -> int:
        """How many numbers the trained parameters are."""
        return sum(parameter.size for parameter in self.trainable_parameters)

    def largest_product(self, rows: int) -> int:
        """FLOPs of the largest matrix product for a batch of that many rows."""
        return max((2 * rows * s.kernel.size for s in self.stages if isinstance(s, Dense)), default=0)

    @property
    def held(self) -> str:
        """What is said of parameters besides how they are trained, in words; empty for most networks."""
        parts = (["penalties"] if self.penalties else []) + (["constraints"] if self.bounds else [])
        return f"{' and '.join(parts)} of parameters" if parts else ""

    @property
    def kernels(self) -> set[str]:
        """The names of the kernels that it takes: activations, operations, losses and metrics."""
        activations = {s.activation for s in self.stages if isinstance(s, Dense | Activate)}
        heads = {output.head for output in self.outputs} or {self.head}
        measures = [metric.kernel for metric in self.metrics] + [loss.kernel for loss in self.losses]
        operations = {s.kind for s in self.stages if isinstance(s, Op)}
        return activations | heads | operations | {kernel for kernel in measures if isinstance(kernel, str)}

    @cached_property
    def losses(self) -> tuple[Loss, ...]:
        """Every loss that is computed: of each output, where there are several."""
        of_outputs = tuple(output.loss for output in self.outputs if output.loss is not None)
        return of_outputs or (() if self.loss is None else (self.loss,))

    @cached_property
    def custom_layers(self) -> tuple[str, ...]:
        """The user's own layers, in words."""
        return tuple(f"layer {type(s.function).__name__}" for s in self.stages if isinstance(s, Custom))

    @cached_property
    def custom_measures(self) -> tuple[str, ...]:
        """The user's own loss and metrics, in words."""
        kernels = [loss.kernel for loss in self.losses]
        losses = tuple(f"loss {type(kernel).__name__}" for kernel in kernels if not isinstance(kernel, str))
        return (*losses, *(f"metric {metric.name}" for metric in self.metrics if metric.is_own))

    @property
    def custom_rule(self) -> tuple[str, ...]:
        """The user's own optimizer, in words."""
        if not isinstance(self.rule, Rule):
            return ()
        return (f"optimizer {self.rule.function.__qualname__.removesuffix('.update')}",)

    @property
    def custom_parts(self) -> tuple[str, ...]:
        """What the user wrote and no kernel knows, in words; empty for most networks."""
        return self.custom_layers + self.custom_measures + self.custom_rule
