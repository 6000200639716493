"""One training step, operation by operation, with the kernels' reference formulas on NumPy, keeping every array.

A dense layer with an activation becomes two operations: z = x · kernel + bias, and f(z).
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dnnkit.backends.graph import wanted
from dnnkit.backends.operations import Operations
from dnnkit.backends.program import Program
from dnnkit.backends.stages import Activate, Dense, Dropout, Op, Stage, is_trained, stage_parameters
from dnnkit.backends.stagewise.buffers import Buffers
from dnnkit.backends.stagewise.layout import FlatLayout
from dnnkit.backends.stagewise.stages import Stages
from dnnkit.deferred import dataclass
from dnnkit.graph.graph import Graph
from dnnkit.kernels import registry
from dnnkit.kernels.array import Namespace
from dnnkit.kernels.stages import Context, kind
from dnnkit.layers import Layer
from dnnkit.network.goals import Goal
from dnnkit.network.lowering import stages_of

Values = NDArray[Any]


class Formulas(Operations):
    """Operations by the kernels' reference formulas on NumPy; results are new arrays, so that all can be kept."""

    @property
    def xp(self) -> Namespace:
        """NumPy."""
        return np


@dataclass(frozen=True)
class Operation:
    """Inputs and results of one operation, forward and backward.

    Attributes:
        layer: name of the layer, with "#2" for its second call; "inputs" or "outputs" for operations that split several
            inputs or concatenate several outputs.
        layer_given: the layer as the user made it; None for those.
        stage: the operation, without the activation of a dense layer.
        reads: numbers of the values it reads: 0 is the batch, i + 1 the output of operation i.
        x: the first of these values.
        y: its output.
        dy: the loss's gradient with respect to y.
        gradients: contributions of this operation to gradients of trainable parameters, by canonical name.
    """

    layer: str
    layer_given: Layer | None
    stage: Stage
    reads: tuple[int, ...]
    x: Values
    y: Values
    dy: Values
    gradients: Mapping[str, Values]


@dataclass(frozen=True)
class Step:
    """A training step before its update: operations in order, and the loss of the batch."""

    x: Values
    """The batch, in the network's dtype, before the first operation."""
    dx: Values
    """The loss's gradient with respect to the batch; empty if not requested."""
    operations: tuple[Operation, ...]
    predictions: Values
    loss: float
    scores_gradient: Values
    """The loss's gradient with respect to its input: the output, or the logits if the loss is fused with a softmax or
    sigmoid."""
    head: str
    """The activation fused with the loss; "linear" if none, and for several outputs."""
    head_layer: str
    """The layer of that activation."""

    @property
    def gradients(self) -> dict[str, Values]:
        """Gradient of each trainable parameter, summed over the operations that use it."""
        found: dict[str, Values] = {}
        for operation in reversed(self.operations):
            for name, gradient in operation.gradients.items():
                found[name] = found[name] + gradient if name in found else gradient
        return {name: found[name] for operation in self.operations for name in operation.gradients}


class _Part(NamedTuple):
    """A stage, or a part of one, before it is computed."""

    layer: str
    layer_given: Layer | None
    stage: Stage
    reads: tuple[int, ...]


def unroll(
    program: Program,
    graph: Graph,
    goals: Sequence[Goal],
    parameters: Mapping[str, Values],
    x: Values,
    y: Values,
    weights: Values | None = None,
    *,
    training: bool = True,
    step: int = 0,
    with_input: bool = True,
) -> Step:
    """Run a forward and backward pass on all rows of x as one batch; `step` selects dropout masks if `training`.

    Without `with_input`, the backward pass stops below the lowest trainable parameter, as in training; gradients before
    it are empty.
    """
    assert program.loss is not None, "callers have checked that the network is compiled"
    operations, dtype = Formulas(), np.dtype(program.dtype)
    layout = FlatLayout(program.parameters)
    flat = layout.flatten(parameters, program.dtype)
    parts = _parts(program, graph, goals, training)
    needed = wanted(
        tuple(part.reads for part in parts), [is_trained(part.stage) for part in parts], with_input=with_input
    )
    runs = [_Run(operations, part.stage, layout, dtype, program.seed, training, step) for part in parts]
    empty = np.empty(0, dtype)
    with np.errstate(all="ignore"):
        values = [x.reshape(len(x), -1).astype(dtype)]
        for part, run in zip(parts, runs, strict=True):
            values.append(run.forward(flat, [values[value] for value in part.reads]))
        targets = y.astype(np.int64 if program.loss.targets == "labels" else dtype)
        if weights is not None:
            weights = weights.astype(dtype)
        total = float(len(x)) if weights is None or weights.ndim > 1 else float(weights.sum(dtype=np.float64))
        scale = 1.0 if program.loss.reduction == "sum" else (1.0 / total if total else 0.0)
        loss, dy = operations.loss(program.loss, values[-1], targets, weights, scale)
        slopes: list[Values] = [*(empty for _ in parts), np.array(dy)]
        own = [dict[str, Values]() for _ in parts]
        for place in reversed(range(len(parts))):
            if not needed[place + 1] or not slopes[place + 1].size:
                continue
            reads = parts[place].reads
            dxs, own[place] = runs[place].backward(flat, slopes[place + 1].copy(), [needed[each] for each in reads])
            for value, dx in zip(reads, dxs, strict=True):
                if dx is not None and needed[value]:
                    slopes[value] = slopes[value] + dx if slopes[value].size else np.array(dx)
    done = tuple(
        Operation(*part, values[part.reads[0]], values[place + 1], slopes[place + 1], own[place])
        for place, part in enumerate(parts)
    )
    mean = float(loss) if program.loss.reduction == "sum" else float(loss) / (total or 1.0)
    head_layer = graph.labels()[graph.outputs[0]]
    predictions = _predictions(operations, program, values[-1])
    return Step(values[0], slopes[0], done, predictions, mean, np.asarray(dy), program.head, head_layer)


