"""Several outputs: their columns of the scores and of the targets, and how their losses are combined.

    loss = Σ weight_k loss_k(columns_k of the scores, columns_k of the targets)

Scores and targets are one matrix each, so code that moves, stores or checks them need not know about outputs. Labels
are whole numbers in the matrix of targets. The loss of each output is also a metric of the program.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from dnnkit.backends.measures import OWN_LOSS, Loss, Metric, Sums
from dnnkit.backends.state import HostArray
from dnnkit.deferred import dataclass
from dnnkit.errors import ConfigurationError
from dnnkit.kernels import registry
from dnnkit.kernels.array import Array, Namespace

if TYPE_CHECKING:
    from dnnkit.backends.program import Program

LARGEST_LABEL = {"float32": 1 << 24, "float64": 1 << 53}
"""Largest exact integer in a matrix of each dtype."""


@dataclass(frozen=True)
class Output:
    """A part of the scores, with its loss and metrics.

    Arguments:
        name: such as "price".
        columns: (start, stop) of its scores.
        head: activation that computes its predictions from them.
        loss: None if only other outputs have one; its gradient is then zero.
        targets: (start, stop) of its columns of the targets; one column for labels, none without a loss.
        loss_weight: factor of its loss in the sum of all.
        metrics: further metrics, with names unique within the output.
    """

    name: str
    columns: tuple[int, int]
    head: str = "linear"
    loss: Loss | None = None
    targets: tuple[int, int] = (0, 0)
    loss_weight: float = 1.0
    metrics: tuple[Metric, ...] = ()

    @property
    def width(self) -> int:
        """Number of scores per row."""
        return self.columns[1] - self.columns[0]

    @property
    def takes_labels(self) -> bool:
        """Whether its targets are class labels."""
        return self.loss is not None and self.loss.targets == "labels"

    def scores(self, scores: Array, xp: Namespace) -> Array:
        """Return a copy of its columns, because kernels read whole rows."""
        return xp.asarray(scores[:, slice(*self.columns)], copy=True)

    def targets_of(self, targets: Array, xp: Namespace) -> Array:
        """Return its targets (N, K), or labels (N,), from those of all outputs."""
        own = targets[:, slice(*self.targets)]
        return xp.astype(own[:, 0], xp.int64) if self.takes_labels else xp.asarray(own, copy=True)


@dataclass(frozen=True)
class JointLoss:
    """Sum of several outputs' losses, as the loss of one matrix of scores."""

    outputs: tuple[Output, ...]

    def loss_and_gradient(
        self, predictions: Array, targets: Array, weights: Array | None, scale: float, xp: Namespace
    ) -> tuple[Array, Array]:
        """Return loss and gradient, as a loss kernel, from the formulas of each output."""

        def one(loss: Loss, scores: Array, own: Array, counts: Array | None, factor: float) -> tuple[Array, Array]:
            kernel = registry.loss(loss.kernel) if isinstance(loss.kernel, str) else loss.kernel
            return kernel.loss_and_gradient(scores, own, counts, factor, xp)

        total, _, gradient = added_up(self.outputs, predictions, targets, weights, scale, one, xp)
        return total, gradient


def added_up(
    outputs: Sequence[Output],
    scores: Array,
    targets: Array,
    weights: Array | None,
    scale: float,
    one: Any,
    xp: Namespace,
) -> tuple[Array, list[Array], Array]:
    """Return (weighted sum of the outputs' losses, the sum of each that has one, gradient of all scores).

    `one(loss, scores, targets, weights, scale)` returns what a loss kernel does.
    """
    total, sums, parts = xp.asarray(0.0, dtype=xp.float64), [], []
    for number, output in enumerate(outputs):
        own = output.scores(scores, xp)
        if output.loss is None:
            parts.append(xp.zeros_like(own))
            continue
        own_weights, factor = weights_of(weights, number, xp), scale * output.loss_weight
        found, gradient = one(output.loss, own, output.targets_of(targets, xp), own_weights, factor)
        total = total + output.loss_weight * found
        sums.append(found)
        parts.append(gradient)
    return total, sums, xp.concat(parts, axis=1)


def weights_of(weights: Array | None, number: int, xp: Namespace) -> Array | None:
    """Return an output's row weights (N,): the common ones, or its column of (N, outputs)."""
    return weights if weights is None or weights.ndim == 1 else xp.asarray(weights[:, number], copy=True)


def balanced(weights: HostArray | None, program: "Program") -> HostArray | None:
    """Normalize the row weights of each output to a mean of 1, if the loss is a mean over rows.

    Sums over rows are then divided by the number of rows, for every output.
    """
    if weights is None or weights.ndim == 1 or program.loss is None or program.loss.reduction == "sum":
        return weights
    means = weights.mean(axis=0, dtype="float64")
    means[means == 0] = 1  # all rows have weight 0
    found: HostArray = weights / means
    return found


def of_output(output: Output | None, targets: HostArray, predictions: HostArray) -> tuple[HostArray, HostArray]:
    """Return (targets, predictions) of an output, on the host; all of them if there is only one."""
    if output is None:
        return targets, predictions
    own = targets[:, slice(*output.targets)]
    return (own[:, 0].astype("int64") if output.takes_labels else own), predictions[:, slice(*output.columns)]


def joint(outputs: tuple[Output, ...]) -> dict[str, Any]:
    """Return the fields of a program with several outputs. Raises `ConfigurationError` if they cannot be combined."""
    if [output.columns[0] for output in outputs] != [0, *(output.columns[1] for output in outputs[:-1])]:
        said = ", ".join(f"{output.name} {output.columns}" for output in outputs)
        raise ConfigurationError(f"the outputs have the columns {said}: each must begin where the previous one ends")
    losses = [output for output in outputs if output.loss is not None]
    metrics: list[Metric] = []
    for number, output in enumerate(outputs):
        if output.loss is None:
            if output.metrics:
                raise ConfigurationError(f"output {output.name!r} has metrics but no loss, so no targets")
            continue
        finish = _summed if output.loss.reduction == "sum" else None
        metrics.append(Metric(f"{output.name}_loss", OWN_LOSS, finish=finish, output=number))
        metrics += [replace(one, name=f"{output.name}_{one.name}", output=number) for one in output.metrics]
    return {"outputs": outputs, "head": "linear", "loss": _joint_loss(losses, outputs), "metrics": tuple(metrics)}


def _joint_loss(losses: list[Output], outputs: tuple[Output, ...]) -> Loss | None:
    if not losses:
        return None
    found = {output.name: output.loss for output in losses if output.loss is not None}
    reductions = {loss.reduction for loss in found.values()}
    if len(reductions) > 1:
        said = ", ".join(f"that of {name} is the {loss.reduction} over rows" for name, loss in found.items())
        raise ConfigurationError(f"all losses must be means over rows, or all of them sums, but {said}")
    for name, loss in found.items():
        if loss.targets == "any":
            raise ConfigurationError(
                f"output {name!r}: a custom loss that takes targets of any shape must be the only one; with "
                'several outputs it must take rows of numbers, targets = "values"'
            )
    return Loss(JointLoss(outputs), "values", reductions.pop())


def _summed(sums: Sums, weight: float) -> float:
    return float(sums[0])
