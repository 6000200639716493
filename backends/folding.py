"""Folding for predictions: per-feature factors and summands become part of the adjacent dense stage.

    (x W + b) f + s = x (W f) + (b f + s)          a dense stage without an activation, then factors f and summands s
    (x f + s) W + b = x (f W) + (b + s W)          the same before a dense stage

A kind of stage can be folded if its reference has `affine`, which returns f and s outside training: for batch
normalization they follow from the moving mean and variance. An activation after the folded stage moves into the dense
stage.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from dnnkit.backends.graph import readers
from dnnkit.backends.program import Program
from dnnkit.backends.stages import Activate, Dense, Op, Parameter, Stage, stage_parameters
from dnnkit.backends.state import HostArray
from dnnkit.deferred import dataclass
from dnnkit.kernels import registry


@dataclass(frozen=True)
class Fold:
    """An operation that becomes part of the dense stage before or after it."""

    op: Op
    kernel: str
    bias: str
    is_behind: bool

    def apply(self, values: dict[str, HostArray]) -> None:
        """Change kernel and bias, float64."""
        own = [values[parameter.name] for parameter in self.op.parameters]
        w = values[self.kernel]
        features = w.shape[1 if self.is_behind else 0]
        f, s = (
            np.resize(part, features)  # repeated if the features are the last of several axes
            for part in registry.version(self.op.kind, "reference").affine(own, dict(self.op.settings), np)
        )
        b = values.get(self.bias, np.zeros(w.shape[1]))
        if self.is_behind:
            values[self.kernel], values[self.bias] = w * f, b * f + s
        else:
            values[self.kernel], values[self.bias] = f[:, None] * w, b + s @ w


@dataclass(frozen=True)
class Folded:
    """A program with the same predictions and fewer stages, and how its parameters follow from the original ones."""

    program: Program
    folds: tuple[Fold, ...]

    def parameters(self, given: Mapping[str, HostArray]) -> dict[str, HostArray]:
        """Return its parameters, from the original ones."""
        values: dict[str, HostArray] = {name: value.astype(np.float64) for name, value in given.items()}
        for fold in self.folds:
            fold.apply(values)
        return {one.name: values[one.name].astype(self.program.dtype) for one in self.program.parameters}


def folded(program: Program) -> Folded | None:
    """Return the program folded for prediction; None if there is nothing to fold."""
    if not any(_can_fold(stage) for stage in program.stages):
        return None
    stages, edges, folds = list(program.stages), list(program.edges), list[Fold]()
    while (found := _next(stages, edges)) is not None:
        place, other = found
        op, dense = stages[place], stages[other]
        assert isinstance(op, Op)
        assert isinstance(dense, Dense)
        bias = dense.bias or _new_bias(dense.kernel)
        folds.append(Fold(op, dense.kernel.name, bias.name, is_behind=other < place))
        stages[other] = replace(dense, bias=bias)
        _take_out(stages, edges, place)
    if not folds:
        return None
    while (behind := _activation(stages, edges)) is not None:
        linear, activate = stages[edges[behind][0] - 1], stages[behind]
        assert isinstance(linear, Dense)
        assert isinstance(activate, Activate)
        stages[edges[behind][0] - 1] = replace(linear, activation=activate.activation)
        _take_out(stages, edges, behind)
    made = replace(program.without_training(), stages=tuple(stages), sources=tuple(edges))
    return Folded(made, tuple(folds))


def _new_bias(kernel: Parameter) -> Parameter:
    return Parameter(f"{kernel.name.rpartition('/')[0]}/folded_bias", kernel.shape[1:], kernel.trainable)


def _can_fold(stage: Stage) -> bool:
    return isinstance(stage, Op) and hasattr(registry.version(stage.kind, "reference"), "affine")


def _next(stages: list[Stage], edges: list[tuple[int, ...]]) -> tuple[int, int] | None:
    """Return an operation that can be folded, and the dense stage it can be part of."""
    read_by, owners = readers(tuple(edges)), _owners(stages)
    for place, stage in enumerate(stages):
        if not _can_fold(stage):
            continue
        before, behind = edges[place][0] - 1, [reader for reader, _ in read_by[place + 1]]
        if before >= 0 and len(read_by[before + 1]) == 1 and _is_own(stages[before], owners, activation="linear"):
            return place, before
        if len(behind) == 1 and _is_own(stages[behind[0]], owners):
            return place, behind[0]
    return None


def _is_own(stage: Stage, owners: dict[str, int], activation: str | None = None) -> bool:
    """Whether it is a dense stage, with this activation, that shares no parameters."""
    return (
        isinstance(stage, Dense)
        and activation in (None, stage.activation)
        and all(owners[parameter.name] == 1 for parameter in stage_parameters(stage))
    )


def _owners(stages: list[Stage]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for stage in stages:
        for parameter in stage_parameters(stage):
            counts[parameter.name] = counts.get(parameter.name, 0) + 1
    return counts


def _activation(stages: list[Stage], edges: list[tuple[int, ...]]) -> int | None:
    """Return an activation that is the only reader of a dense stage without one."""
    read_by = readers(tuple(edges))
    for place, stage in enumerate(stages):
        before = edges[place][0] - 1
        dense: Any = stages[before] if before >= 0 else None
        is_linear = isinstance(dense, Dense) and dense.activation == "linear"
        if isinstance(stage, Activate) and is_linear and len(read_by[before + 1]) == 1:
            return place
    return None


def _take_out(stages: list[Stage], edges: list[tuple[int, ...]], place: int) -> None:
    """Remove a stage, connecting its readers to its source."""
    source = edges[place][0]
    del stages[place], edges[place]
    for number, values in enumerate(edges):
        edges[number] = tuple(
            source if value == place + 1 else value - 1 if value > place + 1 else value for value in values
        )