def _predictions(operations: Operations, program: Program, scores: Values) -> Values:
    """Apply the activations fused with the losses to the scores."""
    if not program.outputs:
        return np.asarray(operations.activation(registry.activation(program.head), scores))
    parts = [
        operations.activation(registry.activation(output.head), output.scores(scores, np)) for output in program.outputs
    ]
    return np.concatenate(parts, axis=1)


class _Run:
    """A single stage, forward and backward."""

    def __init__(
        self,
        operations: Operations,
        stage: Stage,
        layout: FlatLayout,
        dtype: np.dtype[Any],
        seed: int,
        training: bool,
        step: int,
    ) -> None:
        self._stage, self._layout, self._training, self._step = stage, layout, training, step
        self._stages = Stages(operations, (stage,), layout, Buffers(operations, dtype), seed)
        self._context = Context(training, getattr(stage, "layer", 0), seed, step)
        self._saved: Any = None

    def forward(self, flat: Values, xs: list[Values]) -> Values:
        """Return the output; keep what `backward` needs."""
        if isinstance(self._stage, Op):
            y, self._saved = kind(self._stage.kind).forward(xs, self._owned(flat), self._settings, self._context, np)
        else:
            y, self._saved = self._stages.forward(flat, xs[0], training=self._training, step=self._step)
        return np.asarray(y)

    def backward(self, flat: Values, dy: Values, needs_dx: list[bool]) -> tuple[list[Values | None], dict[str, Values]]:
        """Return the gradient of each value that the stage reads, and gradients of its trainable parameters by name."""
        trained = [each for each in stage_parameters(self._stage) if each.trainable]
        if isinstance(self._stage, Op):
            found = kind(self._stage.kind).backward(dy, self._saved, self._owned(flat), self._settings, needs_dx, np)
            dxs = [None if dx is None else np.asarray(dx) for dx in found[0]]
            names = [each.name for each in stage_parameters(self._stage)]
            given = {name: np.asarray(part) for name, part in zip(names, found[1], strict=True) if part is not None}
            return dxs, {each.name: given[each.name] for each in trained if each.name in given}
        dx, parts = self._stages.backward(flat, dy, self._saved, needs_dx[0], out=flat.copy())
        gradients = {each.name: np.asarray(part) for each, part in zip(trained, parts, strict=True)}
        return [None if dx is None or not needs_dx[0] else np.asarray(dx)], gradients

    @property
    def _settings(self) -> dict[str, Any]:
        assert isinstance(self._stage, Op)
        return dict(self._stage.settings)

    def _owned(self, flat: Values) -> list[Values]:
        return [self._layout.view(flat, each.name, np) for each in stage_parameters(self._stage)]


def _parts(program: Program, graph: Graph, goals: Sequence[Goal], training: bool) -> list[_Part]:
    """Return the stages with their layers and inputs, without dropout unless `training`."""
    origins, found = stages_of(graph, goals)[0].origins, list[_Part]()
    places, calls = [0], Counter[str]()
    for stage, reads, origin in zip(program.stages, program.edges, origins, strict=True):
        if isinstance(stage, Dropout) and not training:
            places.append(places[reads[0]])
            continue
        sources = tuple(places[value] for value in reads)
        name = "outputs" if len(reads) > 1 else "inputs"
        if origin is not None:
            name = origin.path
            if not found or found[-1].layer_given is not origin.layer or found[-1].layer.partition("#")[0] != name:
                calls[name] += 1
            name += f"#{calls[name]}" if calls[name] > 1 else ""
        for single in _single(stage):
            found.append(_Part(name, None if origin is None else origin.layer, single, sources))
            sources = (len(found),)
        places.append(len(found))
    return found


def _single(stage: Stage) -> Iterator[Stage]:
    """Split a dense stage with an activation into two; yield other stages unchanged."""
    if isinstance(stage, Dense) and stage.activation != "linear":
        yield replace(stage, activation="linear")
        yield Activate(stage.activation)
    else:
        yield stage
