"""Teams of workers: the schedules that they run, and the threads that run them."""

import ctypes
from collections.abc import Callable
from operator import is_
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np

from dnnkit.backends.aligned import address
from dnnkit.backends.inspection import part_names
from dnnkit.backends.numba_backend import cost_model
from dnnkit.backends.numba_backend.bytecode import (
    DIFFERENTIATING,
    PENALIZING,
    UNMEASURED,
    Clips,
    Purpose,
    ScheduleKey,
    assemble,
    link,
)
from dnnkit.backends.numba_backend.crew import CREW, PATIENCE, Pace
from dnnkit.backends.numba_backend.partition import Partition
from dnnkit.backends.numba_backend.program_kernels import ProgramKernels
from dnnkit.backends.numba_backend.runs import Batches, Steps, inputs_of
from dnnkit.backends.numba_backend.team_memory import TeamMemory
from dnnkit.backends.numba_backend.threads import in_threads
from dnnkit.backends.numba_backend.weights import Weights
from dnnkit.backends.numba_backend.wiring import Wiring
from dnnkit.backends.program import Program
from dnnkit.backends.stages import Activate, Dense
from dnnkit.backends.state import HostArray
from dnnkit.kernels._engine import calls, opcodes
from dnnkit.kernels._engine.opcodes import Instruction, describe
from dnnkit.kernels._engine.structures import ENDED, LIMIT, STOP
from dnnkit.kernels._native import functions

if TYPE_CHECKING:
    from dnnkit.backends.numba_backend.own_parts import OwnParts

SLICE = 0.05
"""Seconds of compiled code after which Python gets to handle signals."""


