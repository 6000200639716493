"""The compiled epoch: a program run by a team of workers, many steps in one call."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from dnnkit.backends.aligned import address
from dnnkit.backends.executable import Gradients
from dnnkit.backends.inspection import StepParts
from dnnkit.backends.numba_backend import cost_model, inspection
from dnnkit.backends.numba_backend.data import BatchSource
from dnnkit.backends.numba_backend.partition import SINGLE, Partition
from dnnkit.backends.numba_backend.readers import TEAMS, CompiledReader
from dnnkit.backends.numba_backend.weights import Weights
from dnnkit.backends.numba_backend.workers import RunRequest, WorkerTeam
from dnnkit.backends.program import (
    EpochSums,
    HostArray,
    Hyperparameters,
    Plan,
    Program,
    Totals,
    stage_parameters,
)
from dnnkit.backends.stagewise.flat import Data
from dnnkit.backends.stagewise.giant_step import is_giant
from dnnkit.kernels.array import Array

if TYPE_CHECKING:
    from dnnkit.backends.numba_backend.backend import NumbaBackend


@dataclass
class Epoch:
    """The data of an epoch, who trains on them, and what was measured so far."""

    data: BatchSource
    order: HostArray
    batch_size: int
    batch_weights: HostArray
    is_one_batch: bool
    team: WorkerTeam
    sums: HostArray
    span: tuple[int, int] = (0, 0)
    """The first step that was run, and the one after the last."""
    nan_step: int = -1

    @property
    def weight(self) -> float:
        """The sum of the row weights of the steps that were run."""
        return float(self.batch_weights[slice(*self.span)].sum())


class NumbaExecutable(CompiledReader):
    """A program whose every part has a compiled kernel."""

    epoch: Epoch

    def __init__(self, backend: "NumbaBackend", program: Program, plan: Plan) -> None:
        super().__init__(backend, program, plan)
        trained = [index for index, stage in enumerate(self._stages) if stage_parameters(stage)]
        self.first_trained = trained[0] if trained else len(self._stages)
        self._teams: dict[tuple[Partition, int], WorkerTeam] = {}
        self._training: WorkerTeam | None = None
        self._prepared: set[tuple[object, ...]] = set()
        """Schedules that are compiled, by purpose, partition, rows per batch, clipping, and kind of data."""
        self._is_given_up = False

    # -- teams -------------------------------------------------------------------------------------------------------

    def _team(self, partition: Partition, rows: int) -> WorkerTeam:
        """The team that trains on batches of up to so many rows."""
        key = partition, rows
        if key not in self._teams:
            if len(self._teams) >= TEAMS:
                self._teams.pop(next(key for key, team in self._teams.items() if team is not self._training))
            self._teams[key] = team = self._new_team(partition, rows)
            if (own_parts := team.own_parts("train")) is not None:
                own_parts.before_call = self._homes.changed
        return self._teams[key]

    def prepare(  # noqa: D102
        self, data: Data, batch_size: int, hyperparameters: Hyperparameters, held_out: Data | None = None
    ) -> None:
        rows, clip = min(batch_size, len(data)), hyperparameters.clip_norm or 0.0
        partition = self._choose_partition(data, rows)
        train = "train", partition, rows, clip > 0, _form(data)
        if train not in self._prepared:
            work = RunRequest(self._source(data), np.arange(rows), rows, np.zeros(0), 0, 0, clip_norm=clip)
            team = self._team(partition, rows)
            team.link(team.key("train", work, self.first_trained))
            self._prepared.add(train)
        if held_out is None:
            return
        partition, rows, _ = self._reading_partition(held_out, batch_size, calls=self._calls_any)
        evaluate = "evaluate", partition, rows, False, _form(held_out)
        if evaluate not in self._prepared:
            work = RunRequest(self._source(held_out), np.arange(rows), rows, np.zeros(0), 0, 0)
            with self._reading_team(partition, rows) as team:
                team.link(team.key("evaluate", work, 0))
            self._prepared.add(evaluate)

    # -- training ----------------------------------------------------------------------------------------------------

    def _choose_partition(self, data: Data, rows: int) -> Partition:
        """For batches of so many rows."""
        features = int(data.x.shape[1])
        return cost_model.choose_partition(self.program, self._stages, features, rows, self.state.execution)

    def begin_epoch(self, data: Data, order: HostArray, batch_size: int) -> None:  # noqa: D102
        size = min(batch_size, len(order))
        partition = self._choose_partition(data, size)
        self.state.execution = cost_model.record(partition, size)
        self._giant_step.wait()
        self._training = team = self._team(partition, size)
        team.clear_stop()
        self._is_given_up = False
        order = np.ascontiguousarray(order, np.int64)
        weights, is_one_batch = self._weight_sums(data, order, batch_size), _is_one_batch(order, batch_size)
        self.epoch = Epoch(self._source(data), order, size, weights, is_one_batch, team, team.zero_totals())
        if self.plan.details.get("partition") != str(partition):
            self.plan = replace(self.plan, details={**self.plan.details, "partition": str(partition)})

    def run_steps(self, first: int, last: int, hyperparameters: Hyperparameters) -> int:  # noqa: D102
        epoch = self.epoch
        giant = is_giant(self._layout.size, epoch.batch_size)
        last = first + 1 if giant else last  # whoever leaves it loses one step at most
        work, numbers = self.request(first, last, hyperparameters)
        self._training = epoch.team
        threads = cost_model.threads(self.program, epoch.batch_size, last - first)
        if giant:
            done, nan_step = self._run_giant(work, numbers, threads)
            return self._note(first, done, nan_step)
        self._giant_step.wait()
        try:
            self._run(work, numbers, epoch.sums, threads)
        finally:  # whatever is raised, by an own part or by Ctrl-C, is raised after whole steps
            done = self._note(first, *epoch.team.outcome())
        return done

    def _note(self, first: int, done: int, nan_step: int) -> int:
        """Note that the steps before `done` were run; returns that."""
        epoch = self.epoch
        self.state.step += done - first
        epoch.span = (first if epoch.span == (0, 0) else epoch.span[0], done)
        if epoch.nan_step < 0:
            epoch.nan_step = nan_step
        return done

    def request(self, first: int, last: int, hyperparameters: Hyperparameters) -> tuple[RunRequest, Weights]:
        """Steps of the running epoch, as its team takes them, and the numbers that it will change."""
        epoch = self.epoch
        work = RunRequest(
            epoch.data,
            epoch.order,
            epoch.batch_size,
            epoch.batch_weights,
            first,
            last,
            self.state.step,
            hyperparameters.learning_rates,
            self._constants(hyperparameters),
            hyperparameters.clip_norm or 0.0,
            one_batch=epoch.is_one_batch,
        )
        return work, self._homes.to_write(epoch.team.partition, epoch.team.layout)

    def _run(self, work: RunRequest, numbers: Weights, sums: HostArray, threads: int) -> tuple[int, int]:
        with self._own_bound(work.batch_size):
            try:
                return self.epoch.team.run("train", work, numbers, sums, first=self.first_trained, threads=threads)
            finally:
                self._homes.changed()

    def _run_giant(self, work: RunRequest, numbers: Weights, threads: int) -> tuple[int, int]:
        """As `_run`, on copies that take the place of what they copied: the compiled step writes to them early."""
        own, sums, outcome = numbers.copy(), self.epoch.sums.copy(), (work.first, -1)

        def run() -> None:
            nonlocal outcome
            found = self._run(work, own, sums, threads)
            if self._giant_step.may_change():
                numbers.take(own)
                self.epoch.sums[...] = sums
                outcome = found

        self._giant_step.run(run, lambda: self._is_given_up)
        self._is_given_up = False
        return outcome

    def give_up(self) -> None:  # noqa: D102
        self._is_given_up = True
        self.request_stop()

    def _constants(self, hyperparameters: Hyperparameters) -> HostArray:
        assert self._rule is not None
        return np.array([hyperparameters.constants[name] for name in self._rule.hyperparameters], np.float64)

    def request_stop(self) -> None:  # noqa: D102
        if self._training is not None:
            self._training.stop()

    def totals(self) -> Totals:  # noqa: D102
        epoch = self.epoch
        return self._read_totals(epoch.team.totals(epoch.sums), epoch.weight, epoch.nan_step)

    def sums(self) -> EpochSums | None:  # noqa: D102
        epoch = self.epoch
        if epoch is None:
            return self.state.sums
        rows = epoch.team.counted(epoch.sums)
        return EpochSums(epoch.span[0], epoch.weight, tuple(tuple(row) for row in rows.tolist()), epoch.nan_step)

    def go_on_from(self, sums: EpochSums) -> None:  # noqa: D102
        epoch = self.epoch
        epoch.span, epoch.nan_step = (sums.first, self.state.position), sums.nan_step
        rows = epoch.team.counted(epoch.sums)
        if len(rows) == len(sums.sums):
            rows[...] = sums.sums
        else:  # of another partition
            rows[0] = sums.total

    def gradients(self, data: Data, *, with_input: bool = False) -> Gradients:  # noqa: D102
        rows, order = len(data), np.arange(len(data))
        weights = self._weight_sums(data, order, rows)
        team, first = self._team(SINGLE, rows), -1 if with_input else self.first_trained
        work = RunRequest(self._source(data), order, rows, weights, 0, 1, self.state.step)
        sums, numbers = team.zero_totals(), self._homes.whole(self._parameters)

        def run() -> None:
            with self._own_bound(rows):
                team.run("differentiate", work, numbers, sums, first=first)

        if is_giant(self._layout.size, rows):
            self._giant_step.run(run, lambda: False)
        else:
            self._giant_step.wait()
            run()
        loss = self._read_totals(team.totals(sums), float(weights[0]), -1).mean_loss
        dx = team.input_gradient(rows) * self._rescale.scale if with_input else None
        return Gradients(loss, self._layout.views(team.gradients[0], np), dx)

    def update(self, gradients: Mapping[str, Array], hyperparameters: Hyperparameters) -> None:  # noqa: D102
        gradient, numbers = self._write(gradients), self._homes.flat_to_write()
        self.state.step += 1
        if hyperparameters.clip_norm is not None:
            gradient = self._backend.clip_norm(gradient, hyperparameters.clip_norm, out=gradient)
        names = self._rule.hyperparameters if self._rule else ()
        constants = np.array([*(hyperparameters.constants[name] for name in names), 0.0])
        places = [address(array) for array in (numbers.parameters, gradient, numbers.slots)]
        size, rate = gradient.size, float(hyperparameters.learning_rates[0])
        self._kernels.rule.call("update", self.state.step, *places, size, size, rate, address(constants))

    def step_parts(self, data: Data, order: HostArray, batch_size: int) -> StepParts:  # noqa: D102
        return inspection.step_parts(self, data, order, batch_size)


def _form(data: Data) -> tuple[object, ...]:
    """What a schedule depends on of the data."""
    return data.x.dtype, data.weights is None, data.bits is None


def _is_one_batch(order: HostArray, batch_size: int) -> bool:
    """Whether there are several steps, and all of them have the same rows in the same order."""
    if len(order) <= batch_size or len(order) % batch_size:
        return False
    same = np.array_equal(order[:batch_size], order[batch_size : 2 * batch_size])  # which most are not: then no more
    return same and np.array_equal(order[batch_size:], order[:-batch_size])
