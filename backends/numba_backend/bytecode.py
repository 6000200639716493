"""Assembler of schedules for the interpreter in `kernels/_engine`: one list of instructions per purpose."""

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

from dnnkit.backends.numba_backend.partition import Partition, Role, roles
from dnnkit.backends.numba_backend.wiring import Wiring
from dnnkit.backends.stages import Activate, Custom, Dense, Dropout, Op, Rescale, Stage, is_trained, stage_parameters
from dnnkit.kernels._engine import opcodes, structures
from dnnkit.kernels._engine.opcodes import EXCHANGED, IN_PLACE, Instruction
from dnnkit.kernels.stages import kind

Purpose = Literal[
    "train", "differentiate", "first part", "part", "minimize", "differentiate outputs", "update", "evaluate",
    "predict", "predict a few",
]  # fmt: skip
""""first part" and "part" differentiate a part of a batch shared with other processes; the first adds the penalties.
"minimize" differentiates repeatedly at parameters that L-BFGS chooses. "differentiate outputs" differentiates
outputs with respect to the network's inputs, several per step, after one forward pass.
"""

DIFFERENTIATING = "train", "differentiate", "first part", "part", "minimize", "differentiate outputs"
MEASURING = "train", "first part", "part", "minimize", "evaluate"
SUMMING = "differentiate", "first part", "part", "minimize"
UNMEASURED = "predict", "predict a few", "update", "differentiate outputs"
"""Purposes that compute gradients; that measure; that leave the sum of all workers' gradients; that compute neither
loss nor metrics, and read no targets.
"""

PENALIZING = "train", "differentiate", "first part"

Inputs = Literal["gathered", "columns", "in place", "compressed"]
"""How the first stage reads the data: all columns, gathered; the nonzero columns, gathered; the nonzero columns in
place, which requires the network's dtype and no rescaling; or the nonzero numbers of compressed rows, likewise.
"""

VERSIONS: dict[Inputs, str] = {
    "gathered": "", "columns": "_of_columns", "in place": "_of_columns", "compressed": "_of_compressed",
}  # fmt: skip
"""Suffix of the opcodes of a first dense stage."""

IN_DATA = "in place", "compressed"
"""Those that read the data itself."""


Clips = Literal["", "whole", "each"]


class ScheduleKey(NamedTuple):
    """Everything a schedule depends on apart from the program's stages and their partition."""

    purpose: Purpose
    first: int
    """First stage whose gradient is needed; -1 to include the network's input."""
    clips: Clips = ""
    """Which norms of the gradient are bounded: none, that of the whole, or that of each parameter."""
    inputs: Inputs = "gathered"
    bytes: bool = False
    """Whether inputs are uint8."""
    targets: Literal["labels", "values", "any"] = "labels"
    """Which targets are gathered; none for "any", which only user-defined parts read."""
    weights: bool = False
    """Whether rows have weights."""
    marked: bool = False
    """Whether the nonzero columns of each row are known."""
    has_loss: bool = True
    """Whether the loss has an opcode."""
    metrics: tuple[int, ...] = ()
    """Numbers of the metrics that opcodes compute."""
    predictions: bool = False
    """Whether any of them reads predictions that differ from the scores."""
    own_measures: bool = False
    """Whether loss or metrics are user-defined."""
    one_batch: bool = False
    """Whether all steps have the same rows in the same order."""
    accumulates: Literal["", "means", "sums"] = ""
    """Whether an update accumulates several batches, and whether their gradients are means or sums."""
    parts: tuple[tuple[tuple[int, ...], bool, bool], ...] = ()
    """With several outputs, per output: numbers of its metrics, whether any reads predictions, whether its loss is
    user-defined.
    """
    penalizes: bool = False
    """Whether parameters have penalties."""
    bounds: int = 0
    """Number of parameters with constraints."""
    averages_apart: bool = False
    """Whether running means of the parameters are updated after the constraints."""

    @property
    def trains(self) -> bool:
        """Whether gradients are computed."""
        return self.purpose in DIFFERENTIATING


