"""The compiled epoch: a program run by a team of workers, many steps per call."""

from typing import TYPE_CHECKING

import numpy as np

from dnnkit.backends.aligned import address
from dnnkit.backends.inspection import StepParts
from dnnkit.backends.numba_backend import cost_model, inspection
from dnnkit.backends.numba_backend.compiled_hyperparameters import clips_of
from dnnkit.backends.numba_backend.data import BatchSource
from dnnkit.backends.numba_backend.partition import SINGLE
from dnnkit.backends.numba_backend.runs import Batches, Steps
from dnnkit.backends.numba_backend.single_step import SingleStep
from dnnkit.backends.numba_backend.steps import CompiledSteps
from dnnkit.backends.numba_backend.weights import Weights
from dnnkit.backends.numba_backend.workers import WorkerTeam
from dnnkit.backends.program import Program
from dnnkit.backends.stagewise.flat import Data
from dnnkit.backends.stagewise.giant_step import is_giant
from dnnkit.backends.state import EpochSums, HostArray, Hyperparameters, Plan, Totals
from dnnkit.deferred import dataclass
from dnnkit.kernels._engine import calls
from dnnkit.kernels._engine.structures import SCRATCH, STOP
from dnnkit.kernels.compressed_rows import CompressedRows

if TYPE_CHECKING:
    from dnnkit.backends.numba_backend.backend import NumbaBackend

WORTH_COMPILED = 1 << 13
"""Rows drawn so far from which orders are drawn in compiled code: 20 ns less per row, for a function that takes 0.2 ms
to load once.
"""


@dataclass
class Epoch:
    """Data of an epoch, the team that trains on it, and what was measured so far."""

    batches: Batches
    team: WorkerTeam
    sums: HostArray
    rows: int | None
    """Number of rows, if all rows have the same weight."""
    first: int = 0
    """First step that was run."""
    last: int = 0
    """One after the last step that was run; 0 before any."""
    nan_step: int = -1
    before: EpochSums | None = None
    """What was measured before the first step, on other data."""
    offset: int = 0
    """Steps of the epoch before those of this data."""
    single: SingleStep | None = None
    """Fast path for the next step, if the last one was run alone."""
    data: Data | None = None
    """The rows, if they may be the next epoch's, too."""
    execution: str = ""
    """What the state recorded of its partition."""

    def continues(self, data: Data, batch_size: int, execution: str) -> bool:
        """Whether an epoch of these rows can be trained by this one's team."""
        return self.data is data and self.batches.batch_size == batch_size and self.execution == execution

    @property
    def weight(self) -> float:
        """Sum of the row weights of the steps that were run."""
        first, last, size = self.first, self.last, self.batches.batch_size
        # Added one by one, so that the sum does not depend on where an epoch was interrupted.
        if self.before is not None:
            weights = self.batches.batch_weights[first:last]
            return float(np.add.accumulate([self.before.weight, *weights])[-1])
        if self.rows is None:
            return float(self.batches.batch_weights[first:last].sum())
        return float(min(last * size, self.rows) - first * size)


