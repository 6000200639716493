"""One training step of a network, operation by operation, on NumPy by the kernels' formulas, every array kept.

Of a dense layer with an activation, the sum and the activation are two operations: z = x · kernel + bias, f(z).
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
    """NumPy by the kernels' reference formulas: new arrays each time, so that all of them can be kept."""

    @property
    def xp(self) -> Namespace:
        """NumPy."""
        return np


@dataclass(frozen=True)
class Operation:
    """What one operation of a layer has computed, forward and backward.

    Attributes:
        layer: the layer's name, with "#2" for its second call; "inputs" and "outputs" of what takes several apart, or
            puts them side by side.
        layer_given: the layer as its user made it; None for these.
        stage: what was computed; of a dense layer, its activation apart.
        reads: which values it is computed from: 0 is the batch, i + 1 what operation i gives.
        x: the first of these values.
        y: its output.
        dy: the loss's gradient in y.
        gradients: of its parameters, by canonical name, as far as they come of this operation; none of frozen ones.
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
    """A training step before its update: operations in their order, and the loss of the batch."""

    x: Values
    """The batch, in the network's dtype, before the first operation."""
    dx: Values
    """The loss's gradient in it; empty where it was not asked for."""
    operations: tuple[Operation, ...]
    predictions: Values
    loss: float
    scores_gradient: Values
    """The loss's gradient in what it takes: the output, or what comes before a softmax or sigmoid that it has taken
    over."""
    head: str
    """The activation that the loss has taken over; "linear" for none, and for several outputs."""
    head_layer: str
    """The layer that it belonged to."""

    @property
    def gradients(self) -> dict[str, Values]:
        """The gradient of each trained parameter, of all operations that have it."""
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
    """Forward and backward on all rows of x as one batch; `step` selects dropout masks, if it is a training step.

    Without `with_input` nothing goes back beyond what comes before all that is trained, as in training: gradients there
    are empty.
    """
    assert program.loss is not None, "whoever calls has checked that the network is compiled"
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
    """What the activations that losses have taken over make of the scores."""
    if not program.outputs:
        return np.asarray(operations.activation(registry.activation(program.head), scores))
    parts = [
        operations.activation(registry.activation(output.head), output.scores(scores, np)) for output in program.outputs
    ]
    return np.concatenate(parts, axis=1)


class _Run:
    """A stage by itself, forward and backward."""

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
        """What it gives; it keeps what `backward` needs."""
        if isinstance(self._stage, Op):
            y, self._saved = kind(self._stage.kind).forward(xs, self._owned(flat), self._settings, self._context, np)
        else:
            y, self._saved = self._stages.forward(flat, xs[0], training=self._training, step=self._step)
        return np.asarray(y)

    def backward(self, flat: Values, dy: Values, needs_dx: list[bool]) -> tuple[list[Values | None], dict[str, Values]]:
        """(gradient in each value that it reads, gradients of its trained parameters by name)."""
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
    """The stages with the layers that they come from, and what they read; without dropout where it does nothing."""
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
    """A dense stage as two operations, where it has an activation; any other as it is."""
    if isinstance(stage, Dense) and stage.activation != "linear":
        yield replace(stage, activation="linear")
        yield Activate(stage.activation)
    else:
        yield stage
