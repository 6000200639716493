"""Assembler of schedules, which `kernels/_engine` interprets: one list of instructions per purpose."""

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

from dnnkit.backends.numba_backend.partition import Partition, Role, roles
from dnnkit.backends.program import Activate, Custom, Dense, Dropout, Rescale, Stage, is_trained
from dnnkit.kernels._engine import opcodes, structures
from dnnkit.kernels._engine.opcodes import EXCHANGED, IN_PLACE, Instruction

Purpose = Literal["train", "differentiate", "update", "evaluate", "predict", "predict a few"]

Inputs = Literal["gathered", "columns", "in place"]
"""How the first stage reads the data: all their columns, gathered; those that are not zero, gathered; or these in the
data themselves, which must be in the network's dtype and need no rescaling."""


class ScheduleKey(NamedTuple):
    """What a schedule depends on besides the program's stages and their partition."""

    purpose: Purpose
    first: int
    """The first stage whose gradient is wanted, -1 for the network's input as well."""
    clips: bool = False
    inputs: Inputs = "gathered"
    bytes: bool = False
    """Whether inputs are bytes."""
    targets: Literal["labels", "values", "any"] = "labels"
    """What of the targets is taken; nothing of any, which only parts of the user's own read."""
    weights: bool = False
    """Whether rows have weights."""
    marked: bool = False
    """Whether it is known which columns each row uses."""
    has_loss: bool = True
    """Whether the loss has an opcode."""
    metrics: tuple[int, ...] = ()
    """The numbers of those metrics that an opcode computes."""
    predictions: bool = False
    """Whether some of these take predictions, which are not the scores."""
    own_measures: bool = False
    """Whether loss or metrics are the user's own."""
    one_batch: bool = False
    """Whether all steps have the same rows in the same order."""
    accumulates: Literal["", "means", "sums"] = ""
    """Whether several batches make an update, and what their gradients are of."""


def assemble(stage_list: Sequence[Stage], partition: Partition, key: ScheduleKey) -> list[Instruction]:
    """The instructions of one step, and of what comes before the first.

    Inputs are gathered unless they are read in place. Where workers exchange on the way forward, they also share the
    gathering, one step ahead: the schedule then has a prologue, and "repeat" jumps past it. If every step uses the same
    rows and none are shared, taking them is moved to the prologue.
    """
    if key.purpose == "predict a few":
        forward = [Instruction(_forward(stage, "whole", key), place) for place, stage in enumerate(stage_list)]
        return [Instruction("take_few"), *forward, Instruction("predict"), Instruction("exchange")]
    if key.purpose == "update":
        return [Instruction(name) for name in ("begin", "update", "repeat")]
    kinds = roles(stage_list, partition)
    shares = "rows" in kinds and key.inputs != "in place"
    share = "share_bytes" if key.bytes else "share_numbers"
    begin, take = [Instruction("begin")], _take(key, shares)
    steps = [Instruction(share), Instruction("exchange")] if shares else []
    if key.one_batch and not shares:
        steps, take = begin + take, []
    again = Instruction("repeat", len(steps))
    steps += begin + take
    for place, (stage, kind) in enumerate(zip(stage_list, kinds, strict=True)):
        if isinstance(stage, Custom):
            steps += _called("own_forward", partition, place)
            continue
        in_place = place == 0 and key.inputs == "in place"
        steps.append(Instruction(_forward(stage, kind, key, place), place, IN_PLACE if in_place else 0))
        if kind == "rows":
            if shares:
                steps.append(Instruction(share, option=1))
                shares = False
            steps += [Instruction("exchange"), Instruction("dense_join", place)]
    if key.purpose == "predict":
        return [*steps, Instruction("predict"), again]
    if key.own_measures:  # before any sum is added to: if they fail, the step has not been
        steps += _called("own_measures", partition, meet_before=partition.by == "rows" or "rows" not in kinds)
    steps += [Instruction("loss")] if key.has_loss else []
    steps += [Instruction("predict_for_metrics")] if key.predictions else []
    steps += [Instruction("metric", option=number) for number in key.metrics]
    by_rows = partition.by == "rows" and partition.workers > 1
    at_once = key.purpose == "train" and not by_rows and not key.clips and not key.accumulates
    if key.purpose in ("train", "differentiate"):
        steps += _backward(stage_list, kinds, partition, key, at_once)
    if key.purpose == "differentiate" and by_rows:
        steps += [Instruction("exchange"), Instruction("sum_gradients")]
    if key.purpose == "train" and not at_once:
        steps += _update_at_the_end(partition, by_rows, key)
    return [*steps, again]


