"""Assembler of the bytecode that `kernels/train_steps` interprets: one schedule of instructions per purpose."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np

from dnnkit.backends.numba_backend.partition import Partition, roles
from dnnkit.backends.program import Dense, HostArray, Stage
from dnnkit.kernels.train_steps import opcodes

Purpose = Literal["train", "differentiate", "evaluate", "predict"]


class ScheduleKey(NamedTuple):
    """What a schedule depends on besides the stages and their partition."""

    purpose: Purpose
    first: int
    """The first stage whose gradient is wanted, -1 for the network's input as well."""
    clips: bool = False
    inputs: int = opcodes.EVERY
    """What the first stage multiplies, if it is dense: every column, those in use, or these in place."""
    one_batch: bool = False
    """Whether all steps have the same rows in the same order."""


def assemble(stages: Sequence[Stage], partition: Partition, key: ScheduleKey) -> HostArray:
    """Instructions (n, 3): opcode, stage, and an option (whether dx is wanted, or what is multiplied).

    Inputs are gathered unless they are read in place. Where workers exchange on the way forward, they also share the
    gathering, one step ahead: the schedule then has a prologue, and REPEAT jumps past it. If every step uses the same
    rows and none are shared, taking them is moved to the prologue.
    """
    purpose, first, clips, inputs, one_batch = key
    kinds = roles(stages, partition)
    in_place = inputs == opcodes.IN_PLACE
    shares = "rows" in kinds and not in_place
    columns = [inputs, *[opcodes.EVERY] * len(kinds)]
    where = opcodes.SHARED if shares else opcodes.IN_PLACE if in_place else opcodes.GATHERED
    begin, take = [(opcodes.BEGIN, 0, 0)], [(opcodes.TAKE, where, 0)]
    steps = [(opcodes.GATHER, 0, 0), (opcodes.EXCHANGE, 0, 0)] if shares else []
    if one_batch and not shares:
        steps, take = begin + take, []
    again = (opcodes.REPEAT, len(steps), 0)
    steps += begin + take
    for stage, kind in enumerate(kinds):
        if kind == "rows":
            steps.append((opcodes.PRODUCT, stage, 0))
            if shares:
                steps.append((opcodes.GATHER, 1, 0))
                shares = False
            steps += [(opcodes.EXCHANGE, 0, 0), (opcodes.JOIN, stage, 0)]
        else:
            steps.append((opcodes.FORWARD, stage, columns[stage]))
    if purpose == "predict":
        return _array([*steps, (opcodes.HEAD, 0, 0), again])
    steps.append((opcodes.LOSS, 0, 0))
    by_rows = partition.by == "rows" and partition.workers > 1
    at_once = purpose == "train" and not by_rows and not clips
    if purpose in ("train", "differentiate"):
        for stage in range(len(kinds) - 1, max(first, 0) - 1, -1):
            wants_dx = stage > first
            exchanges = kinds[stage] == "columns" and wants_dx
            steps.append((opcodes.BACKWARD_PART if exchanges else opcodes.BACKWARD, stage, int(wants_dx)))
            if isinstance(stages[stage], Dense):
                steps.append((opcodes.UPDATE_FUSED if at_once else opcodes.KERNEL_GRADIENT, stage, columns[stage]))
            if exchanges:
                steps += [(opcodes.EXCHANGE, 0, 0), (opcodes.JOIN_GRADIENT, stage, 0)]
    if purpose == "train" and not at_once:
        if by_rows:
            steps += [(opcodes.EXCHANGE, 0, 0), (opcodes.ADD_GRADIENTS, 0, 0)]
        if clips:
            steps.append((opcodes.NORM, 0, 0))
            if partition.workers > 1:
                steps.append((opcodes.EXCHANGE, 0, 0))
        steps.append((opcodes.UPDATE, 0, 0))
        if by_rows:
            steps.append((opcodes.EXCHANGE, 0, 0))
    return _array([*steps, again])


def _array(steps: list[tuple[int, int, int]]) -> HostArray:
    return np.array(steps, np.int64)
