"""Many networks in one call of compiled code, each trained by a single thread; see `kernels/_engine/many.py`."""

import ctypes
from collections import Counter
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import replace
from time import perf_counter
from typing import Any

import numpy as np

from dnnkit.backends.aligned import address, zeros
from dnnkit.backends.executable import Executable
from dnnkit.backends.many import DrawnOrder, Many, Passed, Work
from dnnkit.backends.numba_backend import cost_model
from dnnkit.backends.numba_backend.bytecode import Purpose
from dnnkit.backends.numba_backend.compiled_hyperparameters import clips_of
from dnnkit.backends.numba_backend.executable import Epoch, NumbaExecutable
from dnnkit.backends.numba_backend.runs import Batches, Steps
from dnnkit.backends.numba_backend.threads import in_threads
from dnnkit.backends.numba_backend.weights import Weights
from dnnkit.backends.numba_backend.workers import WorkerTeam
from dnnkit.backends.state import EpochSums, HostArray
from dnnkit.kernels._engine import calls
from dnnkit.kernels._engine.structures import ENDED, JOB, LINE, MANY, PASS, SCRATCH, STOP


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
    """Work of one network, and the structures that describe it to compiled code.

    Networks are of one kind if their programs differ only in the seed, and their data have the same types.
    """

    def __init__(self, work: Work, kind: int) -> None:
        executable = work.executable
        assert isinstance(executable, NumbaExecutable)
        self.work, self.executable, data, held_out = work, executable, work.data, work.held_out
        rows = _rows(work.orders[0]) if work.orders else len(data)
        self.size = min(work.batch_size, rows)
        self.numbers: Weights = executable.begin_many(self.size)
        self.source = executable.source(data)
        self.kind: Hashable = ("train", kind, self.size, clips_of(work.hyperparameters), _form(data))
        self.kind_held_out: Hashable = None
        if held_out is not None:
            count = executable.rows_to_evaluate(held_out, work.held_out_rows)
            order, weights = (
                np.arange(len(held_out)),
                executable.sums_of_weights(held_out, np.arange(len(held_out)), count),
            )
            self.held_out = Batches(executable.source(held_out), order, count, weights)
            self.kind_held_out = "evaluate", kind, count, _form(held_out)
        self.control = np.zeros(3 * LINE, np.int64)
        self.control[ENDED] = -1
        self.epochs: list[Epoch] = []
        self.sums_held_out: list[HostArray] = []
        self.steps: Steps
        self._weights: HostArray | None = None
        self._entropy: HostArray = np.zeros((0, 0), np.int64)
        """Entropy words of the drawn orders; a reference keeps them alive."""
        self.first = 0
        """Number of its first pass."""

    @property
    def passes(self) -> int:
        """Passes per epoch."""
        return 1 if self.kind_held_out is None else 2

    @property
    def cost(self) -> float:
        """Rough estimate of its seconds."""
        epochs = self.work.steps * len(self.work.orders)
        return cost_model.roughly(self.executable.program, self.size, epochs)

    def orders(self) -> Iterator[tuple[Batches, int]]:
        """Yield the batches of each epoch, and the address of the entropy of its order, or 0 if it is already drawn.

        If the training thread draws the orders, all epochs have the same batches here.
        """
        orders = self.work.orders
        drawn = [order for order in orders if isinstance(order, DrawnOrder)]
        if self.work.data.host_weights is None and len(drawn) == len(orders):
            self._entropy = np.array([order.entropy for order in drawn], np.int64)
            start, step = address(self._entropy), self._entropy.strides[0]
            batches = self.batches(np.arange(drawn[0].rows))
            for number in range(len(drawn)):
                yield batches, start + number * step
            return
        for order in orders:
            array = order.array() if isinstance(order, DrawnOrder) else order
            yield self.batches(np.ascontiguousarray(array, np.int64)), 0

    @property
    def words(self) -> int:
        """Number of entropy words per order."""
        return int(self._entropy.shape[1])

    def batches(self, order: HostArray) -> Batches:
        """Return batches of the rows in the given order."""
        weights, data = self._weights, self.work.data
        if weights is None or data.host_weights is not None:
            weights = self._weights = self.executable.sums_of_weights(data, order, self.work.batch_size)
        return Batches(self.source, order, self.size, weights)


