"""Worker state: workspaces, stage tables and threads, sized for a maximum batch."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dnnkit.backends.aligned import rounded, zeros
from dnnkit.backends.numba_backend.bytecode import Purpose, ScheduleKey, assemble
from dnnkit.backends.numba_backend.partition import Partition, PartitionedLayout, roles, share, stage_shards
from dnnkit.backends.numba_backend.threads import in_threads
from dnnkit.backends.program import Activate, Dense, Dropout, HostArray, Program, Rescale, Stage
from dnnkit.kernels import nonzero_columns, registry
from dnnkit.kernels.matmul.cpu import fits_tiles
from dnnkit.kernels.train_steps import cpu, opcodes, stage_table

PATIENCE = 400
"""Polls of another thread, some 10 µs in all, before its work is taken over."""

PROGRESS = 16
"""Numbers of a worker's progress: two cache lines, more than it needs, so that no line has two writers."""


@dataclass(frozen=True)
class Kernels:
    """Addresses of the compiled kernels that a program needs, and their constant arguments."""

    activations: dict[str, tuple[int, int]]
    """Forward and backward. They are asked for once: LLVM's lock, which that takes, would not survive a fork."""
    loss: int
    update: int
    head: int
    metric_kinds: HostArray
    thresholds: HostArray


@dataclass(frozen=True)
class Weights:
    """Parameters and slots: one flat row per worker, or a single one that all share."""

    parameters: HostArray
    slots: HostArray
    """(rows, slots, size)"""

    def copy(self) -> "Weights":
        """The same numbers, in memory of their own that is as aligned."""
        copy = Weights(*(zeros(array.shape, array.dtype.name) for array in (self.parameters, self.slots)))
        copy.take(self)
        return copy

    def take(self, other: "Weights") -> None:
        """Become equal to the other."""
        self.parameters[...], self.slots[...] = other.parameters, other.slots


@dataclass
class RunRequest:
    """What to run: steps first ... last - 1 over rows in an order."""

    data: tuple[Any, ...]
    order: HostArray
    batch_size: int
    batch_weights: HostArray
    first: int
    last: int
    first_update: int = 0
    rates: HostArray | None = None
    constants: HostArray | None = None
    clip_norm: float = 0.0
    out: HostArray | None = None
    one_batch: bool = False
    """Whether all steps have the same rows in the same order."""