def assemble(
    stage_list: Sequence[Stage], partition: Partition, key: ScheduleKey, wiring: Wiring | None = None
) -> list[Instruction]:
    """Return the instructions of one step, and of what precedes the first.

    Inputs are gathered unless they are read in place. If workers exchange in the forward pass, they also share the
    gathering, one step ahead: the schedule then has a prologue, and "repeat" jumps past it. If every step uses the same
    rows and none are shared, gathering them is moved to the prologue.
    """
    if key.purpose == "predict a few":
        forward = [
            Instruction(name, place)
            for place, stage in enumerate(stage_list)
            for name in (
                kind(stage.kind).opcodes.predict if isinstance(stage, Op) else (_forward(stage, "whole", key),)
            )
        ]
        return [Instruction("take_few"), *forward, *_predict(key), Instruction("exchange")]
    if key.purpose == "update":
        return [Instruction(name) for name in ("begin", "update", "repeat")]
    wiring = Wiring(stage_list) if wiring is None else wiring
    kinds = roles(stage_list, partition, wiring)
    # Only such a first stage reads the inputs that `use_shared` sets.
    is_read_by_one = wiring.reads_data_once and not isinstance(stage_list[0], Op)
    shares = "rows" in kinds and key.inputs not in IN_DATA and is_read_by_one
    share = "share_bytes" if key.bytes else "share_numbers"
    begin, take = [Instruction("begin")], _take(key, shares)
    if key.purpose == "differentiate" and partition.by == "rows" and partition.workers > 1:
        take.append(Instruction("claim_parameters"))
    steps = [Instruction(share), Instruction("exchange")] if shares else []
    if key.one_batch and not shares:
        steps, take = begin + take, []
    if key.purpose == "minimize":
        steps = [*_minimizing("begin_iterations", partition, option=1), *steps]
    again = Instruction("repeat", len(steps))
    steps += begin + take
    for place, (stage, role) in enumerate(zip(stage_list, kinds, strict=True)):
        if isinstance(stage, Custom):
            steps += [*_given("x", place, role, partition), *_called("own_forward", partition, place)]
            steps += [Instruction("take_own_y", place)] if partition.workers > 1 else []
            continue
        if isinstance(stage, Op):
            opcodes_of = kind(stage.kind).opcodes
            steps += _meeting(opcodes_of.forward if key.trains else opcodes_of.predict, place, partition)
            continue
        in_place = place == 0 and key.inputs == "in place"
        steps.append(Instruction(_forward(stage, role, key, place), place, IN_PLACE if in_place else 0))
        if role == "rows":
            if shares:
                steps.append(Instruction(share, option=1))
                shares = False
            steps += [Instruction("exchange"), Instruction("dense_join", place)]
    if key.purpose == "predict":
        return [*steps, *_predict(key), again]
    if key.purpose == "differentiate outputs":
        backward = _backward(wiring, kinds, partition, key, False)
        again = Instruction("repeat", len(steps))
        return [*steps, *begin, Instruction("choose_outputs"), *backward, Instruction("take_derivatives"), again]
    if key.own_measures:  # before any sum is changed: a step whose own measures fail has not happened
        steps += _called("own_measures", partition, meet_before=partition.by == "rows" or "rows" not in kinds)
        has_own_loss = any(is_own for *_, is_own in key.parts) if key.parts else not key.has_loss
        steps += [Instruction("take_own_dscores")] if key.trains and has_own_loss else []
    steps += [Instruction("loss")] if key.has_loss else []
    steps += [Instruction("predict_for_metrics")] if key.predictions else []
    steps += [Instruction("metric", option=number) for number in key.metrics]
    steps += _measure_parts(key)
    by_rows = partition.by == "rows" and partition.workers > 1
    waits = key.clips or key.accumulates or key.penalizes or key.bounds
    at_once = key.purpose == "train" and not by_rows and not waits
    if key.trains:
        steps += _backward(wiring, kinds, partition, key, at_once)
    if key.purpose in SUMMING and by_rows:
        steps += [Instruction("exchange"), Instruction("sum_gradients")]
    if key.purpose == "minimize":
        return [*steps, *_minimizing("take_evaluation", partition), again]
    if key.purpose in ("differentiate", "first part") and key.penalizes:
        steps += [Instruction("penalize", option=int(by_rows))]
    after = _after(stage_list) if key.purpose == "train" else []
    if key.purpose == "train" and not at_once:
        return [*steps, *_update_at_the_end(partition, by_rows, key, after), again]
    return [*steps, *after, again]


def _predict(key: ScheduleKey) -> list[Instruction]:
    """Predict from the scores: of the whole network, or of each output."""
    return [Instruction("predict_part", option=number) for number in range(len(key.parts))] or [Instruction("predict")]


def _measure_parts(key: ScheduleKey) -> list[Instruction]:
    """Compute losses and metrics of several outputs."""
    steps: list[Instruction] = []
    for number, (metrics, takes_predictions, is_own) in enumerate(key.parts):
        if metrics or not is_own:
            steps.append(Instruction("take_part" if is_own else "loss_of_part", option=number))
        steps += [Instruction("predict_part_for_metrics", option=number)] if takes_predictions else []
        steps += [Instruction("metric_of_part", option=metric) for metric in metrics]
    return [*steps, Instruction("add_losses")] if key.parts else []