class CompiledMany(Many):
    """Threads of this process, each running one network at a time.

    Arguments:
        workers: maximum number of threads.
    """

    def __init__(self, workers: int) -> None:
        self._workers = workers
        self._teams: dict[Hashable, Teams] = {}
        self._kinds: dict[Hashable, int] = {}
        self._kind_of: dict[Executable, int] = {}

    def takes(self, executable: Executable, data: Any, batch_size: int) -> bool:  # noqa: D102
        return isinstance(executable, NumbaExecutable) and executable.is_one_of_many(data, batch_size)

    def evaluates(self, executable: Executable) -> bool:  # noqa: D102
        program = executable.program
        is_exact = any(metric.exact is not None for metric in program.metrics)
        return not (is_exact or program.penalties or program.averages)

    def prepare(self, work: Work) -> None:  # noqa: D102
        job = Job(work, self._kind(work.executable))
        job.steps = job.executable.steps_of(0, 1, work.hyperparameters)
        self._want(job, job.batches(np.arange(job.size)), Counter())

    def run(self, works: Sequence[Work]) -> None:  # noqa: D102
        jobs = [Job(work, self._kind(work.executable)) for work in works]
        jobs.sort(key=lambda job: -job.cost)  # stable: equal costs keep their order
        alike = Counter[Hashable]([kind for job in jobs for kind in (job.kind, job.kind_held_out)])
        count = sum(len(job.work.orders) * job.passes for job in jobs)
        passes = PASS.new(count)
        place = 0
        for job in jobs:
            job.first = place
            place = self._fill(job, passes, place, alike)
        start = perf_counter()
        self._run_jobs(jobs, passes)
        seconds = perf_counter() - start
        times = [(one.began, one.ended) for one in passes if one.ended]
        ticks = max(end for _, end in times) - min(begin for begin, _ in times) if times else 0
        for job in jobs:
            _note(job, passes, seconds / ticks if ticks else 0.0)

    # -- running -------------------------------------------------------------------------------------------------------

    def _kind(self, executable: Executable) -> int:
        """Return a number common to all networks whose programs differ only in the seed."""
        if executable not in self._kind_of:
            like = replace(executable.program, seed=0, num_threads=None)
            self._kind_of[executable] = self._kinds.setdefault(like, len(self._kinds))
        return self._kind_of[executable]

    def _want(self, job: Job, batches: Batches, alike: Counter[Hashable]) -> tuple[Teams, Teams | None]:
        """Return the teams that train and evaluate this kind of network, enough for all threads."""
        training = self._teams.setdefault(job.kind, Teams())
        training.want(max(1, min(self._workers, alike[job.kind])), job, "train", batches, job.steps)
        if job.kind_held_out is None:
            return training, None
        measuring, steps = self._teams.setdefault(job.kind_held_out, Teams()), Steps(0, len(job.held_out.batch_weights))
        measuring.want(max(1, min(self._workers, alike[job.kind_held_out])), job, "evaluate", job.held_out, steps)
        return training, measuring

    def _fill(self, job: Job, passes: Any, place: int, alike: Counter[Hashable]) -> int:
        """Fill in the passes of a job, starting at index `place`; return the next free index."""
        work, executable, state, done = job.work, job.executable, job.executable.state, 0
        begins = state.position
        job.steps = steps = executable.steps_of(0, work.steps * len(work.orders) - begins, work.hyperparameters)
        rates, constants, varies = address(steps.rates), address(steps.constants), _stride(steps)
        has_weights, first = work.data.host_weights is not None, begins
        for number, (batches, entropy) in enumerate(job.orders()):
            if number == 0:
                training, measuring = self._want(job, batches, alike)
                team = training.teams[0]
                if entropy:
                    training.draw(len(batches.order))
            else:
                first = 0
            one = passes[place]
            epoch = Epoch(batches, team, team.zero_totals(), None if has_weights else len(batches.order), first)
            if number == 0 and work.sums is not None:
                _go_on(epoch, work.sums, begins)
            job.epochs.append(epoch)
            one.trains, one.first, one.last, one.first_update = 1, first, work.steps, state.step + done
            one.rates, one.constants = rates + 8 * done, constants + varies * done
            _fill_rows(one, training, batches, epoch.sums)
            one.entropy, one.words = entropy, job.words
            place, done = place + 1, done + work.steps - first
            if measuring is not None:
                sums = measuring.teams[0].zero_totals()
                job.sums_held_out.append(sums)
                passes[place].last = len(job.held_out.batch_weights)
                _fill_rows(passes[place], measuring, job.held_out, sums)
                place += 1
        return place

    def _run_jobs(self, jobs: list[Job], passes: Any) -> None:
        """Run the passes; a request to stop an executable stops its job."""
        structures, queue, many = JOB.new(len(jobs)), zeros((LINE,), "int64"), MANY.new(1)
        start = ctypes.addressof(passes)
        for structure, job in zip(structures, jobs, strict=True):
            steps = job.steps
            assert steps.rates is not None
            assert steps.constants is not None
            structure.first = start + job.first * PASS.bytes
            structure.passes = len(job.epochs) * job.passes
            structure.control, structure.seed = address(job.control), job.executable.program.seed
            structure.parameters, structure.slots = job.numbers.addresses
            structure.group_rates = steps.rates.strides[0] if steps.rates.ndim > 1 else 0
            structure.group_constants, structure.constant_stride = steps.constants.strides[0], _stride(steps)
            structure.clip_norm, structure.clip_value = steps.clip_norm, steps.clip_value
        many[0].job, many[0].jobs, many[0].queue = ctypes.addressof(structures), len(jobs), address(queue)
        run_jobs, place = calls.caller("run_jobs", jobs[0].executable.program.dtype), ctypes.addressof(many)

        def stop() -> None:
            for job in jobs:
                job.control[STOP] = 1

        for job in jobs:
            job.executable.signals_of_many = memoryview(job.control)  # type: ignore[arg-type] # as in workers.py
        try:
            in_threads(lambda thread: run_jobs(place), min(self._workers, len(jobs)), stop)
        finally:
            for job in jobs:
                job.executable.signals_of_many = None


