"""Read access to a program's numbers: predictions and evaluations in compiled code, by several threads at once."""

from collections.abc import Hashable
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

import numpy as np

from dnnkit.backends.aligned import Lending, empty, zeros
from dnnkit.backends.classes import require_classes
from dnnkit.backends.executable import AfterBatch, Executable
from dnnkit.backends.numba_backend import cost_model
from dnnkit.backends.numba_backend.data import (
    BatchSource,
    batch_source,
    is_worth_marking,
    marked,
    require_finite_samples,
)
from dnnkit.backends.numba_backend.few_rows import FewRows
from dnnkit.backends.numba_backend.fusing import stages_to_run
from dnnkit.backends.numba_backend.partition import SINGLE, Partition
from dnnkit.backends.numba_backend.program_kernels import ProgramKernels
from dnnkit.backends.numba_backend.runs import Batches, Steps
from dnnkit.backends.numba_backend.weights import TwoHomes
from dnnkit.backends.numba_backend.wiring import Wiring
from dnnkit.backends.numba_backend.workers import WorkerTeam
from dnnkit.backends.program import Program
from dnnkit.backends.stages import Dense
from dnnkit.backends.stagewise.flat import Data, FlatExecutable
from dnnkit.backends.stagewise.pool import Pool
from dnnkit.backends.state import HostArray, Plan, Totals
from dnnkit.kernels.compressed_rows import CompressedRows
from dnnkit.kernels.matmul.limits import most_rows

if TYPE_CHECKING:
    from dnnkit.backends.numba_backend.backend import NumbaBackend

TEAMS = 4
"""Number of teams kept with their buffers, for training and for prediction each."""

MOST_FILLED = 0.25
"""Fraction of nonzero numbers from which dense products are as fast as those of compressed rows."""

FULL_SPEED = 64
"""Rows at which GEMM throughput saturates."""

LENT = 1 << 16, 1 << 23
"""Range of parameter sizes in bytes whose copies use recycled memory: smaller ones cause few page faults, larger ones
would hold much idle memory.
"""

SMALL_BATCH = 64
"""Largest batch predicted on the fast path, which skips all preparation."""


