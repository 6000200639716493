"""The contract between networks and backends: a network as a frozen, flat description, and its state as plain arrays.

`dnnkit` lowers a network to a `Program`; a backend builds the program into an executable and runs it. A program says
what is computed and in which order the parameters are named, never where or how they are stored. Programs compare
and hash by value, so a backend may keep what it compiled for one.

    scores      = the stages, one after the other, on a batch of inputs; `sources` says what each reads
    loss        = program.loss(scores, targets)
    predictions = program.head(scores)

Several inputs are one: their columns side by side. So are several outputs, of which `outputs` says whose columns of the
scores and of the targets are which.

A softmax or sigmoid output with its cross-entropy is already lowered: the scores are logits, the head is the softmax,
the loss kernel is the fused one on logits.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from math import prod
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from dnnkit.backends.graph import Sources, chain, misplaced, readers
from dnnkit.backends.penalties import Bound, Penalty
from dnnkit.errors import ConfigurationError
from dnnkit.kernels import registry
from dnnkit.kernels.array import Array, Namespace
from dnnkit.kernels.optimizer_step.reference import AVERAGE, RULES, Rule

if TYPE_CHECKING:
    from dnnkit.backends.outputs import Output

HostArray: TypeAlias = NDArray[Any]

GRADIENT_SUM = "gradient_sum"
"""The slot of gradients that wait for those of other batches."""


@dataclass(frozen=True)
class Parameter:
    """An array of a layer: its canonical name, such as `dense_1/kernel`, and its shape.

    One that is not `trainable` is frozen: it has no gradient and no slots, and no update changes it. A `statistic`,
    such as a moving mean, is never trainable; its own stage changes it in each training step.
    """

    name: str
    shape: tuple[int, ...]
    trainable: bool = True
    statistic: bool = False

    def __post_init__(self) -> None:
        if self.statistic and self.trainable:
            raise ConfigurationError(f"{self.name} is a statistic, which its stage changes: it cannot be trainable")

    @property
    def size(self) -> int:
        """Number of elements."""
        return prod(self.shape)


# -- stages: what is done to a batch (B, I) to give a batch (B, O) ---------------------------------------------------


@dataclass(frozen=True)
class Rescale:
    """x · scale + offset. As the first stage it is part of gathering the batch."""

    scale: float
    offset: float


@dataclass(frozen=True)
class Dense:
    """activation(x · kernel + bias); kernel (I, O), bias (O,) or None."""

    kernel: Parameter
    bias: Parameter | None
    activation: str


@dataclass(frozen=True)
class Activate:
    """activation(x)."""

    activation: str


@dataclass(frozen=True)
class Dropout:
    """Zero a random share while training; `layer` selects the stream of random bits.

    The share is `rate`, or what that gives for the number of batches so far, `TrainingState.step`.
    """

    rate: float | Callable[[int], float]
    layer: int

    @property
    def is_scheduled(self) -> bool:
        """Whether the share is another one in other steps."""
        return callable(self.rate)

    def rate_at(self, step: int) -> float:
        """The share of the batch after so many others."""
        return self.rate(step) if callable(self.rate) else self.rate


class CustomFunction(Protocol):
    """What a user's own layer computes, on the backend's array namespace `xp`."""

    def forward(self, xp: Namespace, x: Array, *parameters: Array) -> tuple[Array, Any]:
        """From x (B, *input_shape): y (B, *output_shape), and whatever `backward` wants to see again."""
        ...

    def backward(self, xp: Namespace, dy: Array, saved: Any, *parameters: Array) -> tuple[Array, ...]:
        """From dy: (dx, gradient of the first parameter, of the second, ...)."""
        ...


@dataclass(frozen=True)
class Custom:
    """A user's own layer: every backend calls its functions, in Python."""

    function: CustomFunction
    parameters: tuple[Parameter, ...]
    input_shape: tuple[int, ...]
    output_shape: tuple[int, ...]


@dataclass(frozen=True)
class Op:
    """An operation of a kind of `kernels/stages`, on one or several values (B, I_k), giving (B, features).

    `settings` are (name, hashable value), sorted by name; `layer` selects the stream of random bits. Only an op reads
    several values.
    """

    kind: str
    features: int
    parameters: tuple[Parameter, ...] = ()
    settings: tuple[tuple[str, Any], ...] = ()
    layer: int = 0

    def __post_init__(self) -> None:
        if list(self.settings) != sorted(self.settings, key=lambda setting: setting[0]):
            raise ConfigurationError(f"the settings of {self.kind} are {self.settings}: sort them by name")


Stage: TypeAlias = Rescale | Dense | Activate | Dropout | Custom | Op


def stage_parameters(stage: Stage) -> tuple[Parameter, ...]:
    """The stage's parameters in canonical order: kernel, then bias."""
    match stage:
        case Dense(kernel=kernel, bias=None):
            return (kernel,)
        case Dense(kernel=kernel, bias=bias) if bias is not None:
            return (kernel, bias)
        case Custom(parameters=parameters) | Op(parameters=parameters):
            return parameters
        case _:
            return ()


