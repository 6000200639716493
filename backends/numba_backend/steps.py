"""Gradients and updates outside an epoch: for users' loops, ranks, L-BFGS and derivatives."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from dnnkit.backends.aligned import Lending, address
from dnnkit.backends.executable import Executable, Gradients
from dnnkit.backends.numba_backend import cost_model
from dnnkit.backends.numba_backend.bytecode import Purpose
from dnnkit.backends.numba_backend.compiled_hyperparameters import CompiledHyperparameters, clips_of
from dnnkit.backends.numba_backend.one_batch import OneBatch
from dnnkit.backends.numba_backend.partition import SINGLE, Partition
from dnnkit.backends.numba_backend.readers import TEAMS, CompiledReader
from dnnkit.backends.numba_backend.runs import Batches, Steps
from dnnkit.backends.numba_backend.shared_update import SharedUpdate
from dnnkit.backends.numba_backend.workers import WorkerTeam
from dnnkit.backends.processors import usable
from dnnkit.backends.program import Program
from dnnkit.backends.stages import first_trained
from dnnkit.backends.stagewise.flat import Data
from dnnkit.backends.stagewise.giant_step import is_giant
from dnnkit.backends.state import HostArray, Hyperparameters, Plan, Snapshot
from dnnkit.kernels.array import Array
from dnnkit.kernels.optimizer_step.reference import AVERAGE

if TYPE_CHECKING:
    from dnnkit.backends.numba_backend.all_rows import AllRows
    from dnnkit.backends.numba_backend.backend import NumbaBackend
    from dnnkit.backends.numba_backend.batch_part import BatchPart
    from dnnkit.backends.numba_backend.iterations import CompiledIterations

BYTE = np.dtype(np.uint8)


class CompiledSteps(CompiledReader):
    """Adds steps on single batches to a reader: gradients, updates, and both in one call."""

    def __init__(self, backend: "NumbaBackend", program: Program, plan: Plan) -> None:
        super().__init__(backend, program, plan)
        self.first_trained = first_trained(self._stages)
        self._teams: dict[tuple[Partition, int], WorkerTeam] = {}
        self._partitions: dict[tuple[object, ...], Partition] = {}
        """Chosen partitions, by everything they depend on."""
        self._training: WorkerTeam | None = None
        """The team of the current epoch."""
        self._hyperparameters = CompiledHyperparameters(program)
        self._one_batches: dict[tuple[object, ...], OneBatch] = {}
        self._parts: dict[int, BatchPart] = {}
        self._all_rows: AllRows | None = None
        self._differentiating: tuple[int, CompiledIterations] | None = None
        self._updates: SharedUpdate | None = None
        self._lent_gradients = Lending(lambda: self._trained.empty(program.dtype))

    # -- teams and partitions ------------------------------------------------------------------------------------------

    def _team(self, partition: Partition, rows: int) -> WorkerTeam:
        """Return the team that trains on batches of up to `rows` rows."""
        key = partition, rows
        if key not in self._teams:
            if len(self._teams) >= TEAMS:
                self._teams.pop(next(key for key, team in self._teams.items() if team is not self._training))
            self._teams[key] = team = self._new_team(partition, rows, trains=True)
            if (own_parts := team.own_parts("train")) is not None:
                own_parts.before_call = self._homes.changed
        return self._teams[key]

    def _choose_partition(self, data: Data, rows: int) -> Partition:
        """Return the partition for batches of `rows` rows."""
        on = rows, self.state.execution, cost_model.asked(), usable(self.program.num_threads)
        if on not in self._partitions:
            features = int(data.x.shape[1])
            choice = cost_model.choose_partition(self.program, self.wiring, features, rows, self.state.execution)
            self._partitions[on] = choice
        return self._partitions[on]

    def _record_partition(self, partition: Partition) -> None:
        """Record the partition in the plan."""
        if self.plan.details.get("partition") != str(partition):
            self.plan = replace(self.plan, details={**self.plan.details, "partition": str(partition)})

    def _run(self, team: WorkerTeam, rows: int, threads: int = 0) -> None:
        """Run what the team was prepared for."""
        if not self._calls_any:
            team.run_prepared(threads)
            return
        with self._own_bound(rows):
            try:
                team.run_prepared(threads)
            finally:
                self._homes.changed()

    def restore(self, snapshot: Snapshot) -> None:  # noqa: D102
        super().restore(snapshot)
        self._one_batches.clear()  # the restored state may require another partition

    # -- gradients -----------------------------------------------------------------------------------------------------

    def gradients(self, data: Data, *, with_input: bool = False) -> Gradients:  # noqa: D102
        rows, order = len(data), np.arange(len(data))
        weights = self._weight_sums(data, order, rows)
        team, first = self._team(SINGLE, rows), -1 if with_input else self.first_trained
        batches, steps = Batches(self._source(data), order, rows, weights), Steps(0, 1, self.state.step)
        sums, numbers = team.zero_totals(), self._homes.whole(self._parameters)

        def run() -> None:
            with self._own_bound(rows):
                team.run("differentiate", batches, steps, numbers, sums, first=first)

        if is_giant(self._layout.size, rows):
            self._giant_step.run(run, lambda: False)
        else:
            self._giant_step.wait()
            run()
        loss = self._read_totals(team.totals(sums), float(weights[0]), -1).mean_loss
        dx = team.input_gradient(rows) * self._rescale.scale if with_input else None
        return Gradients(loss, self._trained.views(team.gradients[0], np), dx)

    def derivatives(self, data: Data, source: Executable) -> HostArray | None:  # noqa: D102
        if self._calls_layers:  # a custom layer's backward pass consumes its saved arrays, so it can run only once
            return None
        from dnnkit.backends.numba_backend.derivatives import derivatives

        self._giant_step.wait()
        numbers = self._homes.whole(self._flat_of(source))
        return derivatives(self.program, self.wiring, self._source(data), numbers, self._team)

    @property
    def flat_parameters(self) -> HostArray:
        """All parameters, flat, up to date, read-only."""
        return self._parameters

    def iterations(self, pairs: int, rows: int) -> "CompiledIterations":  # noqa: D102
        from dnnkit.backends.numba_backend.iterations import CompiledIterations

        return CompiledIterations(self, pairs, lambda data: self._rows_of(data, rows), self._trained, self._layout.size)

    def _rows_of(self, data: Data, rows: int) -> "AllRows":
        """Return the data's rows in chunks of `rows`."""
        from dnnkit.backends.numba_backend.all_rows import AllRows

        self._giant_step.wait()
        kept, rows = self._all_rows, min(rows, len(data))
        if kept is None or kept.data is not data or kept.rows != rows:
            partition = cost_model.partition_of_gradients(self.program, self.wiring, int(data.x.shape[1]), rows)
            team, source = self._team(partition, rows), self._source(data)
            kept = self._all_rows = AllRows(data, self.weight(data), source, rows, team, self.first_trained, self._run)
        return kept

    def differentiate_all(  # noqa: D102
        self, data: Data, numbers: HostArray, rows: int, is_wanted: Callable[[], bool]
    ) -> tuple[float, HostArray] | None:
        kept = self._differentiating
        if kept is None or kept[0] != rows:
            kept = self._differentiating = rows, self.iterations(0, rows)
        return kept[1].evaluate(data, numbers) if is_wanted() else None

    # -- batches of a user's loop --------------------------------------------------------------------------------------

    def train_batch(self, x: Any, y: Any, hyperparameters: Hyperparameters) -> float | None:  # noqa: D102
        batch = self._one_batch("train", x)
        if batch is None or not batch.take(x, y):
            return None
        self._giant_step.wait()
        team = batch.team
        steps = self._hyperparameters.steps(0, 1, self.state.step, hyperparameters)
        self.state.execution = cost_model.record(team.partition, len(x))
        self._record_partition(team.partition)
        loss = batch.train(steps, hyperparameters, self._homes.to_write(team.partition, team.layout))
        self.state.step += 1
        return loss

    def differentiate_batch(self, x: Any, y: Any) -> Gradients | None:  # noqa: D102
        # Custom layers write to the team's own gradient.
        batch = None if self._calls_layers else self._one_batch("differentiate", x)
        if batch is None or not batch.take(x, y):
            return None
        self._giant_step.wait()
        gradient = self._lent_gradients.array()
        numbers = self._homes.to_differentiate(batch.team.partition.workers)
        loss = batch.differentiate(Steps(0, 1, self.state.step), numbers, gradient)
        return Gradients(loss, self._trained.views(gradient, np), None)

    def _one_batch(self, purpose: Purpose, x: Any) -> OneBatch | None:
        """Return the fast path for batches like x, created on first use; None if x is not a plain array of samples.

        The partition stays that of the first batch.
        """
        if type(x) is not np.ndarray or x.shape[1:] != self.program.input_shape or x.dtype.kind not in "iuf":
            return None
        if self._class_columns:  # class numbers are checked when data are loaded
            return None
        if self.program.outputs:  # targets of several outputs are checked one by one
            return None
        rows, is_bytes = len(x), x.dtype == BYTE
        if not rows or is_giant(self._layout.size, rows):
            return None
        key = purpose, rows, is_bytes
        if key not in self._one_batches:
            data = self.load(x, None, None)
            if purpose == "train":
                partition = self._choose_partition(data, rows)
            else:
                features = int(data.x.shape[1])
                partition = cost_model.partition_of_gradients(self.program, self.wiring, features, rows)
            team, marks = self._team(partition, rows), data.bits is not None
            if len(self._one_batches) >= TEAMS:
                self._one_batches.pop(next(iter(self._one_batches)))
            self._one_batches[key] = OneBatch(
                team, rows, self._rescale, self.first_trained, self._run, is_bytes=is_bytes, marks=marks
            )
        return self._one_batches[key]

    def differentiate_part(  # noqa: D102
        self, data: Data, rows: HostArray, first: int, weight: float, out: HostArray
    ) -> list[float]:
        self._giant_step.wait()
        return self._part(data, len(rows)).differentiate(rows, first, weight, self.state.step, self._parameters, out)

    def _part(self, data: Data, rows: int) -> "BatchPart":
        """Return the runner for parts of `rows` rows of the data, created on first use."""
        from dnnkit.backends.numba_backend.batch_part import BatchPart

        kept = self._parts.get(rows)
        if kept is None or kept.data is not data:
            partition = SINGLE
            if (self.program.num_threads or 1) > 1:
                features = int(data.x.shape[1])
                partition = cost_model.partition_of_gradients(self.program, self.wiring, features, rows)
            if kept is None and len(self._parts) >= TEAMS:
                self._parts.pop(next(iter(self._parts)))
            team, source = self._team(partition, rows), self._source(data)
            kept = BatchPart(data, source, rows, team, self.first_trained, self._homes.whole, self._run)
            self._parts[rows] = kept
        return kept

    # -- updates -------------------------------------------------------------------------------------------------------

    def write_trained(self, numbers: HostArray) -> None:  # noqa: D102
        self._homes.flat_to_write().parameters[0, : self._trained.size] = numbers

    def update(self, gradients: Mapping[str, Array], hyperparameters: Hyperparameters) -> None:  # noqa: D102
        clips, together = clips_of(hyperparameters), self.program.accumulation
        # These change the gradient; the given arrays belong to the user.
        changes = clips or hyperparameters.clip_value is not None or together > 1
        place = None if changes else self._trained.flat_address(gradients)
        if place is None:
            flat = self._trained.flatten(gradients, self.program.dtype, out=self._gradient)
            if self.program.accumulation > 1:
                flat = self._accumulate(flat)
                if (self.state.step + 1) % self.program.accumulation:
                    self.state.step += 1
                    return
            if hyperparameters.clip_norm is not None:
                flat = self._backend.clip_norm(flat, hyperparameters.clip_norm)
            elif hyperparameters.clip_each is not None:
                for part in (self._trained.part(flat, name) for name in self._trained.names):
                    self._backend.clip_norm(part, hyperparameters.clip_each, out=part)
            place = address(flat)
        self._giant_step.wait()
        steps = self._hyperparameters.steps(0, 1, self.state.step, hyperparameters, is_clipped=True)
        self._shared_update().run(place, steps, hyperparameters, self._homes.flat_to_write())
        for bound in self.program.bounds:
            value = self._layout.view(self._parameters, bound.parameter, np)
            value[...] = self._regularization.constrain(value, bound)
        if self.program.bounds and self.program.averages:  # running means are taken after the constraints
            self._average(hyperparameters.at(0))
        self.state.step += 1

    def _average(self, hyperparameters: Hyperparameters) -> None:
        """Update the running means of the parameters from their current values."""
        numbers, update = self._homes.flat_to_write(), self.state.step // self.program.accumulation + 1
        trained, slot = numbers.parameters[0, : self._trained.size], numbers.slots[0, self._slot_names.index("average")]
        rate, constants = float(hyperparameters.learning_rates[0]), hyperparameters.numbers(AVERAGE)
        _, (made,) = self._backend.update(AVERAGE, update, trained.copy(), slot, [slot.copy()], rate, *constants)
        slot[...] = made

    def _accumulate(self, gradient: HostArray) -> HostArray:
        """Return the sum of the gradients accumulated so far for the next update."""
        self._giant_step.wait()
        total: HostArray = self._homes.flat_to_write().slots[0, -1]
        place = self.state.step % self.program.accumulation
        self._backend.accumulate(total, gradient, self.program.summand, is_first=place == 0)  # in place
        return total

    def _shared_update(self) -> SharedUpdate:
        """Return the update shared by the threads that the network may use."""
        threads = usable(self.program.num_threads)
        if self._updates is None or self._updates.threads != threads:
            self._updates = SharedUpdate(self._new_team(Partition("rows", threads), threads, trains=True))
        return self._updates
