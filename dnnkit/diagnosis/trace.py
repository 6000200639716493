"""`net.trace`: every array of a training step by name, with its shape, formula and kernel."""

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any

import numpy as np

from dnnkit.backends.base import Backend
from dnnkit.backends.program import Program
from dnnkit.backends.stages import Activate, Custom, Dense, Dropout, Op, Rescale, stage_parameters
from dnnkit.deferred import dataclass
from dnnkit.diagnosis.unrolled import Operation, Step, Values, unroll
from dnnkit.errors import UnknownName
from dnnkit.kernels import registry
from dnnkit.network.protocol import Network
from dnnkit.registry import unknown

WIDTH = 80


@dataclass(frozen=True)
class Entry:
    """An array of a step: its name, formula, and the location of its kernel."""

    name: str
    array: Values
    formula: str
    kernel: str


class Trace(Mapping[str, Values]):
    """Result of `net.trace`: arrays by name, in the order in which a step computes them.

    `dense/output` is the output of a layer, `dense/z` its value before the activation, `dense/kernel` a parameter;
    `.../gradient` is the loss's gradient with respect to any of them. `input`, `predictions` and `loss` belong to the
    network.
    """

    def __init__(self, entries: Sequence[Entry], title: str) -> None:
        self.title = title
        self.entries = {entry.name: entry for entry in entries}

    @classmethod
    def of(
        cls,
        net: Network,
        program: Program,
        parameters: Mapping[str, Values],
        x: Values,
        y: Values,
        weights: Values | None,
        *,
        step: int,
        backend: Backend,
    ) -> "Trace":
        """Return the trace of a step of a network with these parameters."""
        done = unroll(program, net.graph, net.goals, parameters, x, y, weights, step=step)
        entries = list(_entries(done, program, parameters, backend))
        title = f"a training step on {len(x)} samples in {program.dtype}; kernels are those of backend {backend.name}"
        return cls(entries, title)

    def __getitem__(self, name: str) -> Values:
        if name not in self.entries:
            raise UnknownName(unknown("array of a trace", name, self.entries))
        return self.entries[name].array

    def __iter__(self) -> Iterator[str]:
        return iter(self.entries)

    def __len__(self) -> int:
        return len(self.entries)

    def __repr__(self) -> str:
        return str(self)

    def __str__(self) -> str:
        lines = [self.title, "", _line("name", "shape", ("min", "mean", "max")), "-" * WIDTH]
        for entry in self.entries.values():
            shape = f"({', '.join(map(str, entry.array.shape))})" if entry.array.ndim else ""
            lines.append(_line(entry.name, shape, _numbers(entry.array)))
            if entry.formula:
                line = f"    {entry.formula}  "
                if len(line + entry.kernel) > WIDTH:
                    lines.append(line.rstrip())
                    line = ""
                lines.append((line + entry.kernel.rjust(WIDTH - len(line))).rstrip())
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        heads = "".join(f"<th>{head}</th>" for head in ("name", "shape", "formula", "kernel", "min", "mean", "max"))
        rows = ""
        for entry in self.entries.values():
            cells = entry.name, str(entry.array.shape), entry.formula, entry.kernel, *_numbers(entry.array)
            rows += "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in cells) + "</tr>"
        return f"<p>{escape(self.title)}</p><table><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table>"


def _entries(done: Step, program: Program, parameters: Mapping[str, Values], backend: Backend) -> Iterator[Entry]:
    """Yield the entries of the forward pass, the loss and the backward pass."""
    assert program.loss is not None
    names, kernel = _output_names(done), _Kernels(backend)
    seen = set[str]()
    yield Entry("input", done.x, "", "")
    for place, operation in enumerate(done.operations):
        for own in stage_parameters(operation.stage):
            if own.name not in seen:
                seen.add(own.name)
                yield Entry(own.name, parameters[own.name], "", "")
        given = ", ".join(names[value] for value in operation.reads)
        yield Entry(names[place + 1], operation.y, _forward(operation, given), kernel.of(operation))
    scores = before = names[-1]
    if done.head != "linear":
        before = f"{done.head_layer}/output"
        yield Entry(before, done.predictions, f"{done.head}({scores})", kernel.path(done.head))
    yield Entry("predictions", done.predictions, before, "")
    loss, how = program.loss.kernel, "sum" if program.loss.reduction == "sum" else "mean"
    called = loss if isinstance(loss, str) else type(loss).__name__
    where = kernel.path(loss) if isinstance(loss, str) else _code(loss)
    yield Entry("loss", np.asarray(done.loss), f"{how} of {called}({scores}, y)", where)
    yield Entry(f"{scores}/gradient", done.scores_gradient, f"∂ loss / ∂ {scores}", where)
    gradients = done.gradients
    formulas: dict[str, list[str]] = {}
    for index in reversed(range(len(done.operations))):
        operation, name, earlier = done.operations[index], names[index + 1], done.operations[:index]
        for parameter in operation.gradients:
            formula = formulas.setdefault(parameter, [])
            formula.append(_parameter_gradient(operation, parameter, names[operation.reads[0]], name))
            if not any(parameter in other.gradients for other in earlier):
                yield Entry(f"{parameter}/gradient", gradients[parameter], " + ".join(formula), kernel.of(operation))
        for value in dict.fromkeys(operation.reads):
            given = names[value]
            formula = formulas.setdefault(given, [])
            formula.append(_backward(operation, name, given))
            if not any(value in other.reads for other in earlier):
                slope = done.operations[value - 1].dy if value else done.dx
                yield Entry(f"{given}/gradient", slope, " + ".join(formula), kernel.of(operation))


