"""Many networks in one call of compiled code, each trained by a single thread; see `kernels/_engine/many.py`."""

import ctypes
from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from dataclasses import replace
from time import perf_counter
from typing import Any

import numpy as np

from dnnkit.backends.aligned import address, zeros
from dnnkit.backends.executable import Executable
from dnnkit.backends.many import DrawnOrders, Many, Passed, Work
from dnnkit.backends.numba_backend import cost_model
from dnnkit.backends.numba_backend.bytecode import Purpose
from dnnkit.backends.numba_backend.compiled_hyperparameters import clips_of
from dnnkit.backends.numba_backend.executable import Epoch, NumbaExecutable
from dnnkit.backends.numba_backend.partition import SINGLE
from dnnkit.backends.numba_backend.runs import Batches, Steps
from dnnkit.backends.numba_backend.threads import in_threads
from dnnkit.backends.numba_backend.workers import WorkerTeam
from dnnkit.backends.state import HostArray
from dnnkit.kernels._engine import calls
from dnnkit.kernels._engine.structures import ENDED, JOB, LINE, MANY, PASS, SCRATCH, STOP
from dnnkit.kernels.compressed_rows import CompressedRows

WORDS = PASS.bytes // 8
"""Words of a PASS. Those of a call are the rows of an array (passes, words), in which columns are filled at once."""

_PLACE = {name: place for place, name in enumerate(PASS.words)}
TEAMS, TEAM_COUNT, TOTALS = (_PLACE[name] for name in ("teams", "team_count", "totals"))
FIRST, FIRST_UPDATE, RATES, CONSTANTS = (_PLACE[name] for name in ("first", "first_update", "rates", "constants"))
ORDER, ENTROPY, ENTROPY_WORDS, BATCH_WEIGHTS = (_PLACE[name] for name in ("order", "entropy", "words", "batch_weights"))
BEGAN, ENDED_AT = _PLACE["began"], _PLACE["ended"]
OUTCOME = [_PLACE["done"], _PLACE["nan_step"], BEGAN, ENDED_AT]

LATEST = np.iinfo(np.int64).max
"""A time after all others."""


class Teams:
    """Interchangeable single-worker teams: any of them trains, or evaluates, any network of one kind."""

    def __init__(self) -> None:
        self.teams: list[WorkerTeam] = []
        self.lines = np.zeros(0, np.int64)
        """One cache line per team: whether it is in use, and the addresses of its RUN and its order, as in PASS."""
        self._orders: list[HostArray] = []
        """For each team, memory for the order that it draws."""

    def want(self, count: int, job: "Job", purpose: Purpose, batches: Batches, steps: Steps) -> None:
        """Create teams until there are `count`, using this network as the representative of its kind."""
        executable, trains = job.executable, purpose == "train"
        if len(self.teams) >= count:
            return
        while len(self.teams) < count:
            team = executable.new_team(batches.batch_size, trains=trains)
            first = executable.first_trained if trains else 0
            team.prepare(purpose, batches, steps, job.numbers, team.zero_totals(), first, helpers=0)
            self.teams.append(team)
        self.lines = zeros((count * LINE,), "int64")
        self.lines[1::LINE] = [team.run_address for team in self.teams]
        self._orders = []

    def draw(self, rows: int) -> None:
        """Give each team memory for an order of `rows` rows."""
        if not self._orders or len(self._orders[0]) < SCRATCH + rows:
            self._orders = [np.empty(SCRATCH + rows, np.int64) for _ in self.teams]
            self.lines[2::LINE] = [address(order) for order in self._orders]


