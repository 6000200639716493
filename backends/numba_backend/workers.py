"""Teams of workers: their memory, their schedules, and the threads that run them."""

import ctypes
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from dnnkit.backends.aligned import rounded, zeros
from dnnkit.backends.numba_backend.bytecode import Inputs, Purpose, ScheduleKey, assemble, link
from dnnkit.backends.numba_backend.data import BatchSource
from dnnkit.backends.numba_backend.partition import Partition, PartitionedLayout, roles, share, stage_shards
from dnnkit.backends.numba_backend.threads import in_threads
from dnnkit.backends.numba_backend.weights import Weights
from dnnkit.backends.numba_backend.workspace import Activations, WorkspacePlan, new_stages
from dnnkit.backends.program import Dense, HostArray, Program, Stage
from dnnkit.kernels import nonzero_columns
from dnnkit.kernels._engine import batches, interpreter
from dnnkit.kernels._engine.opcodes import Instruction, describe
from dnnkit.kernels._engine.structures import ENDED, LIMIT, LINE, RUN, STOP, WORKER
from dnnkit.kernels.matmul.cpu import fits_tiles

PATIENCE = 400
"""Polls of another thread, some 10 µs in all, before its work is taken over."""


@dataclass(frozen=True)
class Kernels:
    """Addresses of the compiled kernels that a program needs, and their constant arguments."""

    activations: Activations
    loss: int
    update: int
    head: int
    metrics: HostArray
    thresholds: HostArray


