"""The instructions that workers follow: what `kernels/train_steps` interprets, one list for each purpose."""

from collections.abc import Sequence
from typing import Literal

import numpy as np

from dnnkit.backends.division import Division, roles
from dnnkit.backends.program import Dense, HostArray, Stage
from dnnkit.kernels.train_steps import cpu

Purpose = Literal["train", "differentiate", "evaluate", "predict"]


def schedule(
    stages: Sequence[Stage],
    division: Division,
    purpose: Purpose,
    *,
    first: int,
    clips: bool = False,
    in_place: bool = False,
) -> HostArray:
    """Instructions (n, 3): what to do, with which stage, and an option: whether its dx is wanted, or where its x are.

    Inputs may be read in place by the first stage, if that is dense; else they are gathered. Workers that exchange
    anything on the way forward share the gathering, too, one step ahead: so there is something to do before the first
    step, and what is repeated begins after it.

    `first` is the first stage whose gradient is wanted, -1 for the network's input as well.
    """
    kinds = roles(stages, division)
    shares = "rows" in kinds and not in_place
    inputs = [cpu.IN_PLACE if in_place and stage == 0 else cpu.GATHERED for stage in range(len(kinds))]
    steps = [(cpu.GATHER, 0, 0), (cpu.EXCHANGE, 0, 0)] if shares else []
    again = (cpu.REPEAT, len(steps), 0)
    steps.append((cpu.TAKE, cpu.SHARED if shares else cpu.IN_PLACE if in_place else cpu.GATHERED, 0))
    for stage, kind in enumerate(kinds):
        if kind == "rows":
            steps.append((cpu.PRODUCT, stage, 0))
            if shares:
                steps.append((cpu.GATHER, 1, 0))
                shares = False
            steps += [(cpu.EXCHANGE, 0, 0), (cpu.JOIN, stage, 0)]
        else:
            steps.append((cpu.FORWARD, stage, inputs[stage]))
    if purpose == "predict":
        return _array([*steps, (cpu.HEAD, 0, 0), again])
    steps.append((cpu.LOSS, 0, 0))
    by_rows = division.by == "rows" and division.workers > 1
    at_once = purpose == "train" and not by_rows and not clips
    if purpose in ("train", "differentiate"):
        for stage in range(len(kinds) - 1, max(first, 0) - 1, -1):
            wants_dx = stage > first
            exchanges = kinds[stage] == "columns" and wants_dx
            steps.append((cpu.BACKWARD_PART if exchanges else cpu.BACKWARD, stage, int(wants_dx)))
            if isinstance(stages[stage], Dense):
                steps.append((cpu.IMPROVE if at_once else cpu.KERNEL_GRADIENT, stage, inputs[stage]))
            if exchanges:
                steps += [(cpu.EXCHANGE, 0, 0), (cpu.JOIN_GRADIENT, stage, 0)]
    if purpose == "train" and not at_once:
        if by_rows:
            steps += [(cpu.EXCHANGE, 0, 0), (cpu.ADD_GRADIENTS, 0, 0)]
        if clips:
            steps.append((cpu.NORM, 0, 0))
            if division.workers > 1:
                steps.append((cpu.EXCHANGE, 0, 0))
        steps.append((cpu.UPDATE, 0, 0))
        if by_rows:
            steps.append((cpu.EXCHANGE, 0, 0))
    return _array([*steps, again])


def _array(steps: list[tuple[int, int, int]]) -> HostArray:
    return np.array(steps, np.int64)