class Job:
    """A network of a fit, and what compiled code reads of it; kept from call to call.

    Arguments:
        work: its first work.
        kind: a number common to all networks whose programs differ only in the seed.
        teams: returns the teams of a kind: networks whose data have the same types, too.
        seconds_of_epoch: a rough estimate.
    """

    def __init__(self, work: Work, kind: int, teams: Callable[[Hashable], Teams], seconds_of_epoch: float) -> None:
        executable, data, held_out = work.executable, work.data, work.held_out
        assert isinstance(executable, NumbaExecutable)
        self.executable, self.data, self.held_out = executable, data, held_out
        self.rows, self.clips = work.rows, clips_of(work.hyperparameters)
        self.size = min(work.batch_size, work.rows)
        self._seconds_of_epoch = seconds_of_epoch
        self.execution = cost_model.record(SINGLE, self.size)
        self.has_weights = data.host_weights is not None
        self.batches = self._batches(data, np.arange(work.rows) % len(data), work.batch_size, self.size)
        """Batches of the rows in their own order, as many as in an epoch."""
        self.training = teams(("train", kind, self.size, self.clips, _form(data)))
        self.measuring: Teams | None = None
        if held_out is not None:
            count = executable.rows_to_evaluate(held_out, work.held_out_rows)
            self.batches_held_out = self._batches(held_out, np.arange(len(held_out)), count, count)
            self.weight_held_out = float(self.batches_held_out.batch_weights.sum())
            self.measuring = teams(("evaluate", kind, count, _form(held_out)))
        self.control = np.zeros(3 * LINE, np.int64)
        self.signals = memoryview(self.control)  # type: ignore[arg-type] # missing in NumPy's stubs, as in workers.py
        self._pattern = self._new_pattern(work.steps)
        """What the passes of all its epochs have in common."""
        self._epochs: list[Batches] = []
        self.begin(work)

    def _batches(self, data: Any, order: HostArray, batch_size: int, size: int) -> Batches:
        weights = self.executable.sums_of_weights(data, order, batch_size)
        return Batches(self.executable.source(data), order, size, weights)

    def _new_pattern(self, steps: int) -> HostArray:
        """Return the passes of an epoch, (passes, words)."""
        passes, structures = 1 if self.measuring is None else 2, PASS.new(1)
        pattern, words = np.zeros((passes, WORDS), np.int64), np.frombuffer(structures, np.int64)
        for number in range(passes):
            one, batches = structures[0], self.batches_held_out if number else self.batches
            one.trains, one.last = int(not number), len(batches.batch_weights) if number else steps
            one.x, one.targets, one.weights, one.bits = batches.data.addresses
            one.starts, one.entry_columns = batches.data.entries or (0, 0)
            one.row_limit, one.row_count = len(batches.data.x), len(batches.order)
            one.order, one.batch_weights = address(batches.order), address(batches.batch_weights)
            pattern[number] = words
        return pattern

    def is_of(self, work: Work) -> bool:
        """Whether the work is of the same fit, and its gradient is clipped in the same way as before."""
        is_same = self.data is work.data and self.held_out is work.held_out and self.rows == work.rows
        return is_same and self.clips == clips_of(work.hyperparameters)

    def begin(self, work: Work) -> None:
        """Take the work of a call."""
        self.work, self.numbers = work, self.executable.begin_many(self.execution)
        self.passes = len(work.orders) * len(self._pattern)
        self.seconds = len(work.orders) * self._seconds_of_epoch
        self.control[:] = 0
        self.control[ENDED] = -1
        count = max(1, work.steps * len(work.orders) - self.executable.state.position)
        self.steps: Steps = self.executable.steps_of(0, count, work.hyperparameters)

    @property
    def width(self) -> int:
        """Numbers that a pass sums, rounded up to whole cache lines."""
        return -(-self.executable.program.measured // LINE) * LINE

    def want(self, count: int, count_held_out: int) -> None:
        """Prepare up to so many teams of its kind for training and for evaluation."""
        self.training.want(count, self, "train", self.batches, self.steps)
        if self.measuring is not None:
            steps = Steps(0, len(self.batches_held_out.batch_weights))
            self.measuring.want(count_held_out, self, "evaluate", self.batches_held_out, steps)
        if isinstance(self.work.orders, DrawnOrders):
            self.training.draw(self.rows)

    def fill(self, passes: HostArray, sums: HostArray, first: int) -> None:
        """Fill in its passes, the first of which is `first`."""
        work, steps, pattern, state = self.work, self.steps, self._pattern, self.executable.state
        assert steps.rates is not None
        assert steps.constants is not None
        self.first, count, begins = first, len(work.orders), state.position
        for own, teams in zip(pattern, (self.training, self.measuring), strict=False):
            assert teams is not None
            own[TEAMS], own[TEAM_COUNT] = address(teams.lines), len(teams.teams)
        block = passes[first : first + self.passes].reshape(count, *pattern.shape)
        block[...] = pattern
        training, numbers = block[:, 0], np.arange(count)
        done = numbers * work.steps - begins
        done[0] = 0
        training[0, FIRST] = begins
        training[:, FIRST_UPDATE] = state.step + done
        training[:, RATES] = address(steps.rates) + 8 * done
        training[:, CONSTANTS] = address(steps.constants) + _stride(steps) * done
        if work.sums is not None:
            sums[first, : len(work.sums.total)] = work.sums.total
        orders = work.orders
        if isinstance(orders, DrawnOrders) and not self.has_weights:
            training[:, ENTROPY] = address(orders.entropy) + orders.entropy.strides[0] * numbers
            training[:, ENTROPY_WORDS] = orders.entropy.shape[1]
            self._epochs = [self.batches] * count
            return
        arrays = orders.arrays() if isinstance(orders, DrawnOrders) else orders
        self._epochs = [self._in_order(np.ascontiguousarray(order, np.int64)) for order in arrays]
        training[:, ORDER] = [address(batches.order) for batches in self._epochs]
        training[:, BATCH_WEIGHTS] = [address(batches.batch_weights) for batches in self._epochs]

    def _in_order(self, order: HostArray) -> Batches:
        """Return batches of the rows in the given order."""
        if self.has_weights:
            return self._batches(self.data, order, self.work.batch_size, self.size)
        return Batches(self.batches.data, order, self.size, self.batches.batch_weights)

    def describe(self, structure: Any, passes_address: int) -> None:
        """Fill in its JOB."""
        steps = self.steps
        assert steps.rates is not None
        assert steps.constants is not None
        structure.first, structure.passes = passes_address + self.first * PASS.bytes, self.passes
        structure.control, structure.seed = address(self.control), self.executable.program.seed
        structure.parameters, structure.slots = self.numbers.addresses
        structure.group_rates = steps.rates.strides[0] if steps.rates.ndim > 1 else 0
        structure.group_constants, structure.constant_stride = steps.constants.strides[0], _stride(steps)
        structure.clip_norm, structure.clip_value = steps.clip_norm, steps.clip_value

    def record(self, passes: HostArray, sums: HostArray, seconds_per_tick: float) -> None:
        """Record the results of its passes."""
        work, executable, team, each = self.work, self.executable, self.training.teams[0], len(self._pattern)
        place, begun, before = self.first, executable.state.position, work.sums
        outcomes = passes[place : place + self.passes, OUTCOME].tolist()
        rows = None if self.has_weights else self.rows
        for batches, (done, nan_step, began, ended) in zip(self._epochs, outcomes[::each], strict=True):
            if not ended:  # never begun
                break
            epoch = Epoch(batches, team, sums[place : place + 1], rows, begun, done, nan_step)
            if before is not None:
                epoch.first = before.first
                if before.nan_step >= 0:
                    epoch.nan_step = before.nan_step
            executable.state.step += done - begun
            executable.epoch = epoch
            held_out = None
            if self.measuring is not None:
                measured, _, _, is_measured = outcomes[place + 1 - self.first]
                if is_measured and measured == len(self.batches_held_out.batch_weights):
                    totals = self.measuring.teams[0].totals(sums[place + 1 : place + 2])
                    held_out = executable.read_totals(totals, self.weight_held_out)
            work.passed.append(Passed(done, executable.totals(), held_out, (ended - began) * seconds_per_tick))
            place, begun, before = place + each, 0, None


class CompiledMany(Many):
    """Threads of this process, each running one network at a time.

    Arguments:
        workers: maximum number of threads.
    """

    def __init__(self, workers: int) -> None:
        self._workers = workers
        self._teams: dict[Hashable, Teams] = {}
        self._kinds: dict[Hashable, int] = {}
        self._jobs: dict[Executable, Job] = {}

    def takes(self, executable: Executable, data: Any, batch_size: int) -> bool:  # noqa: D102
        return isinstance(executable, NumbaExecutable) and executable.is_one_of_many(data, batch_size)

    def evaluates(self, executable: Executable) -> bool:  # noqa: D102
        program = executable.program
        is_exact = any(metric.exact is not None for metric in program.metrics)
        return not (is_exact or program.penalties or program.averages)

    def seconds_of_epoch(self, work: Work) -> float:  # noqa: D102
        return cost_model.roughly(work.executable.program, min(work.batch_size, work.rows), work.steps)

    def prepare(self, work: Work) -> None:  # noqa: D102
        self._job(work).want(1, 1)

    def run(self, works: Sequence[Work]) -> None:  # noqa: D102
        jobs = [self._job(work) for work in works]
        jobs.sort(key=lambda job: -job.seconds)  # stable: equal costs keep their order
        alike = Counter(teams for job in jobs for teams in (job.training, job.measuring))
        for job in jobs:
            job.want(*(min(self._workers, alike[teams]) for teams in (job.training, job.measuring)))
        count, width = sum(job.passes for job in jobs), max(job.width for job in jobs)
        passes, sums, first = zeros((count, WORDS), "int64"), zeros((count, width), "float64"), 0
        for job in jobs:
            job.fill(passes, sums, first)
            first += job.passes
        passes[:, TOTALS] = address(sums) + sums.strides[0] * np.arange(count)
        start = perf_counter()
        self._run_jobs(jobs, address(passes))
        seconds, began, ended = perf_counter() - start, passes[:, BEGAN], passes[:, ENDED_AT]
        ticks = int(ended.max() - began.min(where=ended > 0, initial=LATEST))
        for job in jobs:
            job.record(passes, sums, seconds / ticks if ticks > 0 else 0.0)

    def _job(self, work: Work) -> Job:
        """Return the job for this work, the same from call to call."""
        executable = work.executable
        job = self._jobs.get(executable)
        if job is not None and job.is_of(work):
            job.begin(work)
            return job
        like = replace(executable.program, seed=0, num_threads=None)
        kind = self._kinds.setdefault(like, len(self._kinds))
        job = Job(work, kind, lambda key: self._teams.setdefault(key, Teams()), self.seconds_of_epoch(work))
        self._jobs[executable] = job
        return job

    def _run_jobs(self, jobs: list[Job], passes_address: int) -> None:
        """Run the passes; a request to stop an executable stops its job."""
        structures, queue, many = JOB.new(len(jobs)), zeros((LINE,), "int64"), MANY.new(1)
        for structure, job in zip(structures, jobs, strict=True):
            job.describe(structure, passes_address)
        many[0].job, many[0].jobs, many[0].queue = ctypes.addressof(structures), len(jobs), address(queue)
        run_jobs, place = calls.caller("run_jobs", jobs[0].executable.program.dtype), ctypes.addressof(many)

        def stop() -> None:
            for job in jobs:
                job.control[STOP] = 1

        for job in jobs:
            job.executable.signals_of_many = job.signals
        try:
            in_threads(lambda thread: run_jobs(place), min(self._workers, len(jobs)), stop)
        finally:
            for job in jobs:
                job.executable.signals_of_many = None


def _form(data: Any) -> Hashable:
    """Return the properties of the data that schedules, and teams that run them, depend on."""
    x, weights = data.x, 0 if data.weights is None else data.weights.ndim
    return x.dtype.name, x.shape[1], weights, data.bits is None, isinstance(x, CompressedRows)


def _stride(steps: Steps) -> int:
    """Return the stride in bytes of the optimizer's numbers between steps; 0 if they are constant."""
    assert steps.constants is not None
    return steps.constants.strides[1] if steps.constants.shape[1] > 1 else 0