@dataclass
class RunRequest:
    """What to run: steps first ... last - 1 over rows in an order."""

    data: BatchSource
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
    """The workers of a partition, for one program and batches of up to `rows` rows."""

    def __init__(
        self, program: Program, stage_list: Sequence[Stage], partition: Partition, rows: int, kernels: Kernels
    ) -> None:
        self.program, self.partition, self.rows, self._kernels = program, partition, rows, kernels
        self._stages = list(stage_list)
        self._features = features = math.prod(program.input_shape)
        self.layout = PartitionedLayout(self._stages, features, partition)
        self._links: dict[ScheduleKey, HostArray] = {}
        self._source: BatchSource | None = None
        self._run = zeros((RUN.layout.itemsize // 8,), "int64").view(RUN.layout)[0]
        workers, outputs = partition.workers, program.output_features
        own_rows = -(-rows // workers) if partition.by == "rows" else rows
        plans = self._plan(own_rows)
        # Everything below is kept here because what compiled code reads are its addresses.
        size = plans[-1].size
        kinds = roles(self._stages, partition)
        shared_inputs = batches.BUFFERS * rounded(rows * features) if "rows" in kinds else 0
        self._memory = zeros((size + shared_inputs,), program.dtype)
        self._masks = np.zeros((workers, max(plan.mask_size for plan in plans)), np.bool_)
        self._tables = new_stages(workers, len(self._stages))
        for worker, plan in enumerate(plans):
            plan.fill(self._tables[worker], self._memory, self._masks[worker])
        exchanged = max(plan.exchanged for plan in plans)
        self._partials = zeros((2, workers, exchanged), program.dtype)
        self._norms = np.zeros((2, workers))
        has_labels = program.loss is None or program.loss.targets == "labels"
        self._target_width = 0 if has_labels else outputs
        self._targets = zeros(
            (workers, own_rows * max(1, self._target_width)), "int64" if has_labels else program.dtype
        )
        self._row_weights = np.ones((workers, own_rows), program.dtype)
        self.gradients = zeros((workers, self.layout.size), program.dtype)
        self._all_rows, self._all_columns = np.arange(own_rows), np.arange(features)
        self._columns = np.zeros((workers, features + nonzero_columns.words(features)), np.int64)
        self._control, self._claimed, self._done = (np.zeros(count * LINE, np.int64) for count in (3, workers, workers))
        self._scratch_place, self._dx_place = (
            plans[0].scratch,
            plans[0].stages[0]["dx"] if self._stages else plans[0].dscores,
        )
        self._workers = zeros((workers, WORKER.layout.itemsize // 8), "int64").view(WORKER.layout)[:, 0]
        self._fill_workers(plans)
        self._fill_run(size)

    def _plan(self, rows: int) -> list[WorkspacePlan]:
        """Each worker's memory, one after the other."""
        plans: list[WorkspacePlan] = []
        for worker in range(self.partition.workers):
            plan = WorkspacePlan(
                self._stages,
                roles(self._stages, self.partition),
                stage_shards(self._stages, self._features, self.partition, worker),
                rows,
                plans[-1].size if plans else 0,
                features=self._features,
                outputs=self.program.output_features,
                itemsize=np.dtype(self.program.dtype).itemsize,
                worker=worker,
                layout=self.layout,
                activations=self._kernels.activations,
            )
            plans.append(plan)
        return plans

    def _fill_workers(self, plans: list[WorkspacePlan]) -> None:
        workers, memory, itemsize = self._workers, address(self._memory), self._memory.itemsize
        workers["number"] = np.arange(len(plans))
        for name, places in {
            "inputs": [plan.inputs for plan in plans],
            "scores": [plan.scores for plan in plans],
            "dscores": [plan.dscores for plan in plans],
            "dz": [plan.scratch for plan in plans],
        }.items():
            workers[name] = memory + np.array(places) * itemsize
        for name, rows in {
            "gradient": self.gradients,
            "stages": self._tables,
            "targets": self._targets,
            "weights": self._row_weights,
        }.items():
            workers[name] = _rows_of(rows)
        for number in range(len(plans)):
            workers[number]["share"], workers[number]["own"], workers[number]["share_end"] = self._shares(number)

    def _fill_run(self, size: int) -> None:
        """What no run changes."""
        run, program, kernels = self._run, self.program, self._kernels
        for name, value in {
            "workers": self.partition.workers,
            "worker": address(self._workers),
            "control": address(self._control),
            "claimed": address(self._claimed),
            "done": address(self._done),
            "by_rows": int(self.partition.by == "rows"),
            "sums_up": int(program.loss is not None and program.loss.reduction == "sum"),
            "seed": program.seed,
            "features": self._features,
            "target_width": self._target_width,
            "words": nonzero_columns.words(self._features),
            "all_rows": address(self._all_rows),
            "shared_inputs": address(self._memory) + size * self._memory.itemsize,
            "partials": address(self._partials),
            "partial_stride": self._partials.strides[1],
            "norms": address(self._norms),
            "outputs": program.output_features,
            "loss": kernels.loss,
            "head": kernels.head,
            "metrics": address(kernels.metrics),
            "thresholds": address(kernels.thresholds),
            "rule": kernels.update,
            "gradients": address(self.gradients),
            "gradient_stride": self.gradients.strides[0],
        }.items():
            run[name] = value

    # -- running -----------------------------------------------------------------------------------------------------

    def stop(self) -> None:
        """Make the running or next run end between two steps."""
        self._control[STOP] = 1

    def clear_stop(self) -> None:
        """Withdraw a request to stop."""
        self._control[STOP] = 0

    def input_gradient(self, rows: int) -> HostArray:
        """dx of the last batch (rows, features), after `differentiate` with first=-1; by one worker."""
        return self._memory[self._dx_place : self._dx_place + rows * self._features].reshape(rows, self._features)

    def key(self, purpose: Purpose, work: RunRequest, first: int) -> ScheduleKey:
        """Which schedule the work needs."""
        data = work.data
        return ScheduleKey(
            purpose,
            first,
            work.clip_norm > 0,
            self._inputs(work),
            data.x.dtype == np.uint8,
            self._target_width == 0,
            data.weights is not None,
            data.bits is not None,
            len(self._kernels.metrics),
            work.one_batch,
        )

    def schedule(self, key: ScheduleKey) -> list[Instruction]:
        """The instructions that each worker follows."""
        return assemble(self._stages, self.partition, key)

    def describe(self, key: ScheduleKey) -> str:
        """The same in words."""
        return describe(self.schedule(key), [str(stage) for stage in self._stages])

    def link(self, key: ScheduleKey) -> HostArray:
        """The same as machine code, compiled now if it is nowhere yet."""
        if key not in self._links:
            self._links[key] = link(self.schedule(key), self.program.dtype)
        return self._links[key]

    def run(
        self, purpose: Purpose, work: RunRequest, numbers: Weights, sums: HostArray, *, first: int = 0, threads: int = 0
    ) -> tuple[int, int]:
        """Run the steps; (the step after the last one that was run, the first step whose loss was no number or -1).

        With `threads` 0 in this thread, else in so many others at most, while this one waits and hears signals.
        Loss and metrics are added to the sums, which `zero_totals` made and `totals` adds up.
        """
        self._load(purpose, work, numbers, sums, self.link(self.key(purpose, work, first)))
        run_workers, run = _entry("run_workers"), address(self._run)
        try:
            if threads:
                crew = min(threads, self.partition.workers)
                patience = PATIENCE if crew > 1 else 0
                in_threads(lambda thread: run_workers(thread, patience, run), crew, self.stop)
            else:
                run_workers(0, 0, run)
        finally:
            self.clear_stop()
        lost = self._workers["nan_step"]
        return int(self._control[LIMIT]), int(lost[lost >= 0].min()) if (lost >= 0).any() else -1

    def _load(self, purpose: Purpose, work: RunRequest, numbers: Weights, sums: HostArray, schedule: HostArray) -> None:
        """Fill what a run changes."""
        run, workers, data = self._run, self._workers, work.data
        for name, array in {
            "schedule": schedule,
            "order": work.order,
            "batch_weights": work.batch_weights,
            "x": data.x,
            "targets": data.targets,
            "weights": data.weights,
            "bits": data.bits,
            "out": work.out,
            "rates": work.rates,
            "constants": work.constants,
        }.items():
            if array is not None:
                run[name] = address(array)
        run["batch_size"], run["row_count"], run["row_limit"] = work.batch_size, len(work.order), len(data.x)
        run["first_step"], run["first_update"], run["clip_norm"] = work.first, work.first_update, work.clip_norm
        run["training"], run["slot_stride"] = int(purpose in ("train", "differentiate")), numbers.slots.shape[-1]
        run["scale"], run["offset"] = data.scale, data.offset
        workers["parameters"], workers["slots"] = _rows_of(numbers.parameters), _rows_of(numbers.slots)
        workers["totals"] = _rows_of(sums)
        workers["place"], workers["step"], workers["nan_step"] = 0, work.first, -1
        workers["columns"] = address(self._all_columns) if data.bits is None else _rows_of(self._columns)
        workers["used"] = self._features
        if data.weights is None:
            self._row_weights.fill(1)
        self._control[LIMIT], self._control[ENDED] = work.last, -1
        self._claimed[...], self._done[...] = 0, 0

    def _inputs(self, work: RunRequest) -> Inputs:
        """What the first stage multiplies: if tiles take it, the columns in use, in place if nothing is converted."""
        rows = min(work.batch_size, self.rows)
        if self.partition.by == "rows":
            rows = -(-rows // self.partition.workers)
        x, first = work.data.x, self._stages[0] if self._stages else None
        fits = fits_tiles.py_func(rows * self._features, self._memory.itemsize)
        if not fits or not isinstance(first, Dense):
            return "gathered"
        converted = x.dtype == np.uint8 or (work.data.scale, work.data.offset) != (1.0, 0.0)
        return "columns" if converted else "in place"

    def zero_totals(self) -> HostArray:
        """Zeros (workers, ...) for loss and metrics, each worker's in a cache line of its own."""
        return np.zeros((self.partition.workers, max(LINE, 1 + len(self.program.metrics))))

    def totals(self, sums: HostArray) -> HostArray:
        """Loss and metrics (1 + metrics,) of all rows."""
        totals: HostArray = self.counted(sums).sum(axis=0)
        return totals

    def counted(self, sums: HostArray) -> HostArray:
        """The sums (workers, 1 + metrics) that add up to the totals: divided by units, each worker sums all rows."""
        return sums[: self.partition.workers if self.partition.by == "rows" else 1, : 1 + len(self.program.metrics)]

    def _shares(self, worker: int) -> tuple[int, int, int]:
        """(start, start of the part that only this worker has, end) of the parameters that a worker updates."""
        if self.partition.by == "rows":
            part = share(self.layout.size, self.partition.workers, worker)
            return part.start, part.start, part.stop
        return 0, self.layout.shared, self.layout.sizes[worker]


def compile_interpreter() -> None:
    """Compile what runs workers, or read it from the cache."""
    _entry("run_workers")


class FewRows:
    """One caller's buffers for predictions of a few rows."""

    def __init__(self, team: WorkerTeam, scale: float, offset: float) -> None:
        self._team = team  # keeps what the run refers to
        self._schedule = team.link(ScheduleKey("predict a few", 0))
        self._address, self._predict = address(team._run), _entry("predict_few")
        team._run["schedule"], team._run["scale"], team._run["offset"] = address(self._schedule), scale, offset
        team._workers["columns"], team._workers["used"] = address(team._all_columns), team._features

    def predict(self, x: HostArray, parameters: HostArray, out: HostArray) -> bool:
        """Predictions of x (rows, features) to out; False, and none, if x is not finite."""
        return bool(self._predict(address(x), len(x), address(parameters), address(out), self._address))


def address(array: Any) -> int:
    """Where an array's first number is."""
    place: int = array.__array_interface__["data"][0]
    return place


def _rows_of(array: HostArray) -> HostArray:
    """The address of each of an array's rows."""
    return address(array) + np.arange(len(array)) * array.strides[0]


@cache
def _entry(name: str) -> Any:
    """One of the interpreter's functions, to be called from Python without its lock."""
    function = interpreter.compiled(name)
    arguments = [ctypes.c_int64] * len(function._sig.args)
    return ctypes.CFUNCTYPE(ctypes.c_bool if name == "predict_few" else None, *arguments)(function.address)
