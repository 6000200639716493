"""Time of each part of a training step, by the cost model and measured."""

import ctypes
from collections.abc import Sequence
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np

from dnnkit.backends.aligned import address
from dnnkit.backends.inspection import ROUNDS, Part, StepParts, measured_step, part_names, still
from dnnkit.backends.numba_backend import cost_model
from dnnkit.backends.numba_backend.machine import machine
from dnnkit.backends.numba_backend.partition import Partition, roles, stage_shards
from dnnkit.backends.stages import Op, Stage
from dnnkit.backends.state import HostArray
from dnnkit.kernels._engine import calls
from dnnkit.kernels._engine.opcodes import Instruction

if TYPE_CHECKING:
    from dnnkit.backends.numba_backend.executable import NumbaExecutable

WAITING = "exchanges, waiting"
OF_STAGES = (
    "dense", "activate", "rescale", "dropout", "copy", "kernel_gradient", "join_backward", "update_fused",
    "own_forward", "own_backward", "give_own", "take_own_y", "take_own_dx", "use_slope", "add_slope", "move_gradient",
    "add_gradient", "update_parameter",
)  # fmt: skip
"""Prefixes of the opcodes that compute a stage."""
OF_LOSSES = (
    "loss", "predict_for_metrics", "metric", "own_measures", "take_own_dscores", "predict_part_for_metrics",
    "add_losses", "take_part",
)  # fmt: skip
"""Likewise, of loss and metrics."""
UPDATES = ("accumulate", "add_gradients", "norm", "clip", "update")


def step_parts(executable: "NumbaExecutable", data: Any, order: HostArray, batch_size: int) -> StepParts:
    """Return the parts of a step on these rows: the model's estimates, and the time of the slowest worker alone."""
    program, stages = executable.program, executable._stages
    measured = measured_step(executable, data, order, batch_size)
    team, batches = executable.epoch.team, executable.epoch.batches
    schedule = team.schedule(key := team.key("train", batches, executable.first_trained))
    spent = _instruction_seconds(executable, data, order, batch_size, len(schedule))
    names = part_names(program, stages)
    parts = [[0.0] * len(names) for _ in spent]
    rest = {"inputs": [0.0] * len(spent), "loss and metrics": [0.0] * len(spent), "update": [0.0] * len(spent)}
    for worker, times in enumerate(spent):
        for instruction, seconds in zip(schedule, times, strict=True):
            part = _part_of(instruction, stages)
            if part is None:
                parts[worker][instruction.stage] += seconds
            elif part in rest:
                rest[part][worker] += seconds
    features = int(np.prod(program.input_shape))
    size = min(batch_size, len(order))
    guess = cost_model.estimate(program, executable.wiring, features, size, team.partition, machine())
    rows = [Part("inputs", guess.inputs, max(rest["inputs"]))]
    for place, (name, partition) in enumerate(zip(names, _shards(executable, team.partition), strict=True)):
        rows.append(Part(name, guess.stages[place], max(times[place] for times in parts), partition))
    rows.append(Part("loss and metrics", guess.loss, max(rest["loss and metrics"])))
    if any(rest["update"]):
        rows.append(Part("update", guess.update, max(rest["update"])))
    if team.partition.workers > 1:
        alone = sum(part.measured or 0.0 for part in rows)
        rows.append(Part(WAITING, guess.exchanges, max(0.0, measured - alone)))
    return StepParts(tuple(rows), guess.total, measured, str(team.partition), team.describe(key))


def _part_of(instruction: Instruction, stages: Sequence[Stage]) -> str | None:
    """Return the part of a step that an instruction belongs to; None for its stage."""
    if instruction.opcode in UPDATES:
        return "update"
    if instruction.opcode.startswith(OF_STAGES):
        return None
    if any(isinstance(stage, Op) and instruction.opcode.startswith(stage.kind) for stage in stages):
        return None
    return "loss and metrics" if instruction.opcode.startswith(OF_LOSSES) else "inputs"


def _instruction_seconds(
    executable: "NumbaExecutable", data: Any, order: HostArray, batch_size: int, count: int
) -> HostArray:
    """Return seconds (workers, instructions): the minimum of each instruction over all steps of several rounds."""
    team, steps = executable.epoch.team, -(-len(order) // batch_size)
    fewest = np.full((team.partition.workers, count), np.iinfo(np.int64).max)
    dtype, fewest_at = executable.program.dtype, address(fewest)
    began, start = _ticks(dtype), perf_counter()
    for _ in range(ROUNDS):
        executable.begin_epoch(data, order, batch_size)
        executable.prepare_steps(0, steps, still(executable.program, steps))
        with executable._own_bound(batch_size):
            calls.caller("run_timed", dtype)(ctypes.addressof(team.run_structure), fewest_at, count)
        if (own_parts := team.own_parts("train")) is not None:
            own_parts.end()
    rate = (_ticks(dtype) - began) / (perf_counter() - start)
    seconds: HostArray = np.where(fewest == np.iinfo(np.int64).max, 0, fewest) / rate
    return seconds


def _ticks(dtype: str) -> int:
    """Return the processor's time-stamp counter."""
    ticks = np.zeros(1, np.int64)
    calls.caller("read_ticks", dtype)(address(ticks))
    return int(ticks[0])


def _shards(executable: "NumbaExecutable", partition: Partition) -> list[str]:
    """Describe the first worker's part of each stage."""
    features, stages = int(np.prod(executable.program.input_shape)), executable._stages
    wiring = executable.wiring
    texts = []
    for role, shard in zip(
        roles(stages, partition, wiring), stage_shards(stages, features, partition, 0, wiring), strict=True
    ):
        inputs, outputs = shard.shape
        texts.append(
            {
                "whole": "all rows" if partition.workers == 1 or partition.by == "units" else "own rows",
                "columns": f"{outputs} outputs each",
                "rows": f"{inputs} inputs each",
                "part": f"{outputs} units each",
            }[role]
            if partition.workers > 1
            else ""
        )
    return texts