class WorkerTeam(TeamMemory):
    """The workers of a partition, which run schedules on batches of up to `rows` rows of one program."""

    def __init__(
        self, program: Program, wiring: Wiring, partition: Partition, rows: int, kernels: ProgramKernels,
        *, trains: bool = True,
    ) -> None:  # fmt: skip
        super().__init__(program, wiring, partition, rows, kernels, trains=trains)
        self._links: dict[ScheduleKey, Any] = {}
        self.prepared: tuple[object, ...] = ()
        """What the last run was prepared for; replaced whenever another run is prepared."""
        self._pace, self._measures = Pace(), False
        """Pace of the runs in which standby threads perhaps pay; whether the prepared run is one of them."""
        self._rows_at_a_time = rows
        self._called: OwnParts | None = None
        """The user-defined parts of the current run."""
        self._shares_of = dict[int, HostArray]()
        """The rates of each of these in the steps of the run, by stage."""
        self._backward_from = len(self._stages)
        """First stage of the longest backward pass so far."""
        self._calls_when_predicting = bool(program.custom_layers)
        calls_any = self._calls_when_predicting or program.custom_measures
        self._own_parts = self._new_own_parts() if calls_any else None

    def _new_own_parts(self) -> "OwnParts":
        """Return the caller of user-defined parts on this team's memory."""
        from dnnkit.backends.numba_backend.own_parts import OwnParts, PartsMemory

        memory = PartsMemory(
            self.workers, self._tables, self._memory, self._targets, self._row_weights, self.gradients, self._spares,
            [self._part_memory[:, structure.seen : structure.seen + 8].view(np.float64) for structure in self._parts],
        )  # fmt: skip
        own = OwnParts(self.program, self._wiring, self.partition, self.layout, memory, self.rows)
        self.run_structure.python = own.address
        return own

    def own_parts(self, purpose: Purpose) -> "OwnParts | None":
        """Return the caller of user-defined parts, if a run for this purpose has any."""
        if purpose == "update":
            return None
        return self._own_parts if purpose not in UNMEASURED or self._calls_when_predicting else None

    def _fill_kernels(self, purpose: Purpose, first: int) -> None:
        """Fill in the addresses of the kernels that a schedule for this purpose calls."""
        run, kernels, trains = self.run_structure, self._kernels, purpose in DIFFERENTIATING
        if purpose in ("train", "update"):
            run.rule, average = kernels.update.address, kernels.average
            run.average = 0 if average is None else average.address
        if purpose == "update":
            return
        if trains:
            self._backward_from = min(self._backward_from, max(first, 0))
        for place, stage in enumerate(self._stages):
            if isinstance(stage, Dense | Activate):
                # Kernels that leave slopes also serve runs without a backward pass.
                goes_back = place >= self._backward_from
                for table in self._tables:
                    table[place].forward = kernels.forward(stage, trains=goes_back).address
                    if trains and goes_back:
                        table[place].backward = kernels.backward(stage).address
        kernels.fill_parts(self._parts, purpose)
        if purpose in ("predict", "predict a few"):
            run.head = kernels.head.address
            return
        run.loss = 0 if kernels.loss is None else kernels.loss.address
        run.metrics = ctypes.addressof(kernels.metric_structures)
        if kernels.makes_predictions:
            run.head = kernels.head.address

    def stop(self) -> None:
        """End the current or next run between two steps."""
        self.signals[STOP] = 1

    def clear_stop(self) -> None:
        """Withdraw a request to stop."""
        self.signals[STOP] = 0

    def key(self, purpose: Purpose, batches: Batches, first: int, *, clips: Clips = "") -> ScheduleKey:
        """Return the key of the schedule for this work."""
        data, program = batches.data, self.program
        metrics = () if purpose == "differentiate" else program.metrics
        has_loss = not program.outputs and (program.loss is None or isinstance(program.loss.kernel, str))
        compiled = tuple(number for number, metric in enumerate(metrics) if isinstance(metric.kernel, str))
        return ScheduleKey(
            purpose,
            first,
            clips=clips,
            bounds=len(program.bounds) if purpose == "train" else 0,
            averages_apart=bool(program.bounds) and program.averages and purpose == "train",
            penalizes=bool(program.penalties) and purpose in PENALIZING,
            inputs=inputs_of(self.program, self._wiring, self.partition, batches),
            bytes=data.x.dtype == np.uint8,
            targets=self._takes,
            weights=data.weights is not None,
            marked=data.bits is not None,
            has_loss=has_loss,
            metrics=() if program.outputs else compiled,
            predictions=bool(compiled) and not program.outputs and self._kernels.makes_predictions,
            own_measures=self._calls_measures(purpose),
            one_batch=batches.is_one,
            accumulates=self._accumulates if purpose == "train" else "",
            parts=self._kernels.parts(compiled),
        )

    def _calls_measures(self, purpose: Purpose) -> bool:
        """Whether a schedule for this purpose calls a user-defined loss or metric."""
        if purpose in UNMEASURED:
            return False
        losses = any(not isinstance(loss.kernel, str) for loss in self.program.losses)
        return losses or (purpose != "differentiate" and any(metric.is_own for metric in self.program.metrics))

    @property
    def key_of_few(self) -> ScheduleKey:
        """Key of the schedule that predicts a few rows."""
        return ScheduleKey("predict a few", 0, parts=self._kernels.parts(()))

    def schedule(self, key: ScheduleKey) -> list[Instruction]:
        """Return the instructions that each worker executes."""
        return assemble(self._stages, self.partition, key, self._wiring)

    def describe(self, key: ScheduleKey) -> str:
        """Return a schedule as text."""
        return describe(self.schedule(key), [name.partition(" ")[0] for name in part_names(self.program, self._stages)])

    def link(self, key: ScheduleKey) -> Any:
        """Return a schedule as machine code, compiled if necessary."""
        if key not in self._links:
            schedule, dtype = self.schedule(key), self.program.dtype
            runs = calls.function_of("predict_few" if key.purpose == "predict a few" else "run_workers", dtype)
            helps = [opcodes.function_of("help_with_product", dtype)] if self.partition.workers > 1 else []
            kernels = self._kernels.needed(self._stages, key.purpose, key.first)
            functions.load([runs, *helps, *opcodes.functions_of(schedule, dtype), *kernels])
            self.run_structure.help = helps[0].address if helps else 0
            self._fill_kernels(key.purpose, key.first)
            self._links[key] = link(schedule, dtype)
        return self._links[key]

    def run(
        self,
        purpose: Purpose,
        batches: Batches,
        steps: Steps,
        numbers: Weights,
        sums: HostArray,
        *,
        first: int = 0,
    ) -> tuple[int, int]:
        """Run the steps; return (one after the last step that was run, first step whose loss was NaN or -1).

        The run uses this thread and standby threads. Ctrl-C is handled in this thread, between two slices.

        Loss and metrics are added to the sums, which `zero_totals` creates and `totals` adds up. An error in a
        user-defined part is raised here, and its step does not count: `outcome` returns which steps do.
        """
        self.prepare(purpose, batches, steps, numbers, sums, first)
        self.run_prepared()
        return self.outcome()

    def run_prepared(self, threads: int = 0) -> None:
        """Run what was prepared; see `run`.

        With `threads` above 0, start that many threads for it and wait, handling signals: for work that cannot be
        divided into slices.
        """
        run, dtype = self.run_address, self.program.dtype
        try:
            if threads:
                run_workers, crew = calls.caller("run_workers", dtype), min(threads, self.partition.workers)
                patience = PATIENCE if crew > 1 else 0
                in_threads(lambda thread: run_workers(thread, patience, run), crew, self.stop)
            else:
                self._run_in_slices(CREW.caller(run, dtype, self.helpers))
        finally:
            self.clear_stop()
        if self._called is not None:
            self._called.end()

    def _run_in_slices(self, call: Callable[[], None]) -> None:
        """Run the steps in calls of about `SLICE` seconds; in between, Python handles signals."""
        signals, worker, begun = self.signals, self.workers[0], perf_counter()
        first = step = worker.step
        last, count = signals[LIMIT], max(1, int(SLICE / cost_model.roughly(self.program, self._rows_at_a_time, 1)))
        while True:
            end = signals[LIMIT] = min(last, step + count)
            start = perf_counter()
            call()
            step = worker.step
            if step < end or end == last or signals[STOP]:
                break
            count = max(1, min(8 * count, int(count * SLICE / max(1e-9, perf_counter() - start))))
            self._begin_again()
        if self._measures and step > first:
            self._pace.note(self.helpers > 0, (perf_counter() - begun) / (step - first))

    def _begin_again(self) -> None:
        """Let workers begin at the first instruction, with their next step."""
        for worker in self.workers:
            worker.place = 0
        self.signals[ENDED] = -1
        self.turns.fill(0)

    def outcome(self) -> tuple[int, int]:
        """Return the result of `run` for the last run, however it ended."""
        done, nan_step = self.workers[0].step, -1
        for worker in self.workers:
            found = worker.nan_step
            if 0 <= found < done and not 0 <= nan_step < found:
                nan_step = found
        return done, nan_step

    def prepare(
        self,
        purpose: Purpose,
        batches: Batches,
        steps: Steps,
        numbers: Weights,
        sums: HostArray,
        first: int,
        *,
        helpers: int | None = None,
    ) -> None:
        """Fill the fields that a run changes and, unless it continues with the same objects, those it reads.

        All objects are kept alive. Up to `helpers` standby threads may join; by default, as many as pay for training.
        """
        given = purpose, first, steps.clips, batches.form, numbers, batches, sums
        if not self.prepared or not all(map(is_, given, self.prepared)):
            if not self.prepared or not all(map(is_, given[:5], self.prepared)):
                self.prepared = ()
                self._prepare(purpose, batches, numbers, first, steps.clips)
            self._fill_rows(batches, sums)
            self.prepared = given  # keeps alive everything they refer to
        run, self._steps, others = self.run_structure, steps, self.partition.workers - 1
        self._measures = False
        if others and helpers is None:
            work = self.program, batches.batch_size, steps.last - steps.first
            helpers = cost_model.helpers(*work)
            if helpers and not cost_model.surely_pays(*work):
                self._measures = True
                helpers = helpers if self._pace.is_shared_next() else 0
        self.helpers = min(others, helpers or 0)
        self._fill_numbers(steps)
        if run.training:
            self._fill_shares(steps)
        run.first_step, run.first_update = steps.first, steps.first_update
        self._rows_at_a_time, self.signals[LIMIT] = batches.batch_size, steps.last
        for worker in self.workers:
            worker.step, worker.nan_step = steps.first, -1
        self._begin_again()
        self._called = self.own_parts(purpose)
        if self._called is not None:
            self._called.begin(purpose, numbers.parameters[0], sums, batches)

    def _fill_numbers(self, steps: Steps) -> None:
        """Fill in the optimizer's numbers for these steps."""
        run, rates, constants, program = self.run_structure, steps.rates, steps.constants, self.program
        run.rates, run.constants = address(rates), address(constants)
        run.clip_norm, run.clip_value = steps.clip_norm, steps.clip_value
        one_by_one = bool(program.groups) or steps.clips == "each"
        run.segments = len(self._segments[0]) if one_by_one else 0
        if rates is None or constants is None:
            return
        run.group_rates = rates.strides[0] if rates.ndim > 1 else 0
        run.group_constants = constants.strides[0]
        run.constant_stride = constants.strides[1] if constants.shape[1] > 1 else 0

    def _fill_shares(self, steps: Steps) -> None:
        """Fill in the rates of scheduled dropouts for these steps."""
        for place, stage in self._scheduled.items():
            updates = range(steps.first_update, steps.first_update + steps.last - steps.first)
            self._shares_of[place] = shares = np.array([stage.rate_at(update) for update in updates], np.float64)
            for table in self._tables:
                table[place].rates = address(shares)

    def _fill_rows(self, batches: Batches, sums: HostArray) -> None:
        """Fill in the rows of a run, in order, and where it adds loss and metrics."""
        run = self.run_structure
        run.row_count, run.order, run.out = len(batches.order), address(batches.order), address(batches.out)
        for number, worker in enumerate(self.workers):
            worker.totals = address(sums[number])

    def _prepare(self, purpose: Purpose, batches: Batches, numbers: Weights, first: int, clips: Clips) -> None:
        """Fill the fields that stay the same between runs on batches of the same form and the same numbers."""
        run, data = self.run_structure, batches.data
        run.schedule = ctypes.addressof(self.link(self.key(purpose, batches, first, clips=clips)))
        run.training = purpose in DIFFERENTIATING
        run.batch_size, run.batch_weights = batches.batch_size, address(batches.batch_weights)
        run.x, run.row_limit, run.scale, run.offset = data.addresses[0], len(data.x), data.scale, data.offset
        _, run.targets, run.weights, run.bits = data.addresses
        run.starts, run.entry_columns = data.entries or (0, 0)
        run.slot_stride = numbers.slots.shape[-1]
        if self.program.averages:
            rule, *_ = self.program.rules
            run.average_slot, run.average_constants = (
                len(rule.slots) * numbers.slots.strides[-2],
                8 * len(rule.hyperparameters),
            )
        if not self._wiring.is_plain:
            for plan in self._plans:
                plan.select_gradients(first, self._memory)
        for number, worker in enumerate(self.workers):
            row = min(number, len(numbers.parameters) - 1)
            worker.parameters = numbers.addresses[0] + row * numbers.parameters.strides[0]
            if number == 1 and numbers.second is not None:
                worker.parameters = address(numbers.second)
            worker.slots = numbers.addresses[1] + min(row, len(numbers.slots) - 1) * numbers.slots.strides[0]
            worker.used = self._features
            is_whole = data.bits is None and data.entries is None
            worker.columns = address(self._all_columns if is_whole else self._columns[number])
        run.weight_width = 1 if data.weights is None or data.weights.ndim == 1 else data.weights.shape[1]
        if data.weights is None:
            self._row_weights.fill(1)