class NumbaExecutable(CompiledSteps):
    """Compiled executable of a program all of whose parts have compiled kernels."""

    epoch: Epoch
    api_version = 2

    def __init__(self, backend: "NumbaBackend", program: Program, plan: Plan) -> None:
        super().__init__(backend, program, plan)
        self._prepared: set[tuple[object, ...]] = set()
        """Compiled schedules, by purpose, partition, rows per batch, clipping, and form of the data."""
        self._is_given_up = False
        self._rows_drawn = 0
        self.signals_of_many: memoryview | None = None
        """Its control words while it is trained as one of many."""

    def prepare(  # noqa: D102
        self, data: Data, batch_size: int, hyperparameters: Hyperparameters, held_out: Data | None = None
    ) -> None:
        rows, clips = min(batch_size, len(data)), clips_of(hyperparameters)
        partition = self._choose_partition(data, rows)
        train = "train", partition, rows, clips, _form(data)
        if train not in self._prepared:
            team, batches = self._team(partition, rows), Batches(self._source(data), np.arange(rows), rows, np.zeros(0))
            team.link(team.key("train", batches, self.first_trained, clips=clips))
            self._prepared.add(train)
        if held_out is None:
            return
        partition, rows = self._reading_partition(held_out, batch_size, calls=self._calls_any)
        evaluate = "evaluate", partition, rows, False, _form(held_out)
        if evaluate not in self._prepared:
            batches = Batches(self._source(held_out), np.arange(rows), rows, np.zeros(0))
            with self._reading_team(partition, rows) as team:
                team.link(team.key("evaluate", batches, 0))
            self._prepared.add(evaluate)

    # -- one of many networks ------------------------------------------------------------------------------------------

    def is_one_of_many(self, data: Data, batch_size: int) -> bool:
        """Whether a single thread can train it as in `kernels/_engine/many.py`, which excludes user-defined parts."""
        if self._calls_any or self.program.has_scheduled_dropout or is_giant(self._layout.size, batch_size):
            return False
        return self._choose_partition(data, min(batch_size, len(data))) == SINGLE

    def new_team(self, rows: int, *, trains: bool) -> WorkerTeam:
        """Return a new single-worker team for batches of up to `rows` rows."""
        return self._new_team(SINGLE, rows, trains=trains)

    def source(self, data: Data) -> BatchSource:
        """Return the data as opcodes read them."""
        return self._source(data)

    def sums_of_weights(self, data: Data, order: HostArray, batch_size: int) -> HostArray:
        """Return the sum of the row weights of each batch."""
        return self._weight_sums(data, order, batch_size)

    def begin_many(self, execution: str) -> Weights:
        """Return the numbers to be trained by one worker, run by the caller, which records `execution`."""
        self.state.execution = execution
        self._giant_step.wait()
        self._is_given_up = False
        self._record_partition(SINGLE)
        return self._homes.flat_to_write()

    def steps_of(self, first: int, count: int, hyperparameters: Hyperparameters) -> Steps:
        """Return `count` steps with the numbers that the optimizer needs."""
        return self._hyperparameters.steps(first, first + count, self.state.step, hyperparameters)

    def rows_to_evaluate(self, data: Data, batch_size: int) -> int:
        """Return how many rows at a time `evaluate` computes with one worker."""
        return self._reading_partition(data, batch_size, calls=False)[1]

    # -- epochs --------------------------------------------------------------------------------------------------------

    def begin_epoch(self, data: Data, order: HostArray, batch_size: int) -> None:  # noqa: D102
        size, last = min(batch_size, len(order)), self.epoch
        self._giant_step.wait()
        if last is not None and last.continues(data, size, self.state.execution):
            self._training = team = last.team
        else:
            partition = self._choose_partition(data, size)
            self.state.execution = cost_model.record(partition, size)
            self._training = team = self._team(partition, size)
            self._record_partition(partition)
        team.clear_stop()
        self._is_given_up = False
        batches = self._batches(data, np.ascontiguousarray(order, np.int64), batch_size)
        rows = len(order) if data.host_weights is None else None
        self.epoch = Epoch(batches, team, team.zero_totals(), rows, data=data, execution=self.state.execution)

    def _batches(self, data: Data, order: HostArray, batch_size: int) -> Batches:
        """Return the batches of an epoch: those of the last one, in another order, if they are otherwise the same."""
        size, is_one, last = min(batch_size, len(order)), _is_one_batch(order, batch_size), self.epoch
        if last is not None and last.data is data and data.host_weights is None:
            before = last.batches
            if (len(before.order), before.batch_size, before.is_one) == (len(order), size, is_one):
                return before.in_order(order)
        return Batches(self._source(data), order, size, self._weight_sums(data, order, batch_size), is_one=is_one)

    def permutation(self, entropy: HostArray, rows: int) -> HostArray:  # noqa: D102
        self._rows_drawn += rows
        if self._rows_drawn < WORTH_COMPILED:
            return super().permutation(entropy, rows)
        order, scratch = np.empty(rows, np.int64), np.empty(SCRATCH, np.int64)
        permute, words = calls.caller("permute", self.program.dtype), np.ascontiguousarray(entropy, np.int64)
        permute(address(order), rows, address(words), len(words), address(scratch))
        return order

    def run_steps(self, first: int, last: int, hyperparameters: Hyperparameters) -> int:  # noqa: D102
        epoch = self.epoch
        team, single = epoch.team, epoch.single
        self._training = team
        self._giant_step.wait()
        if single is not None and last == first + 1 and single.accepts(hyperparameters, self._homes.writing):
            try:
                single.run(first, self.state.step)
            finally:
                done = self._note(first, *team.outcome())
            return done
        rows = epoch.batches.batch_size
        if is_giant(self._layout.size, rows):  # one step at a time, so that an interruption loses at most one step
            return self._note(first, *self._run_giant(first, first + 1, hyperparameters))
        self.prepare_steps(first, last, hyperparameters)
        numbers, can_repeat = self._homes.writing, last == first + 1 and not self._calls_any
        epoch.single = SingleStep(team, hyperparameters, numbers) if can_repeat and numbers else None
        try:
            self._run(team, rows)
        finally:  # user-defined errors and Ctrl-C are raised only after complete steps
            done = self._note(first, *team.outcome())
        return done

    def _note(self, first: int, done: int, nan_step: int) -> int:
        """Record that the steps before `done` were run; return `done`."""
        epoch = self.epoch
        self.state.step += done - first
        if epoch.last == 0:
            epoch.first = first
        epoch.last = done
        if epoch.nan_step < 0 <= nan_step:
            epoch.nan_step = epoch.offset + nan_step
        return done

    def prepare_steps(
        self,
        first: int,
        last: int,
        hyperparameters: Hyperparameters,
        numbers: Weights | None = None,
        sums: HostArray | None = None,
    ) -> None:
        """Prepare the team for steps of this epoch; they change the given numbers and sums (default: its own)."""
        epoch, steps = self.epoch, self._hyperparameters.steps(first, last, self.state.step, hyperparameters)
        numbers = self._homes.to_write(epoch.team.partition, epoch.team.layout) if numbers is None else numbers
        epoch.team.prepare(
            "train", epoch.batches, steps, numbers, epoch.sums if sums is None else sums, self.first_trained
        )

    def _run_giant(self, first: int, last: int, hyperparameters: Hyperparameters) -> tuple[int, int]:
        """Like `run_steps`, on copies that then replace the originals, as a compiled step changes its numbers early."""
        team, rows = self.epoch.team, self.epoch.batches.batch_size
        numbers = self._homes.to_write(team.partition, team.layout)
        own, sums, outcome = numbers.copy(), self.epoch.sums.copy(), (first, -1)

        def run() -> None:
            nonlocal outcome
            self.prepare_steps(first, last, hyperparameters, own, sums)
            self._run(team, rows)
            if self._giant_step.may_change():
                numbers.take(own)
                self.epoch.sums[...] = sums
                outcome = team.outcome()

        self._giant_step.run(run, lambda: self._is_given_up)
        self._is_given_up = False
        return outcome

    def give_up(self) -> None:  # noqa: D102
        self._is_given_up = True
        self.request_stop()

    def request_stop(self) -> None:  # noqa: D102
        if self.signals_of_many is not None:
            self.signals_of_many[STOP] = 1
        elif self._training is not None:
            self._training.stop()

    def totals(self) -> Totals:  # noqa: D102
        epoch = self.epoch
        return self._read_totals(epoch.team.totals(epoch.sums), epoch.weight, epoch.nan_step)

    def sums(self) -> EpochSums | None:  # noqa: D102
        epoch = self.epoch
        if epoch is None:
            return self.state.sums
        rows = epoch.team.counted(epoch.sums)
        first = epoch.first if epoch.before is None else epoch.before.first
        return EpochSums(first, epoch.weight, tuple(tuple(row) for row in rows.tolist()), epoch.nan_step)

    def go_on_from(self, sums: EpochSums) -> None:  # noqa: D102
        epoch = self.epoch
        epoch.first, epoch.last, epoch.nan_step = sums.first, self.state.position, sums.nan_step
        rows = epoch.team.counted(epoch.sums)
        if len(rows) == len(sums.sums):
            rows[...] = sums.sums
        else:  # sums of another partition
            rows[0] = sums.total

    def turn_to(  # noqa: D102
        self, data: Data, order: HostArray, batch_size: int, sums: EpochSums | None, step: int = 0
    ) -> None:
        super().turn_to(data, order, batch_size, sums, step)
        epoch = self.epoch
        epoch.offset, epoch.first, epoch.last, epoch.before = self.state.position - step, step, step, sums

    def step_parts(self, data: Data, order: HostArray, batch_size: int) -> StepParts:  # noqa: D102
        return inspection.step_parts(self, data, order, batch_size)


def _form(data: Data) -> tuple[object, ...]:
    """Return what a schedule depends on in the data."""
    return data.x.dtype, data.weights is None, data.bits is None, isinstance(data.x, CompressedRows)


def _is_one_batch(order: HostArray, batch_size: int) -> bool:
    """Whether there are several steps, all with the same rows in the same order."""
    if len(order) <= batch_size or len(order) % batch_size:
        return False
    # The first rows of the first two batches are compared first: they nearly always differ.
    return bool(order[0] == order[batch_size]) and np.array_equal(order[batch_size:], order[:-batch_size])