class WorkerTeam:
    """The workers of a partition, for one program and batches of up to `rows` rows: what `train_steps` runs on."""

    def __init__(
        self, program: Program, stage_list: Sequence[Stage], partition: Partition, rows: int, kernels: Kernels
    ) -> None:
        self.program, self.partition, self.rows, self._kernels = program, partition, rows, kernels
        self._stages = list(stage_list)
        self._roles = roles(self._stages, partition)
        self._features = features = math.prod(program.input_shape)
        self.layout = PartitionedLayout(self._stages, features, partition)
        own_rows = rows
        if partition.by == "rows":
            own_rows = -(-rows // partition.workers)
        dtype = program.dtype
        plans: list[_WorkspacePlan] = []
        size = 0
        for worker in range(partition.workers):
            plans.append(_WorkspacePlan(self, worker, own_rows, features, size))
            size = plans[-1].size
        self._tables = np.array([plan.table for plan in plans], np.int64).reshape(
            partition.workers, len(self._stages), len(stage_table.COLUMNS)
        )
        self._numbers = np.array([_pair(stage) for stage in self._stages], np.float64).reshape(-1, 2)
        self._places = np.array([plan.places for plan in plans], np.int64)
        if "rows" in self._roles:  # inputs that all workers read
            self._places[:, 3] = size
            size += opcodes.INPUTS * rounded(rows * features)
        self._memory = zeros((size,), dtype)
        self._keeps = np.zeros((partition.workers, max(plan.mask_size for plan in plans)), np.bool_)
        exchanged = max(plan.exchanged for plan in plans)
        self._partials = zeros((2, partition.workers if exchanged else 0, exchanged), dtype)
        self._norms = np.zeros((2, partition.workers))
        outputs = program.output_features
        has_labels = program.loss is None or program.loss.targets == "labels"
        self._batches = (
            np.zeros((partition.workers, own_rows if has_labels else 0), np.int64),
            np.zeros((partition.workers, 0 if has_labels else own_rows, outputs), dtype),
            np.ones((partition.workers, own_rows), dtype),
        )
        self._schedules: dict[ScheduleKey, HostArray] = {}
        size = self.layout.size
        self.gradients = zeros((partition.workers, size), dtype)
        self._consecutive = np.arange(own_rows)
        self._all_columns = np.tile(np.arange(features), (partition.workers, 1))
        self._columns = np.zeros((partition.workers, features + nonzero_columns.words(features)), np.int64)
        self._control = np.zeros(3 * opcodes.LINE, np.int64)
        self.dx_place = int(self._tables[0, 0, stage_table.DX]) if self._stages else int(self._places[0, 1])

    @property
    def forward_parts(self) -> tuple[Any, ...]:
        """What `predict_rows` wants of a team of one: table, numbers, workspace, masks, place of the scores, head."""
        scores = int(self._places[0, 0])
        return self._tables[0], self._numbers, self._memory, self._keeps[0], scores, self._kernels.head

    # -- running -----------------------------------------------------------------------------------------------------

    def stop(self) -> None:
        """Make the running or next run end between two steps."""
        self._control[opcodes.STOP] = 1

    def clear_stop(self) -> None:
        """Withdraw a request to stop."""
        self._control[opcodes.STOP] = 0

    def input_gradient(self, rows: int) -> HostArray:
        """dx of the last batch (rows, features), after `differentiate` with first=-1; by one worker."""
        features = math.prod(self.program.input_shape)
        return self._memory[self.dx_place : self.dx_place + rows * features].reshape(rows, features)

    def run(
        self, purpose: Purpose, work: RunRequest, numbers: Weights, sums: HostArray, *, first: int = 0, threads: int = 0
    ) -> tuple[int, int]:
        """Run the steps; (the step after the last one that was run, the first step whose loss was no number or -1).

        With `threads` 0 in this thread, else in so many others at most, while this one waits and hears signals.
        Loss and metrics are added to the sums, which `no_sums` made and `totals` adds up.
        """
        workers = self.partition.workers
        key = ScheduleKey(purpose, first, work.clip_norm > 0, self._inputs(work), work.one_batch)
        if key not in self._schedules:
            self._schedules[key] = assemble(self._stages, self.partition, key)
        if len(work.data[6]) == 0:
            self._batches[2].fill(1)
        progress = np.zeros((workers, PROGRESS), np.int64)
        progress[:, opcodes.STEP], progress[:, opcodes.NAN_STEP] = work.first, -1
        progress[:, opcodes.COLUMNS] = self._features
        for worker in range(workers):
            progress[worker, opcodes.SHARE : opcodes.SHARE_END + 1] = self._shares(worker)
        self._control[opcodes.LIMIT], self._control[opcodes.ENDED] = work.last, -1
        nothing = np.zeros(0)
        job = (
            (
                self._schedules[key], self._tables, self._numbers, numbers.parameters, self.gradients, numbers.slots,
                self._memory, self._keeps, self._partials, self._norms, self._places, self._consecutive,
                self._columns if len(work.data[7]) else self._all_columns,
                (self._kernels.loss, self.program.output_features), self._kernels.head,
            ),
            work.data,
            self._batches,
            (
                work.order, work.batch_size, work.batch_weights, work.first, work.first_update,
                self.partition.by == "rows", purpose in ("train", "differentiate"), self._sums_up, self.program.seed,
                self._kernels.update, nothing if work.rates is None else work.rates,
                nothing if work.constants is None else work.constants, work.clip_norm, self._control, progress, sums,
                self._kernels.metric_kinds, self._kernels.thresholds,
                self._no_output if work.out is None else work.out,
            ),
        )  # fmt: skip
        claimed, done = np.zeros(workers * opcodes.LINE, np.int64), np.zeros(workers * opcodes.LINE, np.int64)
        try:
            if threads:
                crew = min(threads, workers)
                patience = PATIENCE if crew > 1 else 0
                in_threads(lambda thread: cpu.run(thread, patience, claimed, done, job), crew, self.stop)
            else:
                cpu.run(0, 0, claimed, done, job)
        finally:
            self.clear_stop()
        lost = progress[:, opcodes.NAN_STEP]
        return int(self._control[opcodes.LIMIT]), int(lost[lost >= 0].min()) if (lost >= 0).any() else -1

    def _inputs(self, work: RunRequest) -> int:
        """What the first stage multiplies: if tiles take it, the columns in use, in place if nothing is converted."""
        _, numbers, scale, offset, *_ = work.data
        rows = min(work.batch_size, self.rows)
        if self.partition.by == "rows":
            rows = -(-rows // self.partition.workers)
        fits = fits_tiles.py_func(rows * self._features, numbers.itemsize)
        if not fits or not self._stages or not isinstance(self._stages[0], Dense):
            return opcodes.EVERY
        return opcodes.IN_PLACE if len(numbers) > 0 and (scale, offset) == (1.0, 0.0) else opcodes.NONZERO

    def zero_totals(self) -> HostArray:
        """Zeros (workers, ...) for loss and metrics, each worker's in a cache line of its own."""
        return np.zeros((self.partition.workers, max(opcodes.LINE, 1 + len(self.program.metrics))))

    def totals(self, sums: HostArray) -> HostArray:
        """Loss and metrics (1 + metrics,) of all rows."""
        totals: HostArray = self.counted(sums).sum(axis=0)
        return totals

    def counted(self, sums: HostArray) -> HostArray:
        """The sums (workers, 1 + metrics) that add up to the totals: divided by units, each worker sums all rows."""
        return sums[: self.partition.workers if self.partition.by == "rows" else 1, : 1 + len(self.program.metrics)]

    @property
    def _sums_up(self) -> bool:
        return self.program.loss is not None and self.program.loss.reduction == "sum"

    @property
    def _no_output(self) -> HostArray:
        return np.zeros((0, self.program.output_features), self.program.dtype)

    def _shares(self, worker: int) -> tuple[int, int, int]:
        """(start, start of the part that only this worker has, end) of the parameters that a worker updates."""
        if self.partition.by == "rows":
            part = share(self.layout.size, self.partition.workers, worker)
            return part.start, part.start, part.stop
        return 0, self.layout.shared, self.layout.sizes[worker]


class _WorkspacePlan:
    """Where in the memory of all workers each stage of one reads and writes, from `start` on."""

    def __init__(self, team: WorkerTeam, worker: int, rows: int, features: int, start: int) -> None:
        partition = team.partition
        self.rows, self.size, self.mask_size, self.exchanged = rows, start, 0, 0
        own = stage_shards(team._stages, features, partition, worker)
        x = inputs_place = self._take(features)
        width = features
        scratch = self._take(max([features, *(max(part.shape) for part in own)]))  # z, then dz: never both in use
        self.table: list[list[int]] = []
        for stage, role, part in zip(team._stages, team._roles, own, strict=True):
            inputs, outputs = part.shape
            width = stage.kernel.shape[1] if isinstance(stage, Dense) else width
            line = _columns(stage, team._kernels)
            line |= {"inputs": inputs, "outputs": outputs, "first": part.outputs.start, "width": width}
            line |= {"x": x, "y": self._take(outputs), "z": scratch, "dx": self._take(inputs)}
            if isinstance(stage, Dense):
                if line["saves_input"]:
                    line["z"] = self._take(outputs)
                line["kernel"] = team.layout.pieces[worker, stage.kernel.name].offset
                if stage.bias is not None:
                    line |= {"bias": team.layout.pieces[worker, stage.bias.name].offset, "biases": outputs}
                if role in ("rows", "columns"):
                    line["partial"] = self.exchanged
                    self.exchanged += rounded(rows * (outputs if role == "rows" else inputs))
            if isinstance(stage, Dropout):
                line["keep"], self.mask_size = self.mask_size, self.mask_size + rows * outputs
            self.table.append([line.get(name, 0) for name in stage_table.COLUMNS])
            x = line["y"]
        dscores = self._take(team.program.output_features)
        self.places = (x, dscores, scratch, inputs_place)

    def _take(self, width: int) -> int:
        """The place of `rows` rows of that width; every place begins a cache line of its own."""
        place, self.size = self.size, self.size + rounded(self.rows * width)
        return place


def _columns(stage: Stage, kernels: Kernels) -> dict[str, int]:
    """What a stage's row of the table says wherever the stage is."""
    match stage:
        case Dense(activation=name):
            return {"kind": stage_table.DENSE} | _activation(name, kernels)
        case Activate(activation=name):
            return {"kind": stage_table.ACTIVATE} | _activation(name, kernels)
        case Rescale():
            return {"kind": stage_table.RESCALE, "saves_input": 0}
        case Dropout(layer=layer):
            return {"kind": stage_table.DROPOUT, "saves_input": 0, "layer": layer}
    raise AssertionError(f"{stage} should have been refused by NumbaBackend.supports")


def _activation(name: str, kernels: Kernels) -> dict[str, int]:
    forward, backward = kernels.activations[name]
    return {
        "forward": forward,
        "backward": backward,
        "saves_input": int(registry.activation(name).saves == "input"),
    }


def _pair(stage: Stage) -> tuple[float, float]:
    """The two numbers that a stage has."""
    match stage:
        case Rescale(scale=scale, offset=offset):
            return scale, offset
        case Dropout(rate=rate):
            return rate, 0.0
    return 0.0, 0.0
