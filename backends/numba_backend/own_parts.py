"""User-defined parts of a program: Python functions that compiled code calls on the memory of its workers.

Each is called once per step with the whole batch, by worker 0, while the others wait at an exchange: it reads what all
workers have, and writes to all. So it sees the same arrays and gives the same bits in whichever threads the workers
run.
"""

import ctypes
from collections.abc import Callable, Sequence
from math import prod
from threading import get_ident
from typing import TYPE_CHECKING, Any

import numpy as np

from dnnkit.backends.acting import act_for, acting
from dnnkit.backends.blas_threads import blas_threads
from dnnkit.backends.numba_backend.backend import NumbaBackend
from dnnkit.backends.numba_backend.bytecode import DIFFERENTIATING, MEASURING, Purpose
from dnnkit.backends.numba_backend.own_measures import own_losses, own_metrics
from dnnkit.backends.numba_backend.partition import Partition, PartitionedLayout, roles, stage_shards
from dnnkit.backends.numba_backend.spread import Spread, array_at, spread
from dnnkit.backends.numba_backend.wiring import Wiring
from dnnkit.backends.outputs import weights_of
from dnnkit.backends.program import Program
from dnnkit.backends.stages import Custom, is_trained
from dnnkit.backends.state import HostArray
from dnnkit.deferred import dataclass
from dnnkit.kernels import registry
from dnnkit.kernels._engine.structures import OWN_BACKWARD, OWN_FORWARD, OWN_MEASURES

if TYPE_CHECKING:
    from dnnkit.backends.numba_backend.runs import Batches

CALLBACK = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64, ctypes.c_int64, ctypes.c_int64)


@dataclass(frozen=True)
class PartsMemory:
    """The structures of a team's workers, and the arrays that their addresses point into."""

    workers: Any
    tables: Sequence[Any]
    numbers: HostArray
    targets: HostArray
    weights: HostArray
    gradients: HostArray
    spares: HostArray
    seen: Sequence[HostArray]
    """Per output, the sum of its loss before the batch, (workers, 1)."""


@dataclass(frozen=True)
class _Layer:
    """A user-defined stage, as its calls need it."""

    stage: Custom
    is_trained: bool
    structures: Sequence[Any]
    """Each worker's STAGE."""
    gradients: Sequence[Sequence[HostArray]]
    """Per trained parameter, each worker's array for its gradient."""