def _called(
    name: str, partition: Partition, place: int = 0, option: int = 0, *, meet_before: bool = True
) -> list[Instruction]:
    """A call of the user's own part, which worker 0 makes on the memory of all.

    The others wait until it is over: if it fails, none goes on. They also wait before, unless it reads nothing of
    theirs and they have met since they last used what it writes.
    """
    meet = [Instruction("exchange")] if partition.workers > 1 else []
    return [*(meet if meet_before else []), Instruction(name, place, option), *meet]


TAKE = {"labels": ["take_labels"], "values": ["take_targets"], "any": []}


def _take(key: ScheduleKey, shares: bool) -> list[Instruction]:
    """A step's rows: targets, weights and inputs."""
    names = []
    if key.purpose != "predict":
        names = TAKE[key.targets] + (["take_weights"] if key.weights else [])
    if key.marked and key.inputs != "gathered":
        names.append("find_columns")
    if shares:
        names.append("use_shared")
    elif key.inputs == "in place":
        names.append("prefetch_inputs")
    else:
        names.append("take_bytes" if key.bytes else "take_numbers")
    return [Instruction(name) for name in names]


def _forward(stage: Stage, role: Role, key: ScheduleKey, place: int = -1) -> str:
    match stage:
        case Dense():
            if role == "rows":
                return "dense_part"
            return "dense_of_columns" if place == 0 and key.inputs != "gathered" else "dense"
        case Activate():
            return "activate"
        case Rescale():
            return "rescale"
        case Dropout():
            return "dropout" if key.purpose in ("train", "differentiate") else "copy"
        case Custom():
            return "own_forward"
    raise AssertionError(f"{stage} should have been refused by NumbaBackend.supports")


def _backward(
    stage_list: Sequence[Stage], kinds: list[Role], partition: Partition, key: ScheduleKey, at_once: bool
) -> list[Instruction]:
    """The stages backward, down to the first that is trained; `at_once` each is updated as soon as it can be.

    A call of the user's own may fail, and then nothing has been updated: what comes before the last waits for it.
    """
    steps: list[Instruction] = []
    waiting: list[Instruction] = []
    first = max(key.first, 0)
    last_call = next((place for place in range(first, len(kinds)) if isinstance(stage_list[place], Custom)), len(kinds))
    for place in range(len(kinds) - 1, first - 1, -1):
        stage, wants_dx = stage_list[place], place > key.first
        if isinstance(stage, Custom):
            steps += _called("own_backward", partition, place, int(wants_dx))
            waiting += [Instruction("update_stage", place)] if is_trained(stage) else []
            if place == last_call and at_once:
                steps += waiting
            continue
        in_exchange = kinds[place] == "columns" and wants_dx
        name = {Dense: "dense", Activate: "activate", Rescale: "rescale", Dropout: "dropout"}[type(stage)]
        steps.append(Instruction(f"{name}_backward", place, EXCHANGED if in_exchange else int(wants_dx)))
        if isinstance(stage, Dense) and is_trained(stage):
            what = "update_fused" if at_once and place < last_call else "kernel_gradient"
            waiting += [Instruction("update_stage", place, 1)]
            of_columns = place == 0 and key.inputs != "gathered"
            in_place = of_columns and key.inputs == "in place"
            steps.append(Instruction(what + "_of_columns" * of_columns, place, IN_PLACE if in_place else 0))
        if in_exchange:
            steps += [Instruction("exchange"), Instruction("join_backward", place)]
    return steps


def _update_at_the_end(partition: Partition, by_rows: bool, key: ScheduleKey) -> list[Instruction]:
    """All parameters, when everybody's gradient is there."""
    steps = [Instruction(name) for name in (("exchange", "add_gradients") if by_rows else ())]
    if key.accumulates:
        steps.append(Instruction("accumulate", option=int(key.accumulates == "means")))
    names: list[str] = []
    if key.clips:
        names += ["norm", "exchange", "clip"] if partition.workers > 1 else ["norm", "clip"]
    names += ["update", "exchange"] if by_rows else ["update"]
    return steps + [Instruction(name) for name in names]


def link(schedule: Sequence[Instruction], dtype: str) -> Any:
    """The schedule as the interpreter reads it, its opcodes compiled for the dtype."""
    lines = structures.INSTRUCTION.new(len(schedule))
    for line, (name, stage, option) in zip(lines, schedule, strict=True):
        line.function, line.stage, line.option = opcodes.address(name, dtype), stage, option
    return lines
