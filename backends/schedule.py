"""The instructions that workers follow: what `kernels/train_steps` interprets, one list for each purpose."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np

from dnnkit.backends.division import Division, roles
from dnnkit.backends.program import Dense, HostArray, Stage
from dnnkit.kernels.train_steps import instructions

Purpose = Literal["train", "differentiate", "evaluate", "predict"]


class Course(NamedTuple):
    """What a schedule depends on beside the stages and their division."""

    purpose: Purpose
    first: int
    """The first stage whose gradient is wanted, -1 for the network's input as well."""
    clips: bool = False
    inputs: int = instructions.EVERY
    """What the first stage multiplies, if it is dense: every column, those in use, or these in place."""
    one_batch: bool = False
    """Whether all steps have the same rows in the same order."""


def schedule(stages: Sequence[Stage], division: Division, course: Course) -> HostArray:
    """Instructions (n, 3): what to do, with which stage, and an option: whether dx is wanted, or what is multiplied.

    Inputs are gathered if they are not read in place. Workers that exchange anything on the way forward share the
    gathering, too, one step ahead: so there is something to do before the first step, and what is repeated begins after
    it. There is, too, if all steps have the same rows, and none are shared: these are taken once.
    """
    purpose, first, clips, inputs, one_batch = course
    kinds = roles(stages, division)
    in_place = inputs == instructions.IN_PLACE
    shares = "rows" in kinds and not in_place
    columns = [inputs, *[instructions.EVERY] * len(kinds)]
    where = instructions.SHARED if shares else instructions.IN_PLACE if in_place else instructions.GATHERED
    begin, take = [(instructions.BEGIN, 0, 0)], [(instructions.TAKE, where, 0)]
    steps = [(instructions.GATHER, 0, 0), (instructions.EXCHANGE, 0, 0)] if shares else []
    if one_batch and not shares:
        steps, take = begin + take, []
    again = (instructions.REPEAT, len(steps), 0)
    steps += begin + take
    for stage, kind in enumerate(kinds):
        if kind == "rows":
            steps.append((instructions.PRODUCT, stage, 0))
            if shares:
                steps.append((instructions.GATHER, 1, 0))
                shares = False
            steps += [(instructions.EXCHANGE, 0, 0), (instructions.JOIN, stage, 0)]
        else:
            steps.append((instructions.FORWARD, stage, columns[stage]))
    if purpose == "predict":
        return _array([*steps, (instructions.HEAD, 0, 0), again])
    steps.append((instructions.LOSS, 0, 0))
    by_rows = division.by == "rows" and division.workers > 1
    at_once = purpose == "train" and not by_rows and not clips
    if purpose in ("train", "differentiate"):
        for stage in range(len(kinds) - 1, max(first, 0) - 1, -1):
            wants_dx = stage > first
            exchanges = kinds[stage] == "columns" and wants_dx
            steps.append((instructions.BACKWARD_PART if exchanges else instructions.BACKWARD, stage, int(wants_dx)))
            if isinstance(stages[stage], Dense):
                steps.append((instructions.IMPROVE if at_once else instructions.KERNEL_GRADIENT, stage, columns[stage]))
            if exchanges:
                steps += [(instructions.EXCHANGE, 0, 0), (instructions.JOIN_GRADIENT, stage, 0)]
    if purpose == "train" and not at_once:
        if by_rows:
            steps += [(instructions.EXCHANGE, 0, 0), (instructions.ADD_GRADIENTS, 0, 0)]
        if clips:
            steps.append((instructions.NORM, 0, 0))
            if division.workers > 1:
                steps.append((instructions.EXCHANGE, 0, 0))
        steps.append((instructions.UPDATE, 0, 0))
        if by_rows:
            steps.append((instructions.EXCHANGE, 0, 0))
    return _array([*steps, again])


def _array(steps: list[tuple[int, int, int]]) -> HostArray:
    return np.array(steps, np.int64)