class OwnParts:
    """The user-defined parts of one team; the GIL is held only while they run."""

    def __init__(
        self, program: Program, wiring: Wiring, partition: Partition, layout: PartitionedLayout, memory: PartsMemory
    ) -> None:
        stages = wiring.stages
        self._stages, self._wiring, self._layout, self._memory = stages, wiring, layout, memory
        self._workers = list(memory.workers)
        self._by_rows = partition.by == "rows" and partition.workers > 1
        self._roles, features = roles(stages, partition, wiring), prod(program.input_shape)
        self._shards = [
            stage_shards(stages, features, partition, number, wiring) for number in range(partition.workers)
        ]
        self._spreads: dict[tuple[str, int, int, int], Spread] = {}
        self._measured: dict[tuple[int, int], tuple[Spread, Spread, Spread | None, Spread]] = {}
        self._own: dict[int, list[HostArray]] = {}
        self._layers = {
            place: _Layer(
                stage, is_trained(stage), [table[place] for table in memory.tables], self._gradients_of(place)
            )
            for place, stage in enumerate(stages)
            if isinstance(stage, Custom)
        }
        loss = program.loss
        self._takes = "labels" if loss is None else loss.targets
        self._sums_up = loss is not None and loss.reduction == "sum"
        self._losses, self._metrics = own_losses(program), own_metrics(program)
        self._outputs, self._target_width = program.output_features, program.target_width
        self._head, self._operations = program.head, NumbaBackend()
        self._kept: dict[int, Any] = {}
        self._parameters = self._sums = self._before = np.zeros(0)
        self._batches: Batches | None = None
        self._trains = self._counts = False
        self._failure: BaseException | None = None
        self._caller, self._blas = acting(), blas_threads()
        self._ready = set[int]()
        """Threads that ignore floating-point errors in this run."""
        self._rows = 0
        """Rows of the batch."""
        self.before_call: Callable[[], None] = lambda: None
        """Hook called before a part, which may read the network: the trainer marks its numbers as changed."""
        self._callback = CALLBACK(self._call)
        self.address = ctypes.cast(self._callback, ctypes.c_void_p).value

    def begin(self, purpose: Purpose, parameters: HostArray, sums: HostArray, batches: "Batches | None" = None) -> None:
        """Prepare for a run with these parameters; loss and metrics are added to the sums."""
        self._trains, self._counts = purpose in DIFFERENTIATING, purpose in MEASURING
        self._parameters, self._sums, self._batches = parameters, sums, batches
        self._before = sums.copy()
        self._own.clear()
        self._workers[0].failed, self._failure = 0, None
        self._caller = acting()
        self._ready.clear()

    def end(self) -> None:
        """Raise the error of a part that failed in the run."""
        failure, self._failure = self._failure, None
        self._batches = None
        self._kept.clear()
        try:
            if failure is not None:
                raise failure
        finally:
            del failure  # its traceback refers to this frame
        if self._workers[0].failed:  # Ctrl-C, before the call could record it
            raise KeyboardInterrupt

    def _call(self, kind: int, place: int, option: int) -> int:
        """Call a part; return 0 if it failed.

        By then all of this has left the caches, so it takes five times as long as in a loop: whatever stays the same is
        looked up once.
        """
        blas = self._blas
        is_helper = blas.join()
        try:
            if is_helper:
                self._act_for_caller()
            self.before_call()
            blas.let_others()
            last = self._workers[-1]
            self._rows = last.first_in_batch + last.rows
            if kind == OWN_FORWARD:
                self._forward(place)
            elif kind == OWN_BACKWARD:
                self._backward(place, wants_dx=option > 0)
            elif kind == OWN_MEASURES:
                self._measure()
        except BaseException as error:  # raised at the end of the run; here it would only be printed
            self._failure = error
            if kind == OWN_BACKWARD:  # before the backward pass, nothing was added in this step
                self._sums[...] = self._before
            return 0
        finally:
            if is_helper:
                blas.part()
        return 1

    # -- the parts ---------------------------------------------------------------------------------------------------

    def _act_for_caller(self) -> None:
        """Make this thread behave as the one that began the run."""
        act_for(self._caller)
        if (thread := get_ident()) not in self._ready:
            np.seterr(all="ignore")
            self._ready.add(thread)

    def _forward(self, place: int) -> None:
        layer = self._layers[place]
        if self._trains:
            self._before[...] = self._sums
        x = self._of_stage("x", place, layer, layer.structures).gathered()
        y, kept = layer.stage.function.forward(np, x, *self._own_parameters(place, layer))
        if self._trains:
            self._kept[place] = kept, y.shape
        self._of_stage("y", place, layer, layer.structures).scatter(y)

    def _backward(self, place: int, *, wants_dx: bool) -> None:
        layer = self._layers[place]
        kept, shape = self._kept.pop(place)
        dy = self._of_stage("dy", place, layer, self._workers).gathered()
        if dy.shape != shape:
            dy = dy.reshape(shape)
        dx, *gradients = layer.stage.function.backward(np, dy, kept, *self._own_parameters(place, layer))
        if layer.is_trained:
            for gradient, outs in zip(gradients, layer.gradients, strict=True):
                for number, out in enumerate(outs):  # by rows, all workers' gradients are summed
                    out[...] = 0 if self._by_rows and number > 0 else np.reshape(gradient, out.shape)
        if wants_dx:
            self._of_stage("dx", place, layer, layer.structures).scatter(dx)
            for worker, structure in zip(self._workers, layer.structures, strict=True):
                worker.dy = structure.dx

    def _measure(self) -> None:
        batches = self._batches
        assert batches is not None
        given = batches.data.weights
        arrays = self._of_workers(0 if given is None else 1 if given.ndim == 1 else given.shape[1])
        scores, targets = arrays[0].gathered(), self._targets(batches) if self._takes == "any" else arrays[1].gathered()
        weights = None if arrays[2] is None else arrays[2].gathered()
        found, slope = list[tuple[int, float]](), None
        for own in self._losses:
            mine = own.of(targets, scores)
            scale = own.factor * self._scale(batches)
            own_weights = weights_of(weights, own.number, np)
            total, gradient = own.loss.loss_and_gradient(mine[1], mine[0], own_weights, scale, np)
            found.append((own.place, float(total)))
            if own.part is None:
                slope = gradient
            else:
                self._memory.seen[own.number][:, 0] = self._sums[:, own.place]
                # Other outputs' columns are written afterwards.
                slope = np.zeros_like(scores) if slope is None else slope
                slope[:, slice(*own.part.columns)] = gradient
        if self._trains and slope is not None:
            arrays[3].scatter(slope)
            for worker in self._workers:
                worker.dy = worker.dscores
        if self._counts:
            found += self._measured_by_metrics(scores, targets, weights)
        sums, first = self._sums[0], self._workers[0]
        for number, value in found:
            sums[number] += value
            if number == 0 and value != value and first.nan_step < 0:
                first.nan_step = first.step

    def _targets(self, batches: "Batches") -> HostArray:
        """Return the batch's targets, of any shape, which no worker has gathered."""
        assert batches.data.targets is not None
        first = self._workers[0].step * batches.batch_size
        return batches.data.targets[batches.order[first : first + self._rows]]

    def _measured_by_metrics(
        self, scores: HostArray, targets: HostArray, weights: HostArray | None
    ) -> list[tuple[int, float]]:
        measured, heads = list[tuple[int, float]](), dict[int, HostArray]()
        for own in self._metrics:
            mine, its_scores = own.of(targets, scores)
            head = self._head if own.part is None else own.part.head
            if own.number not in heads:
                is_linear = head == "linear"
                activated = self._operations.activation
                heads[own.number] = its_scores if is_linear else activated(registry.activation(head), its_scores)
            own_weights = weights_of(weights, own.number, np)
            rows = own.metric(np, mine, heads[own.number], own_weights).astype(np.float64)
            measured.append((own.place, float((rows if own_weights is None else rows * own_weights).sum())))
        return measured

    def _scale(self, batches: "Batches") -> float:
        """Return the factor of the loss's gradient."""
        if not self._trains:
            return 0.0
        if self._sums_up:
            return 1.0
        weight = float(batches.batch_weights[self._workers[0].step])
        return 1.0 / weight if weight else 0.0

    # -- the workers' memory -----------------------------------------------------------------------------------------

    def _own_parameters(self, place: int, layer: "_Layer") -> Sequence[HostArray]:
        parameters = layer.stage.parameters
        if not parameters:
            return ()
        if place not in self._own:
            starts = [self._layout.pieces[0, parameter.name].offset for parameter in parameters]
            self._own[place] = [
                self._parameters[start : start + parameter.size].reshape(parameter.shape)
                for start, parameter in zip(starts, parameters, strict=True)
            ]
        return self._own[place]

    def _gradients_of(self, place: int) -> list[list[HostArray]]:
        """Return, per trained parameter, each worker's array for its gradient."""
        spare, stage = self._wiring.uses_spare(place), self._stages[place]
        home = self._memory.spares if spare else self._memory.gradients
        return [
            [
                array_at(home, (worker.spare if spare else worker.gradient) + piece.offset * home.itemsize, one)
                for worker in self._workers
            ]
            for parameter in (stage.parameters if isinstance(stage, Custom) and is_trained(stage) else ())
            for one in [parameter.shape]
            for piece in [self._layout.pieces[0, parameter.name]]
        ]

    def _of_stage(self, name: str, place: int, layer: "_Layer", holders: Sequence[Any]) -> Spread:
        """Return a stage's array of this name, which is where the holders say in this step."""
        key = name, place, self._rows, getattr(holders[0], name)  # shared inputs rotate through several buffers
        found = self._spreads.get(key)
        if found is None:
            stage, shards = layer.stage, [each[place] for each in self._shards]
            is_input = name in ("x", "dx")
            columns = [shard.inputs if is_input else shard.outputs for shard in shards]
            self._spreads[key] = found = self._spread(
                self._memory.numbers,
                [getattr(holder, name) for holder in holders],
                (columns[-1].stop,),
                columns if self._roles[place] == "part" else None,
                stage.input_shape if is_input else stage.output_shape,
            )
        return found

    def _of_workers(self, weighted: int) -> tuple[Spread, Spread, Spread | None, Spread]:
        """Return scores, targets, row weights (with `weighted` per row, if any), and the gradient of the scores."""
        key = self._rows, weighted
        if key not in self._measured:
            memory, workers, wide = self._memory, self._workers, (self._outputs,)
            of_row = (self._target_width,) if self._takes == "values" else ()
            of_weights = (weighted,) if weighted > 1 else ()
            self._measured[key] = (
                self._spread(memory.numbers, [worker.scores for worker in workers], wide),
                self._spread(memory.targets, [worker.targets for worker in workers], of_row),
                self._spread(memory.weights, [worker.weights for worker in workers], of_weights) if weighted else None,
                self._spread(memory.numbers, [worker.dscores for worker in workers], wide),
            )
        return self._measured[key]

    def _spread(
        self, home: HostArray, places: list[int], width: tuple[int, ...], columns: list[slice] | None = None,
        seen: tuple[int, ...] | None = None,
    ) -> Spread:  # fmt: skip
        rows = [slice(one.first_in_batch, one.first_in_batch + one.rows) for one in self._workers]
        return spread(home, places, rows if self._by_rows else None, columns, (self._rows, *width), seen)