class CompiledReader(FlatExecutable):
    """A program's numbers, stored twice, and the operations that only read them."""

    cache_aligned = True

    _gradient_given: HostArray | None = None

    def __init__(self, backend: "NumbaBackend", program: Program, plan: Plan) -> None:
        super().__init__(backend, program, plan)
        self._rescale, self._stages, self._sources = stages_to_run(program)
        self._kernels, self.wiring = ProgramKernels(program), Wiring(self._stages, self._sources)
        self._idle_teams = Pool(TEAMS)
        self._idle_few: list[FewRows] = []
        self._lent_parameters: dict[str, Lending] = {}
        self._calls_layers = bool(program.custom_layers)
        self._calls_any = self._calls_layers or bool(program.custom_measures)
        self._dtype = np.dtype(program.dtype)  # NumPy would build one from the name at each comparison

    # -- the two copies of the numbers ---------------------------------------------------------------------------------

    @property
    def _parameters(self) -> HostArray:
        return self._homes.parameters

    @_parameters.setter
    def _parameters(self, flat: HostArray) -> None:
        self._homes.replace(parameters=flat)

    @property
    def _slots(self) -> list[HostArray]:
        return list(self._homes.slots[: len(self._slot_names)])

    @_slots.setter
    def _slots(self, slots: list[HostArray]) -> None:
        self._homes.replace(slots=slots)

    @property
    def _gradient(self) -> HostArray:
        """Memory for a gradient given to `update`; never allocated if only `fit` trains."""
        if self._gradient_given is None:
            self._gradient_given = zeros((self._trained.size,), self.program.dtype)
        return self._gradient_given

    @_gradient.setter
    def _gradient(self, gradient: HostArray) -> None:
        self._gradient_given = gradient

    def _new_memory(self) -> None:
        self._homes = TwoHomes(self._layout, self._trained, len(self._slot_names), self.program.dtype)
        self._gradient_given = None

    def _take_numbers(self, other: FlatExecutable) -> None:
        assert isinstance(other, CompiledReader)
        self._homes = other._homes

    def follow(self, other: Executable, share: float) -> None:  # noqa: D102
        source = self._flat_of(other)
        self._giant_step.wait()
        own = self._homes.flat_to_write().parameters[0]
        self._backend.interpolate(own, source, share, out=own)

    def write_parameter(self, name: str, value: HostArray) -> None:  # noqa: D102
        self._homes.write(name, value)

    def write_average(self, name: str, value: HostArray) -> None:  # noqa: D102
        slots = self._slots
        self._trained.view(slots[self._slot_names.index("average")], name, np)[...] = value
        self._slots = slots  # makes them the newest copy

    def read_parameter(self, name: str, parameters: HostArray | None = None) -> HostArray:  # noqa: D102
        view = self._layout.view(self._parameters if parameters is None else parameters, name, np)
        if not LENT[0] <= view.nbytes <= LENT[1]:
            return np.array(view)
        if name not in self._lent_parameters:
            self._lent_parameters[name] = Lending(lambda: empty(view.shape, self.program.dtype))
        copy = self._lent_parameters[name].array()
        copy[...] = view
        return copy

    # -- data and teams ------------------------------------------------------------------------------------------------

    @property
    def _multiplied(self) -> Dense | None:
        """The dense stage that multiplies the data directly, if there is one and zeros in the data stay zeros."""
        first = self._stages[0] if self._stages and self.wiring.reads_data_once else None
        return first if isinstance(first, Dense) and self._rescale.offset == 0 else None

    @property
    def loading(self) -> Hashable | None:  # noqa: D102
        return super().loading, self._multiplied is None

    _most_filled = MOST_FILLED

    def _examined(self, data: Data) -> Data:
        if isinstance(data.x, CompressedRows):
            return super()._examined(data)
        first, threads = self._multiplied, self.program.num_threads
        if first is not None and is_worth_marking(data, first.kernel.shape[1]):
            require_classes(data.x, self._class_columns)
            return marked(data, threads)
        require_finite_samples(data, threads)
        require_classes(data.x, self._class_columns)
        return data

    def _new_team(self, partition: Partition, rows: int, *, trains: bool) -> WorkerTeam:
        return WorkerTeam(self.program, self.wiring, partition, rows, self._kernels, trains=trains)

    def _reading_team(self, partition: Partition, rows: int) -> AbstractContextManager[WorkerTeam]:
        """Borrow a team that predicts for this caller alone."""
        return self._idle_teams.borrowed((partition, rows), lambda: self._new_team(partition, rows, trains=False))

    def _source(self, data: Data) -> BatchSource:
        return batch_source(data, self._rescale, self.program.dtype)

    # -- predictions and evaluations -----------------------------------------------------------------------------------

    def evaluate(  # noqa: D102
        self, data: Data, batch_size: int, parameters: HostArray | None = None, after_batch: AfterBatch | None = None
    ) -> Totals:
        exact_rows = self._calls_any or after_batch is not None
        partition, rows = self._reading_partition(data, batch_size, calls=exact_rows)
        order, parameters = np.arange(len(data)), self._parameters if parameters is None else parameters
        weights = self._weight_sums(data, order, rows)
        batches, numbers = Batches(self._source(data), order, rows, weights), self._homes.whole(parameters)
        with self._reading_team(partition, rows) as team, self._own_bound(rows):
            sums = team.zero_totals()
            if after_batch is None:
                team.run("evaluate", batches, Steps(0, len(weights)), numbers, sums)
            else:
                for step in range(len(weights)):
                    team.run("evaluate", batches, Steps(step, step + 1), numbers, sums)
                    weight = float(weights[: step + 1].sum())
                    after_batch(step, self._with_penalty(team.totals(sums), weight, parameters))
        return self._with_penalty(team.totals(sums), float(weights.sum()), parameters)

    def _with_penalty(self, totals: list[float], weight: float, parameters: HostArray) -> Totals:
        """Return the totals for these parameters, including penalties."""
        found = self._read_totals(totals, weight, -1)
        if not self.program.penalties:
            return found
        penalty = float(self._regularization.penalty(parameters)) * (1.0 if self._reduction == "sum" else weight)
        return found._replace(loss=found.loss + penalty)

    def predict(self, data: Data, batch_size: int, parameters: HostArray | None = None) -> HostArray:  # noqa: D102
        partition, rows = self._reading_partition(data, batch_size, calls=self._calls_layers)
        out = np.empty((len(data), self.program.output_features), self.program.dtype)
        order, parameters = np.arange(len(data)), self._parameters if parameters is None else parameters
        batches, steps = Batches(self._source(data), order, rows, np.zeros(0), out), Steps(0, -(-len(data) // rows))
        with self._reading_team(partition, rows) as team, self._own_bound(rows, calls=self._calls_layers):
            team.run("predict", batches, steps, self._homes.whole(parameters), team.zero_totals())
        return out

    def predict_few(self, x: Any, parameters: HostArray | None = None) -> HostArray | None:  # noqa: D102
        program = self.program
        if type(x) is not np.ndarray or x.dtype != self._dtype or x.shape[1:] != program.input_shape:
            return None
        if self._class_columns:  # class numbers are checked when data are loaded
            return None
        rows = len(x)
        if not 0 < rows <= SMALL_BATCH:
            return None
        try:
            few = self._idle_few.pop()  # now owned by this thread
        except IndexError:
            team = self._new_team(SINGLE, SMALL_BATCH, trains=False)
            few = FewRows(team, float(self._rescale.scale), float(self._rescale.offset))
        parameters = self._parameters if parameters is None else parameters
        if self._calls_layers:
            with self._own_bound(rows):
                out = few.predict(x, parameters)
        else:
            out = few.predict(x, parameters)
        self._idle_few.append(few)
        return out

    def _own_bound(self, rows: int, *, calls: bool = True) -> AbstractContextManager[Any]:
        """Limit the threads of NumPy's BLAS, which user-defined parts may use; no-op without such parts."""
        return self._backend.thread_limit(self.program, rows) if calls and self._calls_any else nullcontext()

    def _reading_partition(self, data: Data, batch_size: int, *, calls: bool) -> tuple[Partition, int]:
        """Return the partition for reading these rows, and the rows at a time.

        Rows are independent. There are at most `batch_size` rows at a time, and exactly that many if user-defined parts
        are called; otherwise as many as products read in place, if these are enough for full speed.
        """
        workers = cost_model.readers(self.program, len(data))
        in_place = (
            0
            if isinstance(data.x, CompressedRows)
            else most_rows(int(data.x.shape[1]), np.dtype(self.program.dtype).itemsize)
        )
        rows = min(batch_size, in_place * workers) if in_place >= FULL_SPEED and not calls else batch_size
        partition = Partition("rows", workers) if workers > 1 else SINGLE
        return partition, min(rows, len(data))

    def read_totals(self, totals: list[float], weight: float) -> Totals:
        """Return the totals of rows with this weight."""
        return self._read_totals(totals, weight, -1)

    def _read_totals(self, totals: list[float], weight: float, nan_step: int) -> Totals:
        loss, *metrics = totals
        return Totals(loss, weight, tuple(metrics), self._reduction, nan_step)
