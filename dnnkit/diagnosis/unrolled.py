"""One training step of a network, operation by operation, on NumPy by the kernels' formulas, every array kept.

Of a dense layer with an activation, the sum and the activation are two operations: z = x · kernel + bias, f(z).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dnnkit.backends.operations import Operations
from dnnkit.backends.program import Activate, Dense, Dropout, Parameter, Program, Stage, is_trained, stage_parameters
from dnnkit.backends.stagewise.buffers import Buffers
from dnnkit.backends.stagewise.layout import FlatLayout
from dnnkit.backends.stagewise.stages import Stages
from dnnkit.kernels import registry
from dnnkit.kernels.array import Namespace
from dnnkit.layers import Layer
from dnnkit.network.lowering import layer_names

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
        layer: the layer's name.
        layer_given: the layer as its user made it.
        stage: what was computed; of a dense layer, its activation apart.
        x, y: its input and output.
        dy, dx: the loss's gradients in y and x.
        gradients: of its parameters, by canonical name; none of frozen ones.
    """

    layer: str
    layer_given: Layer
    stage: Stage
    x: Values
    y: Values
    dy: Values
    dx: Values
    gradients: Mapping[str, Values]


@dataclass(frozen=True)
class Step:
    """A training step before its update: operations in their order, and the loss of the batch."""

    x: Values
    """The batch, in the network's dtype, before the first operation."""
    operations: tuple[Operation, ...]
    predictions: Values
    loss: float
    scores_gradient: Values
    """The loss's gradient in what it takes: the output, or what comes before a softmax or sigmoid that it has taken
    over."""
    head: str
    """The activation that the loss has taken over; "linear" for none."""
    head_layer: str
    """The layer that it belonged to."""


def unroll(
    program: Program,
    layers: Sequence[Layer],
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

    Without `with_input` nothing goes back beyond the first trained layer, as in training: gradients there are empty.
    """
    assert program.loss is not None, "whoever calls has checked that the network is compiled"
    operations, dtype = Formulas(), np.dtype(program.dtype)
    layout = FlatLayout(program.parameters)
    flat = layout.flatten(parameters, program.dtype)
    named = _named_stages(program, layers)
    named = (part for part in named if training or not isinstance(part[2], Dropout))
    parts = [(name, layer, single) for name, layer, stage in named for single in _single(stage)]
    chains = [Stages(operations, (stage,), layout, Buffers(operations, dtype), program.seed) for _, _, stage in parts]
    with np.errstate(all="ignore"):
        inputs = [x.reshape(len(x), -1).astype(dtype)]
        saved = []
        for chain in chains:
            out, kept = chain.forward(flat, inputs[-1], training=training, step=step)
            inputs.append(np.asarray(out))
            saved.append(kept)
        targets = y.astype(np.int64 if program.loss.targets == "labels" else dtype)
        if weights is not None:
            weights = weights.astype(dtype)
        total = float(len(x)) if weights is None else float(weights.sum(dtype=np.float64))
        scale = 1.0 if program.loss.reduction == "sum" else (1.0 / total if total else 0.0)
        loss, dy = operations.loss(program.loss, inputs[-1], targets, weights, scale)
        predictions = operations.activation(registry.activation(program.head), inputs[-1])
        scores_gradient, done = np.asarray(dy), list[Operation]()
        first = next((index for index, part in enumerate(parts) if is_trained(part[2])), len(parts))
        for index in reversed(range(len(parts))):
            name, layer, stage = parts[index]
            given, dx, own = np.array(dy), np.empty(0, dtype), dict[str, Values]()
            if with_input or index >= first:
                needs_dx, scratch = with_input or index > first, given.copy()  # a layer of one's own may write into it
                back, gradients = chains[index].backward(flat, scratch, saved[index], needs_dx, out=flat.copy())
                dx = dx if back is None else np.asarray(back)
                trained = stage_parameters(stage) if is_trained(stage) else ()
                own = {p.name: np.asarray(g) for p, g in zip(trained, gradients, strict=True)}
            done.append(Operation(name, layer, stage, inputs[index], inputs[index + 1], given, dx, own))
            dy = dx
    mean = float(loss) if program.loss.reduction == "sum" else float(loss) / (total or 1.0)
    head_layer = layer_names(layers)[-1] if layers else ""
    seen = np.asarray(predictions)
    return Step(inputs[0], tuple(reversed(done)), seen, mean, scores_gradient, program.head, head_layer)


def _named_stages(program: Program, layers: Sequence[Layer]) -> Iterator[tuple[str, Layer, Stage]]:
    """The stages with the layers that they come from; the last layer may have none, for the loss has taken it over."""
    stages, shape = iter(program.stages), program.input_shape
    for index, (layer, name) in enumerate(zip(layers, layer_names(layers), strict=True)):
        parameters = tuple(Parameter(f"{name}/{part}", size) for part, (size, _) in layer.parameters(shape).items())
        if layer.lower(index, shape, parameters) is not None and (stage := next(stages, None)) is not None:
            yield name, layer, stage
        shape = layer.output_shape(shape)


def _single(stage: Stage) -> Iterator[Stage]:
    """A dense stage as two operations, where it has an activation; any other as it is."""
    if isinstance(stage, Dense) and stage.activation != "linear":
        yield replace(stage, activation="linear")
        yield Activate(stage.activation)
    else:
        yield stage