def _minimizing(name: str, partition: Partition, option: int = 0) -> list[Instruction]:
    """Let worker 0 run an L-BFGS opcode, after which all workers read its result."""
    meet = [Instruction("exchange")] if partition.workers > 1 else []
    return [*meet, Instruction(name), *meet, Instruction("next_evaluation", option=option)]


def _meeting(names: Sequence[str], place: int, partition: Partition) -> list[Instruction]:
    """Return the opcodes of an operation, between which workers that share a batch by rows synchronize."""
    steps = [Instruction(names[0], place)]
    for name in names[1:]:
        meet = partition.by == "rows" and partition.workers > 1
        steps += [Instruction("exchange")] if meet else []
        steps.append(Instruction(name, place))
    return steps


def _after(stage_list: Sequence[Stage]) -> list[Instruction]:
    """Return the opcodes that update an operation's statistics at the end of a step."""
    return [
        Instruction(name, place)
        for place, stage in enumerate(stage_list)
        if isinstance(stage, Op)
        for name in kind(stage.kind).opcodes.after
    ]


def _called(
    name: str, partition: Partition, place: int = 0, option: int = 0, *, meet_before: bool = True
) -> list[Instruction]:
    """Call a user-defined part, which worker 0 does on the memory of all workers.

    The other workers wait until it is over: if it fails, none continues. They also wait before it, unless it reads
    nothing of theirs and they have synchronized since they last used what it writes.
    """
    meet = [Instruction("exchange")] if partition.workers > 1 else []
    return [*(meet if meet_before else []), Instruction(name, place, option), *meet]


def is_divided(role: Role, partition: Partition) -> bool:
    """Whether each worker has a part of a user-defined stage's arrays: its rows, or its columns within a pair."""
    return partition.workers > 1 and (partition.by == "rows" or role == "part")


def _given(array: str, place: int, role: Role, partition: Partition) -> list[Instruction]:
    """Copy the workers' parts of an array to the whole, which user-defined code reads."""
    return [Instruction(f"give_own_{array}", place)] if is_divided(role, partition) else []


TAKE = {"labels": ["take_labels"], "values": ["take_targets"], "any": []}


def _take(key: ScheduleKey, shares: bool) -> list[Instruction]:
    """Load a step's rows: targets, weights and inputs."""
    names = []
    if key.purpose not in UNMEASURED:
        names = TAKE[key.targets] + (["take_weights"] if key.weights else [])
    if key.marked and key.inputs != "gathered":
        names.append("find_columns")
    if shares:
        names.append("use_shared")
    elif key.inputs == "in place":
        names.append("prefetch_inputs")
    elif key.inputs != "compressed":
        names.append("take_bytes" if key.bytes else "take_numbers")
    return [Instruction(name) for name in names]


def _forward(stage: Stage, role: Role, key: ScheduleKey, place: int = -1) -> str:
    match stage:
        case Dense():
            if role == "rows":
                return "dense_part"
            return "dense" + (VERSIONS[key.inputs] if place == 0 else "")
        case Activate():
            return "activate"
        case Rescale():
            return "rescale"
        case Dropout():
            return "dropout" if key.trains else "copy"
        case Custom():
            return "own_forward"
    raise AssertionError(f"{stage} should have been rejected by NumbaBackend.supports")


def _backward(
    wiring: Wiring, kinds: list[Role], partition: Partition, key: ScheduleKey, at_once: bool
) -> list[Instruction]:
    """Run the stages backward, down to the first that is trained; with `at_once`, update each as soon as possible.

    A user-defined call may fail, and then nothing may have been updated: updates before the last call wait for it.
    """
    steps: list[Instruction] = []
    waiting: list[Instruction] = []
    wanted, current = wiring.wanted(key.first), len(kinds)  # current: the value whose gradient is propagated
    places = [place for place in range(len(kinds) - 1, -1, -1) if wanted[place + 1]]
    last_call = min((place for place in places if isinstance(wiring.stages[place], Custom)), default=len(kinds))
    for place in places:
        stage, sources = wiring.stages[place], wiring.sources[place]
        may_update = at_once and place < last_call
        fuses = may_update and isinstance(stage, Dense) and is_trained(stage) and not wiring.is_shared(place)
        if not isinstance(stage, Op):
            steps += [Instruction("use_slope", place)] if current != place + 1 else []
            current = sources[0] if wanted[sources[0]] and wiring.is_home(place, 0) else -1
        steps += _backward_of(wiring, place, kinds[place], partition, key, wants_dx=wanted[sources[0]], fuses=fuses)
        steps += [
            Instruction("add_slope", place, number)
            for number, value in enumerate(sources)
            if wanted[value] and not wiring.is_home(place, number)
        ]
        steps += _gathered_gradients(wiring, place)
        updates = [] if fuses or not at_once else _updates(wiring, place)
        if may_update:
            steps += updates
            continue
        waiting += updates
        if place == last_call:
            steps += waiting
    return steps


