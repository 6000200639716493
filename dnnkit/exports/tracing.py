"""Networks as graphs of values, found by calling the reference of each part on symbolic values."""

from collections.abc import Callable, Mapping, Sequence
from math import prod
from typing import Any

import numpy as np

from dnnkit.backends.classes import class_columns
from dnnkit.backends.folding import folded
from dnnkit.backends.stages import Activate, Custom, Dense, Dropout, Op, Parameter, Rescale, Stage
from dnnkit.deferred import dataclass
from dnnkit.exports.namespace import XP
from dnnkit.exports.values import Rows, Value, constant
from dnnkit.exports.walking import cannot_write, walk
from dnnkit.initializers import Shape
from dnnkit.kernels import registry
from dnnkit.kernels.stages import Context, kind
from dnnkit.network.protocol import Network


@dataclass(frozen=True)
class Traced:
    """The computation of a network: its inputs (N, ...) and outputs by name, in order.

    `labels` has the names of parameters by the identity of their arrays, which `kept` keeps alive.
    """

    inputs: Mapping[str, Value]
    outputs: Mapping[str, Value]
    labels: Mapping[int, str]
    kept: tuple[Any, ...]
    dtype: np.dtype[Any]


def trace(net: Network, language: str) -> Traced:
    """Trace a network's prediction with its current parameters; errors name the target language.

    Raises:
        ConfigurationError: a layer or an activation cannot be expressed.
    """
    with net.turns:  # a consistent state, even if another thread trains it
        program, arrays = net.executable.program, dict(net.predicting_parameters)
    classes = class_columns(program)
    together = folded(program)
    if together is not None:
        program, arrays = together.program, together.parameters(arrays)
    dtype = np.dtype(program.dtype)
    inputs, parts, first = dict[str, Value](), list[Value](), 0
    shapes = [each.shape or () for each in net.graph.inputs] if len(net.graph.inputs) > 1 else [program.input_shape]
    for source, shape in zip(net.graph.inputs, shapes, strict=True):
        inputs[source.name] = Value("input", (), (Rows(), *shape), dtype, {"name": source.name})
        width = prod(shape)
        own = tuple((column - first, count) for column, count in classes if 0 <= column - first < width)
        part = XP.reshape(inputs[source.name], (Rows(), width))
        parts.append(Value("classes", [part], part.shape, dtype, {"columns": own}) if own else part)
        first += width
    outputs = walk(program, net.graph.output_shapes(), XP.concat(parts, axis=1), _Tracer(arrays, language))
    labels = {id(array): name for name, array in arrays.items()}
    return Traced(
        inputs, dict(zip(net.graph.output_names, outputs, strict=True)), labels, tuple(arrays.values()), dtype
    )


def written_out(activation: str, x: Value) -> Value:
    """Return an activation of x as its reference computes it."""
    return registry.activation(activation).forward(x, xp=XP)  # type: ignore[no-any-return]


class _Tracer:
    """Writes stages as values."""

    def __init__(self, arrays: Mapping[str, Any], language: str) -> None:
        self._arrays, self._language = arrays, language

    def stage(self, stage: Stage, values: Sequence[Value]) -> Value:
        x = values[0]
        match stage:
            case Rescale(scale=scale, offset=offset):
                scaled: Value = x * scale
                return scaled + offset if offset else scaled
            case Dense(kernel=kernel, bias=bias, activation=activation):
                w, b = self._of((kernel,))[0], self._of((bias,))[0] if bias is not None else None
                reads = [x, constant(w), *([] if b is None else [constant(b)])]
                return self._activated(activation, Value("dense", reads, (x.shape[0], w.shape[1]), x.dtype))
            case Activate(activation=activation):
                return self._activated(activation, x)
            case Dropout():
                return x  # inactive in prediction
            case Op(kind=name, parameters=parameters, settings=settings):
                given = self._of(parameters)
                forward = kind(name).forward
                return self._asked(f"the layer {name}", lambda: forward(values, given, dict(settings), _OFF, XP)[0], x)
            case Custom(function=function, parameters=parameters, input_shape=shape):
                given, samples = self._of(parameters), XP.reshape(x, (Rows(), *shape))
                called = f"the layer {type(function).__name__}"
                return self._asked(called, lambda: function.forward(XP, samples, *given)[0], x)
        raise cannot_write(f"the stage {stage}", self._language, "its kind is unknown")

    def output(self, number: int, scores: Value, columns: tuple[int, int] | None, head: str, shape: Shape) -> Value:
        part = scores if columns is None else scores[:, columns[0] : columns[1]]
        return XP.reshape(self._activated(head, part), (Rows(), *shape))  # type: ignore[no-any-return]

    def _of(self, parameters: Sequence[Parameter]) -> list[Any]:
        return [self._arrays[parameter.name] for parameter in parameters]

    def _activated(self, name: str, x: Value) -> Value:
        body = self._asked(f"the activation {name}", lambda: written_out(name, x), x)
        if body is x:
            return x
        return Value("activation", [x], x.shape, x.dtype, {"name": name, "body": body})

    def _asked(self, what: str, ask: Callable[[], Any], x: Value) -> Value:
        """Return what a reference computes, as one row of numbers per row of the batch."""
        try:
            made = ask()
            if not isinstance(made, Value):
                made = XP.broadcast_to(np.asarray(made, x.dtype), (Rows(), *np.shape(made)[1:]))
            return XP.astype(made if made is x else XP.reshape(made, (x.shape[0], -1)), x.dtype)  # type: ignore[no-any-return]
        except (TypeError, ValueError, AttributeError, IndexError) as error:
            raise cannot_write(
                what, self._language, f"it uses {error}; write it with functions of xp, or save the network instead"
            ) from error


_OFF = Context(training=False)
