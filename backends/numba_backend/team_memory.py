"""What the workers of a team own: workspaces, accumulators, and the structures that compiled code reads."""

import ctypes
import math
from typing import Any, Literal

import numpy as np

from dnnkit.backends.aligned import address, rounded, zeros
from dnnkit.backends.numba_backend.partition import Partition, PartitionedLayout, roles, share, stage_shards
from dnnkit.backends.numba_backend.program_kernels import ProgramKernels
from dnnkit.backends.numba_backend.wiring import Wiring
from dnnkit.backends.numba_backend.workspace import WorkspacePlan
from dnnkit.backends.one_function import drawing
from dnnkit.backends.program import Program
from dnnkit.backends.stages import Dense, Dropout
from dnnkit.backends.state import HostArray
from dnnkit.kernels import nonzero_columns
from dnnkit.kernels._engine.opcodes import BUFFERS
from dnnkit.kernels._engine.structures import BOUND, LINE, RUN, WORKER
from dnnkit.kernels._numba.structure import LINE_BYTES
from dnnkit.kernels.matmul.limits import packed_bytes
from dnnkit.kernels.matmul.offer_words import AREA, AREA_BYTES, OFFER_WORDS


class TeamMemory:
    """Memory and structures of the workers of a partition, for one program and batches of up to `rows` rows."""

    def __init__(
        self, program: Program, wiring: Wiring, partition: Partition, rows: int, kernels: ProgramKernels,
        *, trains: bool = True,
    ) -> None:  # fmt: skip
        self.program, self.partition, self.rows, self._kernels = program, partition, rows, kernels
        self._stages, self._wiring, self._trains = list(wiring.stages), wiring, trains
        self._features = features = math.prod(program.input_shape)
        self.layout = PartitionedLayout(self._stages, features, partition, wiring)
        workers = partition.workers
        own_rows = -(-rows // workers) if partition.by == "rows" else rows
        plans = self._plan(own_rows)
        # Everything below is kept alive here, because compiled code holds only addresses.
        kinds = roles(self._stages, partition, wiring)
        shared_inputs = BUFFERS * rounded(rows * features) if "rows" in kinds else 0
        self._memory = zeros((plans[-1].size + shared_inputs,), program.dtype)
        self._masks = np.zeros((workers, max(plan.mask_size for plan in plans)), np.bool_)
        self._tables = [plan.structures(self._memory, self._masks[worker]) for worker, plan in enumerate(plans)]
        self._plans = plans
        dropouts = [(place, stage) for place, stage in enumerate(self._stages) if isinstance(stage, Dropout)]
        self._scheduled = {place: stage for place, stage in dropouts if stage.is_scheduled}
        self._partials = zeros((2, workers, max(plan.exchanged for plan in plans)), program.dtype)
        self._norms = np.zeros((2, workers, max(1, len(program.trainable_parameters))))
        self._segments = self._lay_out()
        self._counted, self._numbers = workers if partition.by == "rows" else 1, program.measured
        self._takes = "labels" if program.loss is None else program.loss.targets
        self._target_width = program.target_width if self._takes == "values" else 0
        kind = program.dtype if self._takes == "values" else "int64"
        self._targets = zeros((workers, own_rows * max(1, self._target_width)), kind)
        self._row_weights = np.ones((workers, own_rows * max(1, len(program.outputs))), program.dtype)
        self.gradients = zeros((workers, self.layout.trained_size), program.dtype)
        self._spares = zeros((workers, self.layout.trained_size if wiring.shares else 0), program.dtype)
        self._parts, part_bytes = kernels.part_structures(own_rows)
        self._part_memory = zeros((workers, part_bytes), "uint8")
        self._all_rows, self._all_columns = np.arange(own_rows), np.arange(features)
        self._columns = np.zeros((workers, max(features + nonzero_columns.words(features), own_rows)), np.int64)
        self._control, self.turns = np.zeros(3 * LINE, np.int64), np.zeros((2, workers * LINE), np.int64)
        self._offers = zeros((workers, OFFER_WORDS), "int64")
        self._packed = self._areas(own_rows)
        self.signals = memoryview(self._control)  # type: ignore[arg-type] # missing in NumPy's stubs
        self._dx_place = plans[0].slope(0)
        self._worker_array = WORKER.new(workers)
        self.workers = list(self._worker_array)  # creates the wrapper objects once
        self.run_structure = RUN.new(1)[0]
        self.run_address = ctypes.addressof(self.run_structure)
        self._fill_workers(plans)
        self._fill_run(plans[-1].size)

    def _areas(self, rows: int) -> HostArray:
        """Allocate memory for packed columns in large products, one area per worker, and tell the offers."""
        size = np.dtype(self.program.dtype).itemsize
        shapes = [(each.kernel.shape[0], each.kernel.shape[1]) for each in self._stages if isinstance(each, Dense)]
        needed = max((packed_bytes(rows, *sizes, size) for sizes in shapes), default=0) if self._trains else 0
        needed = -(-needed // LINE_BYTES) * LINE_BYTES
        areas = zeros((self.partition.workers, needed), "uint8")
        if needed:
            self._offers[:, AREA] = [address(area) for area in areas]
            self._offers[:, AREA_BYTES] = needed
        return areas

    def _plan(self, rows: int) -> list[WorkspacePlan]:
        """Plan the workers' workspaces, one after the other."""
        plans: list[WorkspacePlan] = []
        for worker in range(self.partition.workers):
            plan = WorkspacePlan(
                self._wiring,
                roles(self._stages, self.partition, self._wiring),
                stage_shards(self._stages, self._features, self.partition, worker, self._wiring),
                rows,
                plans[-1].size if plans else 0,
                features=self._features,
                outputs=self.program.output_features,
                itemsize=np.dtype(self.program.dtype).itemsize,
                worker=worker,
                layout=self.layout,
                trains=self._trains,
            )
            plans.append(plan)
        return plans

    def _lay_out(self) -> list[HostArray]:
        """Return, per worker, the layout of its trained parameters: SEGMENTs (parameters, 4)."""
        program, itemsize = self.program, np.dtype(self.program.dtype).itemsize
        numbers = {parameter.name: number for number, parameter in enumerate(program.trainable_parameters)}
        rows: list[list[tuple[int, int, int, int]]] = [[] for _ in range(self.partition.workers)]
        for (worker, name), piece in self.layout.pieces.items():
            if name in numbers:
                place = piece.offset * itemsize, (piece.offset + piece.size) * itemsize
                rows[worker].append((*place, program.group_of.get(name, 0), numbers[name]))
        return [np.array(sorted(each), np.int64).reshape(-1, 4) for each in rows]

    def _fill_workers(self, plans: list[WorkspacePlan]) -> None:
        """Fill the fields of the workers that are the same in all runs."""
        memory, itemsize = address(self._memory), self._memory.itemsize
        for number, (worker, plan) in enumerate(zip(self.workers, plans, strict=True)):
            worker.number, worker.stages = number, ctypes.addressof(self._tables[number])
            worker.share, worker.own, worker.share_end = self._shares(number)
            worker.inputs, worker.dz = memory + plan.inputs * itemsize, memory + plan.scratch * itemsize
            worker.scores, worker.dscores = memory + plan.scores * itemsize, memory + plan.dscores * itemsize
            worker.gradient, worker.targets = address(self.gradients[number]), address(self._targets[number])
            worker.weights, worker.segments = address(self._row_weights[number]), address(self._segments[number])
            worker.dx = memory + plan.slope(0) * itemsize
            worker.spare, worker.parts = address(self._spares[number]), address(self._part_memory[number])
            worker.offer = address(self._offers[number])

    def _fill_run(self, shared_inputs: int) -> None:
        """Fill the other fields that are the same in all runs."""
        run, program = self.run_structure, self.program
        run.workers, run.worker = self.partition.workers, ctypes.addressof(self._worker_array)
        run.control, run.claimed, run.done = (address(array) for array in (self._control, *self.turns))
        run.by_rows = self.partition.by == "rows"
        is_sum = program.loss is None or program.loss.reduction == "sum"
        self._accumulates: Literal["", "means", "sums"] = ""
        if program.accumulation > 1:
            self._accumulates = "sums" if is_sum else "means"
        run.accumulation, run.gradient_sum = program.accumulation, len(program.slots) - 1
        run.sums_up = program.loss is not None and program.loss.reduction == "sum"
        run.seed, run.features, run.outputs = program.seed, self._features, program.output_features
        run.target_width, run.words = self._target_width, nonzero_columns.words(self._features)
        run.all_rows = address(self._all_rows)
        run.shared_inputs = address(self._memory) + shared_inputs * self._memory.itemsize
        run.partials, run.partial_stride = address(self._partials), self._partials.strides[1]
        run.gradients, run.gradient_stride = address(self.gradients), self.gradients.strides[0]
        run.norms, run.norm_count = address(self._norms), self._norms.shape[-1]
        run.parts, run.part_count = ctypes.addressof(self._parts), len(program.outputs)
        run.averages_apart = bool(program.bounds)
        if program.bounds:
            self._bounds = self._bound_structures()
            run.bounds = ctypes.addressof(self._bounds)
        if program.penalties:
            self._penalties, self._penalty_sums = self._penalty_factors(), np.zeros((2, self.partition.workers))
            run.penalty_sums = address(self._penalty_sums)
            run.penalties, run.penalty_stride = address(self._penalties), self._penalties.shape[2]

    def _bound_structures(self) -> Any:
        """Return the constraints; with constraints, the partition gives each worker whole parameters."""
        structures = BOUND.new(len(self.program.bounds))
        for structure, bound in zip(structures, self.program.bounds, strict=True):
            piece = self.layout.pieces[0, bound.parameter]
            structure.start = piece.offset * np.dtype(self.program.dtype).itemsize
            structure.inputs, structure.outputs = piece.shape[0], piece.size // piece.shape[0]
            structure.not_negative = bound.not_negative
            structure.least, structure.most, structure.rate = bound.least, bound.most, bound.rate
        return structures

    def _penalty_factors(self) -> HostArray:
        """Return l1 and l2 of each number that a worker trains, (workers, 2, numbers)."""
        shapes = {parameter.name: parameter.shape for parameter in self.program.trainable_parameters}
        found = zeros((2, self.partition.workers, self.layout.size), self.program.dtype)
        for number, factor in enumerate(("l1", "l2")):
            values = {name: np.zeros(shape, self.program.dtype) for name, shape in shapes.items()}
            for penalty in self.program.penalties:
                values[penalty.parameter] += getattr(penalty, factor)
            self.layout.scatter(values, found[number])
        return np.ascontiguousarray(found.transpose(1, 0, 2))

    def _shares(self, worker: int) -> tuple[int, int, int]:
        """Return (start, start of the exclusive part, end) of the parameters that a worker updates."""
        if self.partition.by == "rows":
            part = share(self.layout.trained_size, self.partition.workers, worker)
            return part.start, part.start, part.stop
        return 0, self.layout.shared, self.layout.trained[worker]

    @property
    def worker(self) -> Any:
        """The structure of the first worker."""
        return self.workers[0]

    def begin_with(self, row: int) -> None:
        """Make stages draw as if the first given row were row `row` of a batch."""
        for place, stage in enumerate(self._stages):
            if drawing(stage) is not None:
                for table in self._tables:
                    table[place].first_output = row * table[place].width

    def input_gradient(self, rows: int) -> HostArray:
        """Return dx of the last batch (rows, features), after `differentiate` with first=-1; one worker only."""
        return self._memory[self._dx_place : self._dx_place + rows * self._features].reshape(rows, self._features)

    def zero_totals(self) -> HostArray:
        """Return zeros (workers, ...) for loss and metrics, with each worker's in separate cache lines."""
        return np.zeros((self.partition.workers, -(-self._numbers // LINE) * LINE))

    def totals(self, sums: HostArray) -> list[float]:
        """Return the sums (measured,) over all rows, added in worker order."""
        if self._numbers > LINE:
            return self._total_of_many(sums)
        totals: list[float] = sums[0, : self._numbers].tolist()
        for worker in range(1, self._counted):  # for few numbers much faster than arrays
            for number, summand in enumerate(sums[worker, : self._numbers].tolist()):
                totals[number] += summand
        return totals

    def loss(self, sums: HostArray) -> float:
        """Return the first of the totals."""
        loss = float(sums[0, 0])
        for worker in range(1, self._counted):
            loss += float(sums[worker, 0])
        return loss

    def _total_of_many(self, sums: HostArray) -> list[float]:
        first, *others = self.counted(sums)
        total = first.copy()
        for summand in others:
            total += summand
        return list(total.tolist())

    def counted(self, sums: HostArray) -> HostArray:
        """Return the sums (workers, measured) that add up to the totals: by units, each worker sums all rows."""
        return sums[: self._counted, : self._numbers]