def _output_names(done: Step) -> list[str]:
    """Return the name of each value: a layer's last one is its output, one before an activation is z."""
    names = ["input"]
    for index, operation in enumerate(done.operations):
        after = done.operations[index + 1].layer if index + 1 < len(done.operations) else ""
        if not after and done.head != "linear":
            after = done.head_layer
        names.append(f"{operation.layer}/{'z' if after == operation.layer else 'output'}")
    return names


def _forward(operation: Operation, x: str) -> str:
    match operation.stage:
        case Dense(bias=bias):
            return f"{x} · kernel" + (" + bias" if bias is not None else "")
        case Activate():
            return f"{_activation(operation)}({x})"
        case Rescale(scale=scale, offset=offset):
            return f"{x} · {scale:.6g}" + (f" + {offset:.6g}" if offset else "")
        case Dropout():
            return f"{x} · mask / {_kept(operation.stage)}"
        case Custom(function=function):
            return f"{type(function).__name__}.forward({', '.join(['xp', x, *_own(operation)])})"
        case Op(kind=kind):
            return f"{kind}({', '.join([x, *_own(operation)])})"
    raise NotImplementedError(f"no trace of the stage {type(operation.stage).__name__}")


def _kept(stage: Dropout) -> str:
    """Format the fraction that a dropout keeps."""
    return "(1 - rate)" if callable(stage.rate) else f"{1 - stage.rate:.6g}"


def _backward(operation: Operation, y: str, x: str) -> str:
    dy = f"{y}/gradient"
    match operation.stage:
        case Dense():
            return f"{dy} · kernelᵀ"
        case Activate(activation=name) if registry.activation(name).elementwise:
            return f"{dy} · {_activation(operation)}'({x})"
        case Activate():
            return f"{dy} · ∂ {_activation(operation)} / ∂ {x}"
        case Rescale(scale=scale):
            return f"{dy} · {scale:.6g}"
        case Dropout():
            return f"{dy} · mask / {_kept(operation.stage)}"
        case Custom(function=function):
            return f"{type(function).__name__}.backward(xp, {dy}, ...)"
        case Op(kind=kind):
            return f"{kind}.backward({dy}, ...)"
    raise NotImplementedError(f"no trace of the stage {type(operation.stage).__name__}")


def _parameter_gradient(operation: Operation, parameter: str, x: str, y: str) -> str:
    match operation.stage:
        case Dense(kernel=kernel):
            return f"{x}ᵀ · {y}/gradient" if parameter == kernel.name else f"sum over rows of {y}/gradient"
        case Op(kind=kind):
            return f"{kind}.backward({y}/gradient, ...)"
        case _:
            return f"{type(operation.layer_given).__name__}.backward(xp, {y}/gradient, ...)"


def _own(operation: Operation) -> list[str]:
    return [parameter.name.rpartition("/")[2] for parameter in stage_parameters(operation.stage)]


def _activation(operation: Operation) -> str:
    assert isinstance(operation.stage, Activate)
    return str(getattr(operation.layer_given, "activation", operation.stage.activation))


@dataclass(frozen=True)
class _Kernels:
    """Locations of the kernels that a backend runs."""

    backend: Backend

    def of(self, operation: Operation) -> str:
        """Return the kernel of an operation."""
        match operation.stage:
            case Dense():
                return self.path("dense")
            case Activate(activation=name):
                return self.path(name)
            case Dropout():
                return self.path("dropout")
            case Custom(function=function):
                return _code(function)
            case Op(kind=kind):
                return f"kernels/stages/{kind}/reference.py"
            case _:
                return self.path("gather")

    def path(self, name: str) -> str:
        """Return the file of the backend's version of a kernel."""
        if registry.runtime_versions(name) is not None:
            return f"formula {name}"
        return f"kernels/{registry.folder(name)}/{self.backend.kernel_file(name)}"


def _code(thing: Any) -> str:
    return f"{type(thing).__module__}.{type(thing).__qualname__}".replace("<locals>.", "")


def _numbers(array: Values) -> tuple[str, str, str]:
    if not array.size:
        return "", "", ""
    wide = np.asarray(array, np.float64)
    return f"{wide.min():.4g}", f"{wide.mean():.4g}", f"{wide.max():.4g}"


def _line(name: str, shape: str, numbers: tuple[str, str, str]) -> str:
    shown = "".join(number.rjust(11) for number in numbers)
    return f"{name:<31} {shape:<14} {shown}".rstrip()
