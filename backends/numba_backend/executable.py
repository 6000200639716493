"""The compiled epoch: a program run by a team of workers, many steps in one call.

Parameters and slots have two homes. The canonical one is flat and whole: it is what is read, saved and predicted
with. A team partitioned by units keeps its own copy, a row per worker. The one written last is valid; the other is
brought up to date when it is next used, so neither a step nor a read pays for a copy that is not needed.
"""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from dnnkit.backends.aligned import zeros
from dnnkit.backends.executable import Gradients
from dnnkit.backends.numba_backend import cost_model
from dnnkit.backends.numba_backend.calibration import machine
from dnnkit.backends.numba_backend.data import arrays, is_worth_marking, marked, plain
from dnnkit.backends.numba_backend.partition import SINGLE, Partition
from dnnkit.backends.numba_backend.workers import Kernels, RunRequest, Weights, WorkerTeam
from dnnkit.backends.processors import processors
from dnnkit.backends.program import (
    Activate,
    Dense,
    EpochSums,
    HostArray,
    Hyperparameters,
    Plan,
    Program,
    Snapshot,
    Totals,
    stage_parameters,
)
from dnnkit.backends.stagewise.flat import Data, FlatExecutable
from dnnkit.backends.stagewise.giant_step import is_giant
from dnnkit.backends.stagewise.pool import Pool
from dnnkit.kernels._numba import entry_points
from dnnkit.kernels.array import Array
from dnnkit.kernels.matmul.cpu import CACHED
from dnnkit.kernels.train_steps import cpu

if TYPE_CHECKING:
    from dnnkit.backends.numba_backend.backend import NumbaBackend

TEAMS = 4
"""Teams that are kept, with their buffers, of those that train and of those that predict."""

FULL_SPEED = 64
"""Rows at which the throughput of a product saturates."""

SMALL_BATCH = 64
"""Largest batch predicted on the fast path, without what prepares longer work."""


@dataclass
class Epoch:
    """The data of an epoch, who trains on them, and what was measured so far."""

    data: tuple[Any, ...]
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


