"""What each kind of stage does, forward and backward, on a backend's operations."""

from collections.abc import Callable
from typing import Any

from dnnkit.backends.operations import Operations
from dnnkit.backends.program import (
    Activate,
    Custom,
    Dense,
    Dropout,
    Rescale,
    Stage,
    first_trained,
    is_trained,
    stage_parameters,
)
from dnnkit.backends.stagewise.buffers import Buffers
from dnnkit.backends.stagewise.layout import FlatLayout
from dnnkit.kernels import registry
from dnnkit.kernels.array import Array
from dnnkit.kernels.dropout import Draw


class Stages:
    """A chain of stages with their buffers; parameters and gradient come and go as one flat array each."""

    def __init__(
        self, backend: Operations, stages: tuple[Stage, ...], layout: FlatLayout, buffers: Buffers, seed: int
    ) -> None:
        self._backend, self._xp = backend, backend.xp
        self._stages, self._layout, self._buffers, self._seed = stages, layout, buffers, seed
        self._first_trained = first_trained(stages)
        after = [stage if isinstance(stage, Dropout) and backend.draws_dropout else None for stage in stages[1:]]
        self._drawn = {index: stage for index, stage in enumerate(after) if stage and isinstance(stages[index], Dense)}
        """By the number of a dense layer, the dropout that is drawn in that layer's passes, as it is next."""
        self.mark: Callable[[Any], None] | None = None
        """Told the number of each stage that was computed, forward or backward."""

    def forward(self, parameters: Array, x: Array, *, training: bool, step: int) -> tuple[Array, list[Any]]:
        """Scores (B, O) of x (B, I), and what each stage's backward pass needs; `step` selects dropout masks."""
        saved = []
        for index, stage in enumerate(self._stages):
            x, kept = self._forward(index, stage, self._own(parameters, stage), x, training, step)
            saved.append(kept)
            if self.mark is not None:
                self.mark(index)
        return x, saved

    def backward(
        self, parameters: Array, dy: Array, saved: list[Any], needs_dx: bool, out: Array
    ) -> tuple[Array, list[Array]]:
        """From the gradient in the scores: that in x, if asked for, and in each trained parameter, in canonical order.

        The parameters' gradients are views of `out` where the backend writes into buffers.
        """
        gradients: list[Array] = []
        for index in range(len(self._stages) - 1, -1 if needs_dx else self._first_trained - 1, -1):
            stage = self._stages[index]
            owned, outs = self._own(parameters, stage), self._own(out, stage) if is_trained(stage) else []
            needed = needs_dx or index > self._first_trained
            dy, parts = self._backward(index, stage, owned, dy, saved[index], needed, outs)
            gradients[:0] = parts
            if self.mark is not None:
                self.mark(index)
        return dy, gradients

    def _own(self, flat: Array, stage: Stage) -> list[Array]:
        """The stage's parts of a flat array, in their shapes."""
        return [self._layout.view(flat, parameter.name, self._xp) for parameter in stage_parameters(stage)]

    def _draw(self, stage: Dropout, step: int) -> Draw:
        return Draw(stage.rate, self._seed, stage.layer, step)

    def _forward(
        self, index: int, stage: Stage, owned: list[Array], x: Array, training: bool, step: int
    ) -> tuple[Array, Any]:
        """(output of the stage, what its backward pass needs)."""
        backend, shape = self._backend, tuple(x.shape)
        match stage:
            case Dense(kernel=kernel, activation=name):
                w, b = (*owned, None)[:2]
                activation, shape = registry.activation(name), (shape[0], kernel.shape[1])
                z = self._buffers.get("z", shape, index) if activation.saves == "input" else None
                buffers, dropout = (self._buffers.get("y", shape, index), z), None
                if training and index in self._drawn:
                    dropout = self._draw(self._drawn[index], step)
                    dropped = self._buffers.get("dropped", shape, index)
                    y, kept = backend.dense_and_dropout(x, w, b, activation, dropout, out=(dropped, *buffers))
                else:
                    y, kept = backend.dense(x, w, b, activation, out=buffers)
                return y, (x, kept, dropout)
            case Activate(activation=name):
                activation = registry.activation(name)
                y = backend.activation(activation, x, out=self._buffers.get("y", shape, index))
                return y, (y if activation.saves == "output" else x)
            case Rescale(scale=scale, offset=offset):
                return backend.affine(x, scale, offset, out=self._buffers.get("y", shape, index)), None
            case Dropout(rate=rate, layer=layer):
                if not training or index - 1 in self._drawn:
                    return x, None
                if backend.draws_dropout:
                    drawn = self._draw(stage, step)
                    return backend.draw_dropout(x, drawn, out=self._buffers.get("y", shape, index)), drawn
                out = self._buffers.get("keep", shape, index, backend.dtype("bool"))
                keep = backend.dropout_mask(shape, rate, self._seed, layer, step, out=out)
                return backend.dropout(x, keep, rate, out=self._buffers.get("y", shape, index)), keep
            case Custom(function=function, input_shape=input_shape):
                inputs = self._xp.reshape(x, (-1, *input_shape))
                y, kept = function.forward(self._xp, inputs, *owned)
                return self._xp.reshape(y, (shape[0], -1)), (kept, tuple(y.shape))
        raise NotImplementedError(f"no backend knows how to run the stage {type(stage).__name__}")

    def _backward(
        self, index: int, stage: Stage, owned: list[Array], dy: Array, saved: Any, needs_dx: bool, outs: list[Array]
    ) -> tuple[Array, list[Array]]:
        """(gradient in the stage's input, gradients of its parameters in canonical order, none where it is frozen)."""
        backend, shape = self._backend, tuple(dy.shape)
        match stage:
            case Dense(kernel=kernel, activation=name) if not is_trained(stage):
                if saved[2] is not None:  # drawn in the layer's pass
                    dy = backend.draw_dropout(dy, saved[2], out=dy)
                dx = self._buffers.get("dx", (shape[0], kernel.shape[0]), index)
                return backend.dense_backward_input(dy, owned[0], saved[1], registry.activation(name), out=dx), []
            case Dense(kernel=kernel, activation=name):
                x, kept, dropout = saved
                db = None if len(outs) > 1 else self._buffers.get("db", (kernel.shape[1],), index)  # without a bias
                dw, db = (*outs, db)[:2]
                dx = self._buffers.get("dx", (shape[0], kernel.shape[0]), index) if needs_dx else None
                activation = registry.activation(name)
                given, buffers = (dy, x, owned[0], kept, activation), (dx, dw, db)
                if dropout is None:
                    dx, *gradients = backend.dense_backward(*given, needs_dx, out=buffers)
                else:
                    dx, *gradients = backend.dense_and_dropout_backward(*given, dropout, needs_dx, out=buffers)
                return dx, gradients[: len(stage_parameters(stage))]
            case Activate(activation=name):
                out = self._buffers.get("dx", shape, index)
                return backend.activation_backward(registry.activation(name), dy, saved, out=out), []
            case Rescale(scale=scale):
                return backend.affine(dy, scale, 0.0, out=self._buffers.get("dx", shape, index)), []
            case Dropout() if saved is None:  # of the stage before
                return dy, []
            case Dropout() if backend.draws_dropout:
                return backend.draw_dropout(dy, saved, out=self._buffers.get("dx", shape, index)), []
            case Dropout(rate=rate):
                return backend.dropout(dy, saved, rate, out=self._buffers.get("dx", shape, index)), []
            case Custom(function=function):
                kept, y_shape = saved
                dy = self._xp.reshape(dy, y_shape)
                dx, *parts = function.backward(self._xp, dy, kept, *owned)
                return self._xp.reshape(dx, (shape[0], -1)), parts if is_trained(stage) else []
        raise NotImplementedError(f"no backend knows how to run the stage {type(stage).__name__}")
