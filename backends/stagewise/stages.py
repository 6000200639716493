"""Forward and backward pass of each kind of stage, on a backend's operations."""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

from dnnkit.backends.graph import Sources, chain, readers, wanted
from dnnkit.backends.operations import Memory, Operations
from dnnkit.backends.stages import (
    Activate,
    Custom,
    Dense,
    Dropout,
    Op,
    Parameter,
    Rescale,
    Stage,
    is_trained,
    stage_parameters,
)
from dnnkit.backends.stagewise.buffers import Buffers
from dnnkit.backends.stagewise.layout import FlatLayout
from dnnkit.backends.state import HostArray
from dnnkit.kernels import registry
from dnnkit.kernels.array import Array
from dnnkit.kernels.dropout import Draw


class Stages:
    """Stages with their buffers, each reading one or several values; value 0 is x, value i + 1 the output of stage i.

    Parameters and gradient are passed as one flat array each. Gradients from several readers of a value, or from
    several stages that share a parameter, are added from the last stage to the first.
    """

    def __init__(
        self,
        backend: Operations,
        stages: tuple[Stage, ...],
        layout: FlatLayout,
        buffers: Buffers,
        seed: int,
        sources: Sources | None = None,
    ) -> None:
        self._backend, self._xp = backend, backend.xp
        self._stages, self._layout, self._buffers, self._seed = stages, layout, buffers, seed
        self._sources = chain(len(stages)) if sources is None else sources
        trained = [is_trained(stage) for stage in stages]
        self._wanted = {asked: wanted(self._sources, trained, with_input=asked) for asked in (False, True)}
        self._drawn = self._drawn_in_dense() if backend.draws_dropout else {}
        """Dropouts fused with the dense layer before them, by the number of that layer."""
        self.statistics: dict[str, Array] = {}
        """Statistics that stages computed from the last training batch."""
        self.rows_before = 0
        """Rows of the batch before the given ones, which are computed elsewhere."""
        self.mark: Callable[[Any], None] | None = None
        """Called with the number of each computed stage, forward or backward."""

    def _drawn_in_dense(self) -> dict[int, Dropout]:
        """Return the dropouts that are the only reader of the dense layer before them, by the number of that layer."""
        read_by = readers(self._sources)
        return {
            index: after
            for index, (stage, after) in enumerate(pairwise(self._stages))
            if isinstance(stage, Dense) and isinstance(after, Dropout) and read_by[index + 1] == [(index + 1, 0)]
        }

    def forward(self, parameters: Array, x: Array, *, training: bool, step: int) -> tuple[Array, list[Any]]:
        """Return scores (B, O) of x (B, I), and what each stage's backward pass needs; `step` selects dropout masks."""
        values, saved = [x], []
        self.statistics = {}
        for index, stage in enumerate(self._stages):
            xs = [values[value] for value in self._sources[index]]
            y, kept = self._forward(index, stage, self._own(parameters, stage), xs, training, step)
            values.append(y)
            saved.append(kept)
            if self.mark is not None:
                self.mark(index)
        return values[-1], saved

    def backward(
        self, parameters: Array, dy: Array, saved: list[Any], needs_dx: bool, out: Array
    ) -> tuple[Array | None, list[Array]]:
        """Return the gradients of x, if requested, and of each trained parameter in canonical order.

        `dy` is the gradient of the scores. The parameters' gradients are views of `out` if the backend writes to
        buffers.
        """
        wanted, gradients = self._wanted[needs_dx], dict[str, Array]()
        slopes: list[Array | None] = [*(None for _ in self._stages), dy]
        for index in range(len(self._stages) - 1, -1, -1):
            if not wanted[index + 1]:
                continue
            stage, sources = self._stages[index], self._sources[index]
            trained = [parameter for parameter in stage_parameters(stage) if parameter.trainable]
            outs = [self._home(index, parameter, out, gradients) for parameter in trained]
            needed = [wanted[value] for value in sources]
            owned = self._own(parameters, stage)
            dxs, parts = self._backward(index, stage, owned, slopes[index + 1], saved[index], needed, outs)
            for value, dx in zip(sources, dxs, strict=True):
                if wanted[value]:
                    before = slopes[value]
                    slopes[value] = dx if before is None else self._added("slope", value, before, dx)
            for parameter, part in zip(trained, parts, strict=True):
                before = gradients.get(parameter.name)
                gradients[parameter.name] = part if before is None else self._added_in(out, parameter, before, part)
            if self.mark is not None:
                self.mark(index)
        return slopes[0], [gradients[name] for name in self._layout.names if name in gradients]

    def _home(self, index: int, parameter: Parameter, out: Array, gradients: dict[str, Array]) -> Array | None:
        """Return where a stage writes the gradient of a parameter: its final place, unless another stage's is there."""
        if parameter.name in gradients:
            return self._buffers.get(parameter.name, parameter.shape, index)
        return self._layout.view(out, parameter.name, self._xp)

    def _added(self, name: str, place: int, before: Array, summand: Array) -> Array:
        """Return the sum in separate memory, because neither array may be overwritten."""
        return self._backend.add(before, summand, out=self._buffers.get(name, tuple(before.shape), place))

    def _added_in(self, out: Array, parameter: Parameter, before: Array, summand: Array) -> Array:
        """Return the sum, in the final place of the parameter's gradient."""
        if self._buffers.get("shared", (1,)) is None:
            return self._backend.add(before, summand)
        total = self._layout.view(out, parameter.name, self._xp)
        return self._backend.add(before, self._xp.reshape(summand, total.shape), out=total)

    def _own(self, flat: Array, stage: Stage) -> list[Array]:
        """Return the stage's parts of a flat array, in their shapes."""
        return [self._layout.view(flat, parameter.name, self._xp) for parameter in stage_parameters(stage)]

    def _draw(self, stage: Dropout, step: int) -> Draw:
        return Draw(stage.rate_at(step), self._seed, stage.layer, step)

    def _forward(
        self, index: int, stage: Stage, owned: list[Array], xs: list[Array], training: bool, step: int
    ) -> tuple[Array, Any]:
        """Return (output of the stage, what its backward pass needs)."""
        backend, x, shape = self._backend, xs[0], tuple(xs[0].shape)
        match stage:
            case Dense(kernel=kernel, activation=name):
                w, b = (*owned, None)[:2]
                activation, shape = registry.activation(name), (shape[0], kernel.shape[1])
                z = self._buffers.get("z", shape, index) if activation.saves == "input" else None
                buffers, dropout = (self._buffers.get("y", shape, index), z), None
                if training and index in self._drawn and not self.rows_before:
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
            case Dropout(layer=layer):
                if not training or (index - 1 in self._drawn and not self.rows_before):
                    return x, None
                if backend.draws_dropout and not self.rows_before:
                    drawn = self._draw(stage, step)
                    return backend.draw_dropout(x, drawn, out=self._buffers.get("y", shape, index)), drawn
                whole = self.rows_before + shape[0], shape[1]  # masks start with the first row of the batch
                out = self._buffers.get("keep", whole, index, backend.dtype("bool"))
                rate = stage.rate_at(step)
                keep = backend.dropout_mask(whole, rate, self._seed, layer, step, out=out)[self.rows_before :, ...]
                return backend.dropout(x, keep, rate, out=self._buffers.get("y", shape, index)), (keep, rate)
            case Custom(function=function, input_shape=input_shape):
                inputs = self._xp.reshape(x, (-1, *input_shape))
                y, kept = function.forward(self._xp, inputs, *owned)
                return self._xp.reshape(y, (shape[0], -1)), (kept, tuple(y.shape))
            case Op(kind=name, settings=settings, layer=layer):
                from dnnkit.kernels.stages import Context, kind  # imported only by networks with operations

                context = Context(training, layer, self._seed, step, rows_before=self.rows_before)
                y, kept = backend.stage(kind(name), xs, owned, dict(settings), context, self._memory(index))
                if training:
                    made = context.statistics.items()
                    self.statistics |= {stage.parameters[number].name: value for number, value in made}
                return y, kept
        raise NotImplementedError(f"no backend knows how to run the stage {type(stage).__name__}")

    def _backward(
        self, index: int, stage: Stage, owned: list[Array], dy: Array, saved: Any, needed: list[bool],
        outs: list[Array | None],
    ) -> tuple[Sequence[Array | None], list[Array]]:  # fmt: skip
        """Return (gradient in each value it reads, gradients of its trained parameters in canonical order)."""
        if isinstance(stage, Op):
            from dnnkit.kernels.stages import kind

            places = iter(outs)
            where = [next(places) if one.trainable else None for one in stage.parameters]
            given = kind(stage.kind), dy, saved, owned, dict(stage.settings), needed, self._memory(index), where
            dxs, parts = self._backend.stage_backward(*given)
            return dxs, [part for part, one in zip(parts, stage.parameters, strict=True) if one.trainable]
        dx, parts = self._backward_to_one(index, stage, owned, dy, saved, needed[0], outs)
        return [dx], parts

    def _memory(self, index: int) -> Memory:
        """Return the function by which a stage requests its own memory."""

        def memory(name: str, shape: tuple[int, ...], dtype: Any = None, fill: HostArray | None = None) -> Array | None:
            return self._buffers.get(name, shape, index, dtype, fill)

        return memory

    def _backward_to_one(
        self, index: int, stage: Stage, owned: list[Array], dy: Array, saved: Any, needs_dx: bool,
        outs: list[Array | None],
    ) -> tuple[Array, list[Array]]:  # fmt: skip
        """Return (gradient in the stage's input, gradients of its trained parameters in canonical order)."""
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
            case Dropout() if saved is None:  # fused with the stage before
                return dy, []
            case Dropout() if isinstance(saved, Draw):
                return backend.draw_dropout(dy, saved, out=self._buffers.get("dx", shape, index)), []
            case Dropout():
                keep, rate = saved
                return backend.dropout(dy, keep, rate, out=self._buffers.get("dx", shape, index)), []
            case Custom(function=function):
                kept, y_shape = saved
                dy = self._xp.reshape(dy, y_shape)
                dx, *parts = function.backward(self._xp, dy, kept, *owned)
                return self._xp.reshape(dx, (shape[0], -1)), parts if is_trained(stage) else []
        raise NotImplementedError(f"no backend knows how to run the stage {type(stage).__name__}")