def _note(job: Job, passes: Any, seconds_per_tick: float) -> None:
    """Record the results of each pass."""
    work, executable = job.work, job.executable
    for number, epoch in enumerate(job.epochs):
        one = passes[job.first + number * job.passes]
        if not one.ended:  # never begun
            return
        epoch.last = one.done
        if epoch.nan_step < 0:
            epoch.nan_step = one.nan_step
        executable.state.step += one.done - one.first
        executable.epoch = epoch
        held_out = None
        if job.sums_held_out:
            after = passes[job.first + number * job.passes + 1]
            if after.ended and after.done == after.last:
                totals = epoch.team.totals(job.sums_held_out[number])
                held_out = executable.read_totals(totals, float(job.held_out.batch_weights.sum()))
        work.passed.append(Passed(one.done, executable.totals(), held_out, (one.ended - one.began) * seconds_per_tick))


def _form(data: Any) -> Hashable:
    """Return the properties of the data that schedules, and teams that run them, depend on."""
    return data.x.dtype.name, data.x.shape[1], 0 if data.weights is None else data.weights.ndim, data.bits is None


def _rows(order: HostArray | DrawnOrder) -> int:
    return order.rows if isinstance(order, DrawnOrder) else len(order)


def _stride(steps: Steps) -> int:
    """Return the stride in bytes of the optimizer's numbers between steps; 0 if they are constant."""
    assert steps.constants is not None
    return steps.constants.strides[1] if steps.constants.shape[1] > 1 else 0


def _go_on(epoch: Epoch, sums: EpochSums, position: int) -> None:
    """Continue an epoch from the sums measured earlier."""
    epoch.first, epoch.last, epoch.nan_step = sums.first, position, sums.nan_step
    epoch.team.counted(epoch.sums)[0] = sums.total


def _fill_rows(one: Any, teams: Teams, batches: Batches, sums: HostArray) -> None:
    """Fill in the rows a pass reads, its teams, and where it adds its measurements."""
    one.teams, one.team_count, one.totals = address(teams.lines), len(teams.teams), address(sums)
    one.x, one.targets, one.weights, one.bits = batches.data.addresses
    one.row_limit, one.row_count = len(batches.data.x), len(batches.order)
    one.order, one.batch_weights = address(batches.order), address(batches.batch_weights)