def stage_features(stage: Stage, inputs: int) -> int:
    """The features of its output, from those of its (first) input."""
    match stage:
        case Dense(kernel=kernel):
            return kernel.shape[1]
        case Custom(output_shape=shape):
            return prod(shape)
        case Op(features=features):
            return features
        case _:
            return inputs


def is_trained(stage: Stage) -> bool:
    """Whether the stage has parameters that are trained; but for statistics, it trains all of them or none."""
    return any(parameter.trainable for parameter in stage_parameters(stage))


def first_trained(stages: Sequence[Stage]) -> int:
    """The first stage that is trained, below which nothing needs a gradient; the number of stages if none is."""
    return next((place for place, stage in enumerate(stages) if is_trained(stage)), len(stages))


# -- what is measured and how it is improved -------------------------------------------------------------------------


class CustomLoss(Protocol):
    """What a user's own loss computes, on the backend's array namespace `xp`."""

    def loss_and_gradient(
        self, predictions: Array, targets: Array, weights: Array | None, scale: float, xp: Namespace
    ) -> tuple[Array, Array]:
        """As a loss kernel: the weighted sum of the row losses, and `scale` times its gradient (B, K)."""
        ...


class CustomMetric(Protocol):
    """What a user's own metric computes: one value a row, (B,), from targets and predictions."""

    def __call__(self, xp: Namespace, targets: Array, predictions: Array, weights: Array | None = None) -> Array:
        """One value a row, which its weight is not yet part of."""
        ...


@dataclass(frozen=True)
class Loss:
    """A loss kernel by name, or a user's own; `targets` are class labels (N,) or values (N, K).

    Those of a user's own may be "any", (N, ...), which only it, and metrics of the user's own, understand.
    """

    kernel: str | CustomLoss
    targets: Literal["labels", "values", "any"]
    reduction: Literal["mean", "sum"]

    def target_dtype(self, dtype: str, *, is_floating: bool) -> str:
        """What targets are kept as, in a program of that dtype; `is_floating`: they are given as real numbers."""
        return dtype if self.targets == "values" or (self.targets == "any" and is_floating) else "int64"


Sums: TypeAlias = NDArray[np.float64]


class Finish(Protocol):
    """The number that is made of a metric's sums."""

    def __call__(self, sums: Sums, weight: float) -> float:
        """From the sums (S,) and the sum of the row weights, which is not 0."""
        ...


class Exact(Protocol):
    """A number that sums can only estimate."""

    def __call__(self, targets: HostArray, predictions: HostArray, weights: HostArray | None) -> float:
        """From labels (N,) or rows (N, K), predictions (N, K) and row weights (N,)."""
        ...


class OwnLoss:
    """Stands for the kernel of a metric that is the loss of its output, which is summed where that is computed."""

    def __call__(self, xp: Namespace, targets: Array, predictions: Array, weights: Array | None = None) -> Array:
        """Never asked: a loss is one sum of a batch."""
        raise NotImplementedError("the loss of an output is summed up where it is computed")


OWN_LOSS = OwnLoss()


@dataclass(frozen=True)
class Metric:
    """A number reported beside the loss: a mean over rows, weighted like the loss, or what `finish` makes of sums.

    `kernel` names one of `kernels/metrics`, or is a user's own function; `threshold` is what binary accuracy compares
    scores with, or, where no number among the scores means the same as ½ of the predictions, `on_predictions` those.
    The kernel has so many `sums`. If they only estimate the number, `exact` gives it where all predictions are there.
    """

    name: str
    kernel: str | CustomMetric
    threshold: float = 0.5
    on_predictions: bool = False
    sums: int = 1
    finish: Finish | None = None
    exact: Exact | None = None
    output: int = 0
    """Which output it measures, where there are several."""

    @property
    def is_loss(self) -> bool:
        """Whether it is the loss of an output."""
        return self.kernel is OWN_LOSS

    @property
    def is_own(self) -> bool:
        """Whether a user wrote it."""
        return not isinstance(self.kernel, str) and not self.is_loss

    @property
    def reads_predictions(self) -> bool:
        """Whether it wants the network's predictions, not the scores before a head that the loss has taken over."""
        if not isinstance(self.kernel, str):
            return self.is_own
        return self.on_predictions or registry.metric(self.kernel).reads == "predictions"

    def value(self, sums: Sequence[float], weight: float) -> float:
        """The number, of its sums and the sum of the row weights, which is not 0."""
        return sums[0] / weight if self.finish is None else float(self.finish(np.asarray(sums, np.float64), weight))


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


# -- what changes while it runs --------------------------------------------------------------------------------------


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

    def numbers(self, rule: Rule) -> list[float]:
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

    def means(self, metrics: Sequence[Metric]) -> dict[str, float]:
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