def _backward_of(
    wiring: Wiring, place: int, role: Role, partition: Partition, key: ScheduleKey, *, wants_dx: bool, fuses: bool
) -> list[Instruction]:
    """Run a stage backward: gradients of its inputs and parameters; `fuses` the latter with their update."""
    stage = wiring.stages[place]
    if isinstance(stage, Custom):
        after = [Instruction("take_own_dx", place)] if wants_dx else []
        called = _called("own_backward", partition, place, int(wants_dx))
        return [*_given("dy", place, role, partition), *called, *after]
    if isinstance(stage, Op):
        return _meeting(kind(stage.kind).opcodes.backward, place, partition)
    in_exchange = role == "columns" and wants_dx
    name = {Dense: "dense", Activate: "activate", Rescale: "rescale", Dropout: "dropout"}[type(stage)]
    steps = [Instruction(f"{name}_backward", place, EXCHANGED if in_exchange else int(wants_dx))]
    if isinstance(stage, Dense) and is_trained(stage):
        what, inputs = "update_fused" if fuses else "kernel_gradient", key.inputs if place == 0 else "gathered"
        steps.append(Instruction(what + VERSIONS[inputs], place, IN_PLACE if inputs == "in place" else 0))
    if in_exchange:
        steps += [Instruction("exchange"), Instruction("join_backward", place)]
    return steps


def _gathered_gradients(wiring: Wiring, place: int) -> list[Instruction]:
    """Move or add a stage's gradients to those of its parameters, if another stage has written there."""
    if not wiring.uses_spare(place):
        return []
    return [
        Instruction("move_gradient" if wiring.is_first_gradient(place, parameter) else "add_gradient", place, number)
        for number, parameter in enumerate(stage_parameters(wiring.stages[place]))
        if parameter.trainable
    ]


def _updates(wiring: Wiring, place: int) -> list[Instruction]:
    """Update a stage's parameters whose gradients are complete."""
    stage = wiring.stages[place]
    if not is_trained(stage):
        return []
    if not isinstance(stage, Op) and not wiring.is_shared(place):
        return [Instruction("update_stage", place, int(isinstance(stage, Dense)))]
    return [
        Instruction("update_parameter", place, number)
        for number, parameter in enumerate(stage_parameters(stage))
        if parameter.trainable and wiring.is_last_gradient(place, parameter)
    ]


def _update_at_the_end(
    partition: Partition, by_rows: bool, key: ScheduleKey, after: list[Instruction]
) -> list[Instruction]:
    """Update all parameters once every worker's gradient is complete, then run `after`."""
    steps = [Instruction(name) for name in (("exchange", "add_gradients") if by_rows else ())]
    if key.penalizes:
        penalties = ("penalize",) if by_rows or partition.workers == 1 else ("penalize", "exchange", "join_penalties")
        steps += [Instruction(name) for name in penalties]
    if key.accumulates:
        steps.append(Instruction("accumulate", option=int(key.accumulates == "means")))
    names: list[str] = []
    if key.clips:
        norm, clip = ("norm_of_each", "clip_each") if key.clips == "each" else ("norm", "clip")
        names += [norm, "exchange", clip] if partition.workers > 1 else [norm, clip]
    names.append("update")
    names += ["send_parameters", "exchange", "receive_parameters"] if by_rows else []
    steps += [Instruction(name) for name in names]
    steps += [Instruction("constrain", option=number) for number in range(key.bounds)]
    return [*steps, *([Instruction("average")] if key.averages_apart else []), *after]


def link(schedule: Sequence[Instruction], dtype: str) -> Any:
    """Return the schedule in the interpreter's format, with its opcodes compiled for the dtype."""
    lines = structures.INSTRUCTION.new(len(schedule))
    for line, (name, stage, option) in zip(lines, schedule, strict=True):
        line.function, line.stage, line.option = opcodes.address(name, dtype), stage, option
    return lines