class NumbaExecutable(FlatExecutable):
    """A program whose every part has a compiled kernel."""

    cache_aligned = True
    epoch: Epoch

    def __init__(self, backend: "NumbaBackend", program: Program, plan: Plan) -> None:
        self._partitioned: Weights | None = None
        self._partitioned_layout: Any = None
        self._partitioned_is_newer = self._partitioned_is_older = False
        super().__init__(backend, program, plan)
        self._join_slots()
        self._kernels, self._functions = _compile(program)
        trained = [index for index, stage in enumerate(self._stages) if stage_parameters(stage)]
        self._first_trained = trained[0] if trained else len(self._stages)
        self._teams: dict[tuple[Partition, int], WorkerTeam] = {}
        self._training: WorkerTeam | None = None
        self._idle_teams = Pool(TEAMS)
        self._idle_few: list[tuple[Any, ...]] = []
        self._compiled = self._is_given_up = False

    # -- the two homes of the numbers --------------------------------------------------------------------------------

    @property
    def _parameters(self) -> HostArray:
        self._gather_weights()
        return self._flat

    @_parameters.setter
    def _parameters(self, flat: HostArray) -> None:
        self._gather_weights()
        self._flat, self._partitioned_is_older = flat, True

    def _join_slots(self) -> None:
        """The slots as rows of one array, which is what an update takes."""
        self._slot_rows = zeros((max(1, len(self._slots)), self._layout.size), self.program.dtype)
        for row, slot in zip(self._slot_rows, self._slots, strict=False):
            row[...] = slot
        self._slots = list(self._slot_rows[: len(self._slots)])

    def _gather_weights(self) -> None:
        """The canonical numbers from the workers', if those are newer."""
        if not self._partitioned_is_newer:
            return
        assert self._partitioned is not None
        self._partitioned_is_newer = False
        self._partitioned_layout.gather(self._partitioned.parameters, self._layout.views(self._flat, np))
        for place, slot in enumerate(self._slots):
            self._partitioned_layout.gather(self._partitioned.slots[:, place], self._layout.views(slot, np))

    def _scatter(self, team: WorkerTeam) -> Weights:
        """The numbers as the team keeps them."""
        if team.partition.by == "rows" or team.partition.workers == 1:
            self._partitioned_is_older = True
            return Weights(self._parameters[None], self._slot_rows[None])
        if self._partitioned is None or self._partitioned_layout is not team.layout:
            self._gather_weights()
            shape = (team.partition.workers, len(self._slot_rows), team.layout.size)
            dtype = self.program.dtype
            self._partitioned = Weights(zeros((shape[0], shape[2]), dtype), zeros(shape, dtype))
            self._partitioned_layout, self._partitioned_is_older = team.layout, True
        if self._partitioned_is_older:
            team.layout.scatter(self._layout.views(self._parameters, np), self._partitioned.parameters)
            for place, slot in enumerate(self._slots):
                team.layout.scatter(self._layout.views(slot, np), self._partitioned.slots[:, place])
        self._partitioned_is_older, self._partitioned_is_newer = False, True
        return self._partitioned

    def snapshot(self) -> Snapshot:  # noqa: D102
        self._gather_weights()
        return super().snapshot()

    def restore(self, snapshot: Snapshot) -> None:  # noqa: D102
        self._gather_weights()
        super().restore(snapshot)
        self._join_slots()
        self._partitioned_is_older = True

    # -- teams -------------------------------------------------------------------------------------------------------

    def _new_team(self, partition: Partition, rows: int) -> WorkerTeam:
        return WorkerTeam(self.program, self._stages, partition, rows, self._kernels)

    def _team(self, partition: Partition, rows: int) -> WorkerTeam:
        """The team that trains on batches of up to so many rows."""
        key = partition, rows
        if key not in self._teams:
            if len(self._teams) >= TEAMS:
                self._teams.pop(next(key for key, team in self._teams.items() if team is not self._training))
            self._teams[key] = self._new_team(partition, rows)
        return self._teams[key]

    def _reading_team(self, partition: Partition, rows: int) -> AbstractContextManager[WorkerTeam]:
        """One that predicts for this caller alone."""
        return self._idle_teams.borrowed((partition, rows), lambda: self._new_team(partition, rows))

    def _arrays(self, data: Data) -> tuple[Any, ...]:
        return arrays(data, self.program, self._rescale)

    def load(self, x: Array, y: Array | None, weights: Array | None) -> Data:  # noqa: D102
        data = super().load(x, y, weights)
        if y is not None and self._rule is not None and not self._compiled:
            # Compile, or read from the cache, before any clock runs: a run of no steps.
            self._compiled = True
            if processors() > 1:
                machine()
            work = RunRequest(self._arrays(data), np.zeros(0, np.int64), 1, np.zeros(0), 0, 0)
            with self._reading_team(SINGLE, 1) as team:
                team.run("evaluate", work, self._numbers(self._flat), team.zero_totals())
            self.predict_few(np.zeros((1, *self.program.input_shape), self.program.dtype), self._flat)
        return data

    def _examined(self, data: Data) -> Data:
        first = self._stages[0] if self._stages else None
        if isinstance(first, Dense) and self._rescale.offset == 0 and is_worth_marking(data, first.kernel.shape[1]):
            return marked(data, self.program.num_threads)
        return super()._examined(data)

    def _numbers(self, parameters: HostArray) -> Weights:
        """The canonical numbers, for a team of one."""
        return Weights(parameters[None], self._slot_rows[None])

    # -- training ----------------------------------------------------------------------------------------------------

    def begin_epoch(self, data: Data, order: HostArray, batch_size: int) -> None:  # noqa: D102
        size, features = min(batch_size, len(order)), int(data.x.shape[1])
        partition = cost_model.choose_partition(self.program, self._stages, features, size, self.state.execution)
        self.state.execution = cost_model.record(partition, size)
        self._giant_step.wait()
        self._training = team = self._team(partition, size)
        team.clear_stop()
        self._is_given_up = False
        order = np.ascontiguousarray(order, np.int64)
        weights, is_one_batch = self._weight_sums(data, order, batch_size), _is_one_batch(order, batch_size)
        self.epoch = Epoch(self._arrays(data), order, size, weights, is_one_batch, team, team.zero_totals())
        if self.plan.details.get("partition") != str(partition):
            self.plan = replace(self.plan, details={**self.plan.details, "partition": str(partition)})

    def run_steps(self, first: int, last: int, hyperparameters: Hyperparameters) -> int:  # noqa: D102
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
        self._training = epoch.team
        threads = cost_model.threads(self.program, epoch.batch_size, last - first)
        numbers = self._scatter(epoch.team)
        if is_giant(self._layout.size, epoch.batch_size):
            done, nan_step = self._run_giant(work, numbers, threads)
        else:
            self._giant_step.wait()
            done, nan_step = self._run(work, numbers, epoch.sums, threads)
        self.state.step += done - first
        epoch.span = (first if epoch.span == (0, 0) else epoch.span[0], done)
        if epoch.nan_step < 0:
            epoch.nan_step = nan_step
        return done

    def _run(self, work: RunRequest, numbers: Weights, sums: HostArray, threads: int) -> tuple[int, int]:
        with np.errstate(all="ignore"):
            return self.epoch.team.run("train", work, numbers, sums, first=self._first_trained, threads=threads)

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

    def _read_totals(self, totals: HostArray, weight: float, nan_step: int) -> Totals:
        loss, *metrics = (float(value) for value in totals)
        return Totals(loss, weight, tuple(metrics), self._reduction, nan_step)

    def gradients(self, data: Data, *, with_input: bool = False) -> Gradients:  # noqa: D102
        rows, order = len(data), np.arange(len(data))
        weights = self._weight_sums(data, order, rows)
        team, first = self._team(SINGLE, rows), -1 if with_input else self._first_trained
        work = RunRequest(self._arrays(data), order, rows, weights, 0, 1, self.state.step)
        sums, numbers = team.zero_totals(), self._numbers(self._parameters)

        def run() -> None:
            with np.errstate(all="ignore"):
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
        parameters, gradient = self._parameters, self._write(gradients)
        self.state.step += 1
        if hyperparameters.clip_norm is not None:
            gradient = self._backend.clip_norm(gradient, hyperparameters.clip_norm, out=gradient)
        numbers = [hyperparameters.constants[name] for name in self._rule.hyperparameters] if self._rule else []
        rate, constants = float(hyperparameters.learning_rates[0]), np.array([*numbers, 0.0])
        places = [array.ctypes.data for array in (parameters, gradient, self._slot_rows)]
        size = parameters.size
        self._functions["update"].call("update", self.state.step, *places, size, size, rate, constants.ctypes.data)
        self._partitioned_is_older = True

    # -- inference ---------------------------------------------------------------------------------------------------

    def evaluate(self, data: Data, batch_size: int, parameters: HostArray | None = None) -> Totals:  # noqa: D102
        partition, rows, threads = self._reading_partition(data, batch_size)
        order, parameters = np.arange(len(data)), self._parameters if parameters is None else parameters
        weights = self._weight_sums(data, order, rows)
        work = RunRequest(self._arrays(data), order, rows, weights, 0, len(weights))
        with np.errstate(all="ignore"), self._reading_team(partition, rows) as team:
            sums = team.zero_totals()
            team.run("evaluate", work, self._numbers(parameters), sums, threads=threads)
        return self._read_totals(team.totals(sums), float(weights.sum()), -1)

    def predict(self, data: Data, batch_size: int, parameters: HostArray | None = None) -> HostArray:  # noqa: D102
        partition, rows, threads = self._reading_partition(data, batch_size)
        out = np.empty((len(data), self.program.output_features), self.program.dtype)
        order, parameters = np.arange(len(data)), self._parameters if parameters is None else parameters
        work = RunRequest(self._arrays(data), order, rows, np.zeros(0), 0, -(-len(data) // rows), out=out)
        with np.errstate(all="ignore"), self._reading_team(partition, rows) as team:
            team.run("predict", work, self._numbers(parameters), team.zero_totals(), threads=threads)
        return out

    def predict_few(self, x: Any, parameters: HostArray | None = None) -> HostArray | None:  # noqa: D102
        program = self.program
        if type(x) is not np.ndarray or x.dtype != program.dtype or x.shape[1:] != program.input_shape:
            return None
        rows = len(x)
        if not 0 < rows <= SMALL_BATCH or not x.flags.c_contiguous:
            return None
        try:
            network = self._idle_few.pop()  # no other thread has it now
        except IndexError:
            scale, offset = float(self._rescale.scale), float(self._rescale.offset)
            network = *self._new_team(SINGLE, SMALL_BATCH).forward_parts, scale, offset
        out = np.empty((rows, program.output_features), program.dtype)
        parameters = self._parameters if parameters is None else parameters
        done = cpu.predict_rows(plain(x.reshape(rows, -1)), parameters, network, out)
        self._idle_few.append(network)
        return out if done else None

    def _reading_partition(self, data: Data, batch_size: int) -> tuple[Partition, int, int]:
        """Who predicts these rows, how many at a time, and in how many threads: rows do not depend on each other.

        At a time at most `batch_size` of them; as many as are read in place, if these are enough for full speed.
        """
        threads = cost_model.threads(self.program, len(data), 1)
        workers = max(1, threads)
        in_place = CACHED // max(1, int(data.x.shape[1]) * np.dtype(self.program.dtype).itemsize)
        rows = min(batch_size, in_place * workers) if in_place >= FULL_SPEED else batch_size
        partition = Partition("rows", workers) if workers > 1 else SINGLE
        return partition, min(rows, len(data)), threads


def _is_one_batch(order: HostArray, batch_size: int) -> bool:
    """Whether there are several steps, and all of them have the same rows in the same order."""
    if len(order) <= batch_size or len(order) % batch_size:
        return False
    same = np.array_equal(order[:batch_size], order[batch_size : 2 * batch_size])  # which most are not: then no more
    return same and np.array_equal(order[batch_size:], order[:-batch_size])


def _compile(program: Program) -> tuple[Kernels, dict[str, Any]]:
    """The addresses of the program's kernels, and the functions themselves, to be kept as long as those are used."""
    names = {s.activation for s in program.stages if isinstance(s, Dense | Activate)} | {program.head}
    activations = {name: entry_points.activation_entry_points(name, program.dtype) for name in names}
    functions: dict[str, Any] = {"activations": activations}
    loss = update = 0
    if program.loss is not None:
        assert isinstance(program.loss.kernel, str)
        functions["loss"] = entry_points.loss_entry_points(program.loss.kernel, program.loss.targets, program.dtype)
        loss = functions["loss"].address("loss_and_metrics")
    if program.rule is not None:
        assert isinstance(program.rule, str)
        functions["update"] = entry_points.optimizer_entry_points(program.rule, program.dtype)
        update = functions["update"].address("update")
    numbers = entry_points.metric_kinds()
    kinds = [numbers[metric.kernel] for metric in program.metrics if isinstance(metric.kernel, str)]
    thresholds = np.array([metric.threshold for metric in program.metrics], program.dtype)
    addresses = {name: (made.address("forward"), made.address("backward")) for name, made in activations.items()}
    head = addresses[program.head][0]
    return Kernels(addresses, loss, update, head, np.array(kinds, np.int64), thresholds), functions
