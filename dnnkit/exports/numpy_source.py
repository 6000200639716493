"""A trained network as a short script that needs only NumPy."""

import io
import re
from collections.abc import Sequence
from math import ceil, prod
from pathlib import Path

import numpy as np

from dnnkit.backends.classes import class_columns
from dnnkit.backends.program import Program
from dnnkit.backends.stages import Activate, Custom, Dense, Dropout, Op, Rescale, Stage
from dnnkit.errors import ConfigurationError
from dnnkit.exports.walking import cannot_write, describe, walk
from dnnkit.files import as_path, replace_all
from dnnkit.initializers import Shape
from dnnkit.kernels import registry
from dnnkit.network.protocol import Network

LINES = 40
"""Maximum length of a script; networks with many layers get several statements per line."""

SCRIPT = '''\
"""A network trained with dnnkit, in plain NumPy: predict(x) for {samples}.

{layers}
Command line: python {name}.py samples.{ending}
"""

import math
import sys
from pathlib import Path

import numpy as np

parameters = dict(np.load(Path(__file__).with_suffix(".npz")))


def predict(x):
    x = {taken}
    {statements}
    return {result}


if __name__ == "__main__":
    print(predict(np.load(sys.argv[1])))
'''


def write(net: Network, path: str | Path) -> Path:
    """Write the script and its parameters next to it; return the script's path."""
    path = as_path(path)
    if path.suffix != ".py":
        raise ConfigurationError(f"the script {str(path)!r} must end in .py; its parameters go to an .npz next to it")
    numbers = io.BytesIO()
    np.savez(numbers, allow_pickle=False, **net.predicting_parameters)
    replace_all({path.with_suffix(".npz"): numbers.getvalue(), path: source(net, path.stem).encode()})
    return path


def source(net: Network, name: str) -> str:
    """Return the script's text; `name` is the file's name without suffix."""
    program, inputs = net.executable.program, net.graph.inputs
    written = _Statements(program)
    walk(program, net.graph.output_shapes(), "x", written)
    statements = [*_checked_classes(program), *written.lines]
    shapes = [("-1", *map(str, each.shape or ())) for each in inputs]
    dtype = f"np.{program.dtype}"
    taken = f"np.asarray(x, {dtype}).reshape(-1, {prod(program.input_shape)})"
    samples = f"samples x (N, {', '.join(map(str, program.input_shape))})"
    if len(inputs) > 1:
        names = [each.name for each in inputs]
        parts = [f"np.asarray(x[{each!r}], {dtype}).reshape(len(x[{each!r}]), -1)" for each in names]
        taken = f"np.concatenate([{', '.join(parts)}], axis=1)"
        said = ", ".join(f"{each!r} (N, {', '.join(shape[1:])})" for each, shape in zip(names, shapes, strict=True))
        samples = f"x, a mapping with the samples of {said}"
    text = SCRIPT.format(
        samples=samples,
        layers=f"Layers: {describe(net)}.",
        name=name,
        ending="npy" if len(inputs) == 1 else "npz",
        taken=taken,
        statements="{statements}",
        result=_result(net),
    )
    if not any("math." in statement for statement in statements):
        text = text.replace("import math\n", "")
    room = LINES - (len(text.splitlines()) - 1)
    together = max(1, ceil(len(statements) / room))
    lines = ["; ".join(statements[i : i + together]) for i in range(0, len(statements), together)]
    return text.replace("    {statements}\n", "".join(f"    {line}\n" for line in lines))


def _result(net: Network) -> str:
    """Return the expression that the function returns: several outputs have the form of predictions."""
    outputs = net.executable.program.outputs
    if not outputs:
        return "x"
    if net.graph.output_form == "named":
        return "{" + ", ".join(f"{each.name!r}: y{k}" for k, each in enumerate(outputs)) + "}"
    return "[" + ", ".join(f"y{k}" for k in range(len(outputs))) + "]"


def _checked_classes(program: Program) -> list[str]:
    """Return a statement that rejects invalid class numbers, if there are lookups of classes."""
    columns = class_columns(program)
    if not columns:
        return []
    places, last = [column for column, _ in columns], [count - 1 for _, count in columns]
    condition = f"(x[:, {places}] == np.clip(np.floor(x[:, {places}]), 0, {last})).all()"
    return [f'assert {condition}, "columns {places} hold class numbers, from 0 to {last}"']


class _Statements:
    """Writes statements: in a chain they reassign x, in a graph each value has its own name."""

    def __init__(self, program: Program) -> None:
        self._program, self._values, self.lines = program, 1, list[str]()

    def stage(self, stage: Stage, values: Sequence[str]) -> str:
        name = "x" if self._program.is_chain else f"h{self._values}"
        self._values += 1
        expressions = _expressions(stage, values, name)
        self.lines += [f"{name} = {expression}" for expression in expressions]
        return name if expressions else values[0]

    def output(self, number: int, scores: str, columns: tuple[int, int] | None, head: str, shape: Shape) -> str:
        name = "x" if columns is None else f"y{number}"
        part = scores if columns is None else f"{scores}[:, {columns[0]}:{columns[1]}]"
        self.lines += [f"{name} = {part}"] if part != name else []
        self.lines += [f"{name} = {expression}" for expression in _activated(head, name, name)]
        if len(shape) > 1:
            self.lines.append(f"{name} = {name}.reshape(-1, {', '.join(map(str, shape))})")
        return name


def _activated(activation: str, x: str, then: str) -> list[str]:
    """Return the expressions of an activation: the first of x, the others of the previous result, named `then`."""
    expressions = registry.activation(activation).numpy_source
    return [re.sub(r"\bx\b", then if place else x, each) for place, each in enumerate(expressions)]


def _expressions(stage: Stage, xs: Sequence[str], then: str) -> list[str]:
    """Return the expressions of a stage of the values `xs`: later ones use the previous result, named `then`."""
    x = xs[0]
    match stage:
        case Rescale(scale=scale, offset=offset):
            return [f"{x} * {scale!r} + {offset!r}" if offset else f"{x} * {scale!r}"]
        case Dense(kernel=kernel, bias=bias, activation=activation):
            plus = f' + parameters["{bias.name}"]' if bias is not None else ""
            return [f'{x} @ parameters["{kernel.name}"]{plus}', *_activated(activation, then, then)]
        case Activate(activation=activation):
            return _activated(activation, x, then)
        case Dropout():
            return []  # inactive in prediction
        case Op(kind=kind, parameters=parameters, settings=settings):
            write = getattr(registry.version(kind, "reference"), "numpy_source", None)
            if write is not None:
                names = [f'parameters["{parameter.name}"]' for parameter in parameters]
                expression = write(xs, names, dict(settings))
                return [] if expression == x else [expression]
    what = "a custom one" if isinstance(stage, Custom) else "of a kind without numpy_source"
    called = type(stage.function).__name__ if isinstance(stage, Custom) else getattr(stage, "kind", stage)
    raise cannot_write(f"the layer {called}", "NumPy code", f"it is {what}; save the network instead")
