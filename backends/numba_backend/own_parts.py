"""User-defined parts of a program: Python functions that compiled code calls on the memory of its workers.

Each is called once per step with the whole batch, by worker 0, while the others wait at an exchange: it reads what all
workers have, and they copy what it returns. So it sees the same arrays and gives the same bits in whichever threads the
workers run.
"""

import ctypes
from collections.abc import Callable, Sequence
from math import prod
from threading import get_ident
from typing import TYPE_CHECKING, Any

import numpy as np

from dnnkit.backends.acting import act_for, acting
from dnnkit.backends.aligned import address, zeros
from dnnkit.backends.blas_threads import blas_threads
from dnnkit.backends.numba_backend.backend import NumbaBackend
from dnnkit.backends.numba_backend.bytecode import DIFFERENTIATING, MEASURING, Purpose, is_divided
from dnnkit.backends.numba_backend.own_measures import own_losses, own_metrics
from dnnkit.backends.numba_backend.partition import Partition, PartitionedLayout, StageShard, roles, stage_shards
from dnnkit.backends.numba_backend.spread import Spread, array_at, spread
from dnnkit.backends.numba_backend.wiring import Wiring
from dnnkit.backends.outputs import weights_of
from dnnkit.backends.program import Program
from dnnkit.backends.stages import Custom, is_trained
from dnnkit.backends.state import HostArray
from dnnkit.deferred import dataclass
from dnnkit.kernels import registry
from dnnkit.kernels._engine.structures import OWN, OWN_BACKWARD, OWN_FORWARD

if TYPE_CHECKING:
    from dnnkit.backends.numba_backend.runs import Batches

CALLBACK = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64, ctypes.c_int64, ctypes.c_int64, ctypes.c_int64)

WHOLE = "x", "y", "dy", "dx"
"""Arrays of a user-defined stage, as in OWN."""


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


class _Layer:
    """A user-defined stage: its functions, and the arrays that they read and write.

    Arrays are made once per number of rows. Where each worker has only a part, opcodes copy it to and from the whole
    (`kernels/_engine/own_parts.py`).
    """

    _x: HostArray | None
    _dy: HostArray | None
    """The whole arrays; None if they are where the structures say."""
    _y: HostArray
    _dx: HostArray

    def __init__(
        self, stage: Custom, home: HostArray, structures: Sequence[Any], worker: Any, gradients: list[list[HostArray]]
    ) -> None:
        self.stage, self._home, self._structure, self._worker = stage, home, structures[0], worker
        self._is_trained, self._gradients = is_trained(stage), gradients
        self._whole: dict[str, HostArray] = {}
        """The whole arrays, if each worker has a part."""
        self.owns = OWN.new(len(structures))
        for own, structure in zip(self.owns, structures, strict=True):
            structure.own = ctypes.addressof(own)
            own.y, own.dx = structures[0].y, structures[0].dx
            own.inputs, own.outputs = prod(stage.input_shape), prod(stage.output_shape)
        self._rows = -1

    def divide(self, rows: int, shards: Sequence[StageShard]) -> None:
        """Make whole arrays of up to `rows` rows, of which each worker has a part."""
        sizes = {"x": self.stage.input_shape, "y": self.stage.output_shape}
        sizes |= {"dx": sizes["x"], "dy": sizes["y"]}
        self._whole = {name: zeros((rows, *sizes[name]), self._home.dtype.name) for name in WHOLE}
        for own, shard in zip(self.owns, shards, strict=True):
            own.first_input, own.first_output = shard.inputs.start, shard.outputs.start
            for name, array in self._whole.items():
                setattr(own, name, address(array))

    def begin(self, parameters: list[HostArray]) -> None:
        """Prepare for a run with these parameters."""
        self._parameters = parameters
        self._function = self.stage.function
        self.saved: Any = None

    def _begin_batch(self, rows: int) -> None:
        """Make the arrays for a batch of this many rows."""
        self._rows = rows
        self._xs, self._dys = dict[int, HostArray](), dict[int, HostArray]()
        """By address: inputs of the network rotate through several buffers, and the slope depends on the schedule."""
        if self._whole:
            self._x, self._y, self._dy, self._dx = (self._whole[name][:rows] for name in WHOLE)
            return
        self._x = self._dy = None
        self._y = array_at(self._home, self._structure.y, (rows, *self.stage.output_shape))
        self._dx = array_at(self._home, self._structure.dx, (rows, *self.stage.input_shape))

    def _at(self, views: dict[int, HostArray], place: int, shape: tuple[int, ...]) -> HostArray:
        found = views.get(place)
        if found is None:
            views[place] = found = array_at(self._home, place, (self._rows, *shape))
        return found

    def forward(self, rows: int, *, trains: bool) -> None:
        """Call forward."""
        if rows != self._rows:
            self._begin_batch(rows)
        x, out = self._x, self._y
        if x is None:
            x = self._at(self._xs, self._structure.x, self.stage.input_shape)
        y, saved = self._function.forward(np, x, *self._parameters)
        if trains:
            self.saved = saved, y.shape
        out[...] = y if y.shape == out.shape else y.reshape(out.shape)

    def backward(self, *, wants_dx: bool, by_rows: bool) -> None:
        """Call backward on the batch of the last forward."""
        (saved, shape), self.saved = self.saved, None
        dy, out = self._dy, self._dx
        if dy is None:
            dy = self._at(self._dys, self._worker.dy, self.stage.output_shape)
        if dy.shape != shape:
            dy = dy.reshape(shape)
        dx, *gradients = self._function.backward(np, dy, saved, *self._parameters)
        if self._is_trained:
            for gradient, (first, *others) in zip(gradients, self._gradients, strict=True):
                first[...] = np.reshape(gradient, first.shape)
                for other in others:
                    other[...] = 0 if by_rows else first  # by rows, all workers' gradients are summed
        if wants_dx:
            out[...] = dx if dx.shape == out.shape else dx.reshape(out.shape)


class OwnParts:
    """The user-defined parts of one team; the GIL is held only while they run."""

    def __init__(
        self,
        program: Program,
        wiring: Wiring,
        partition: Partition,
        layout: PartitionedLayout,
        memory: PartsMemory,
        rows: int,
    ) -> None:
        self._wiring, self._layout, self._memory = wiring, layout, memory
        self._workers = list(memory.workers)
        self._by_rows = partition.by == "rows" and partition.workers > 1
        self._layers = self._new_layers(program, partition, rows)
        self._measured: dict[tuple[int, int], tuple[Spread, Spread, Spread | None, Spread]] = {}
        loss = program.loss
        self._takes = "labels" if loss is None else loss.targets
        self._sums_up = loss is not None and loss.reduction == "sum"
        self._losses, self._metrics = own_losses(program), own_metrics(program)
        self._outputs, self._target_width = program.output_features, program.target_width
        self._head, self._operations = program.head, NumbaBackend()
        self._first = min(self._layers, default=-1)
        """The first stage that is called in a step; -1 if only loss and metrics are."""
        self._sums = self._before = np.zeros(0)
        self._batches: Batches | None = None
        self._trains = self._counts = False
        self._failure: BaseException | None = None
        self._caller, self._blas = acting(), blas_threads()
        self._thread, self._ready = 0, set[int]()
        """The thread of the last call, and all those that act for the caller in this run."""
        self.before_call: Callable[[], None] = lambda: None
        """Hook called before a step's parts, which may read the network: the trainer marks its numbers as changed."""
        self._callback = CALLBACK(self._call)
        self.address = ctypes.cast(self._callback, ctypes.c_void_p).value

    def begin(self, purpose: Purpose, parameters: HostArray, sums: HostArray, batches: "Batches | None" = None) -> None:
        """Prepare for a run with these parameters; loss and metrics are added to the sums."""
        self._trains, self._counts = purpose in DIFFERENTIATING, purpose in MEASURING
        self._sums, self._batches = sums, batches
        self._before = sums.copy()
        for layer in self._layers.values():
            layer.begin(self._of_layer(layer.stage, parameters))
        self._workers[0].failed, self._failure = 0, None
        self._caller, self._thread = acting(), get_ident()
        self._ready = {self._thread}

    def end(self) -> None:
        """Raise the error of a part that failed in the run."""
        failure, self._failure = self._failure, None
        self._batches = None
        for layer in self._layers.values():
            layer.saved = None
        try:
            if failure is not None:
                raise failure
        finally:
            del failure  # its traceback refers to this frame
        if self._workers[0].failed:  # Ctrl-C, before the call could record it
            raise KeyboardInterrupt

    def _call(self, kind: int, place: int, option: int, rows: int) -> int:
        """Call a part; return 0 if it failed.

        By then all of this has left the caches, so it takes several times as long as in a loop, and what counts is how
        much code and data it touches: everything is prepared that stays the same between steps.
        """
        try:
            if get_ident() != self._thread:
                self._act_for_caller()
            if kind == OWN_FORWARD:
                if place == self._first:
                    self._begin_step()
                self._layers[place].forward(rows, trains=self._trains)
            elif kind == OWN_BACKWARD:
                self._layers[place].backward(wants_dx=option > 0, by_rows=self._by_rows)
            else:
                if self._first < 0:
                    self._begin_step()
                self._measure(rows)
        except BaseException as error:  # raised at the end of the run; here it would only be printed
            self._failure = error
            if kind == OWN_BACKWARD:  # before the backward pass, nothing was added in this step
                self._sums[...] = self._before
            return 0
        return 1

    # -- the parts ---------------------------------------------------------------------------------------------------

    def _act_for_caller(self) -> None:
        """Make this thread behave as the one that began the run."""
        self._thread = thread = get_ident()
        if thread not in self._ready:
            act_for(self._caller)
            np.seterr(all="ignore")
            self._ready.add(thread)

    def _begin_step(self) -> None:
        """Prepare for the first call of a step, before anything is added to the sums."""
        self.before_call()
        self._blas.let_others()
        if self._trains:
            self._before[...] = self._sums

    def _measure(self, rows: int) -> None:
        batches = self._batches
        assert batches is not None
        given = batches.data.weights
        arrays = self._of_workers(rows, 0 if given is None else 1 if given.ndim == 1 else given.shape[1])
        scores, targets = (
            arrays[0].gathered(),
            self._targets(batches, rows) if self._takes == "any" else arrays[1].gathered(),
        )
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
        if self._counts:
            found += self._measured_by_metrics(scores, targets, weights)
        sums, first = self._sums[0], self._workers[0]
        for number, value in found:
            sums[number] += value
            if number == 0 and value != value and first.nan_step < 0:
                first.nan_step = first.step

    def _targets(self, batches: "Batches", rows: int) -> HostArray:
        """Return the batch's targets, of any shape, which no worker has gathered."""
        assert batches.data.targets is not None
        first = self._workers[0].step * batches.batch_size
        return batches.data.targets[batches.order[first : first + rows]]

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

    def _new_layers(self, program: Program, partition: Partition, rows: int) -> dict[int, _Layer]:
        """Return the user-defined stages by their place."""
        wiring, memory, layers = self._wiring, self._memory, dict[int, _Layer]()
        kinds, features = roles(wiring.stages, partition, wiring), prod(program.input_shape)
        shards = [stage_shards(wiring.stages, features, partition, n, wiring) for n in range(partition.workers)]
        for place, stage in enumerate(wiring.stages):
            if isinstance(stage, Custom):
                structures = [table[place] for table in memory.tables]
                layers[place] = layer = _Layer(
                    stage, memory.numbers, structures, self._workers[0], self._gradients_of(place)
                )
                if is_divided(kinds[place], partition):
                    layer.divide(rows, [each[place] for each in shards])
        return layers

    def _of_layer(self, stage: Custom, parameters: HostArray) -> list[HostArray]:
        """Return a stage's own parameters, within the first worker's."""
        starts = [self._layout.pieces[0, parameter.name].offset for parameter in stage.parameters]
        return [
            parameters[start : start + parameter.size].reshape(parameter.shape)
            for start, parameter in zip(starts, stage.parameters, strict=True)
        ]

    def _gradients_of(self, place: int) -> list[list[HostArray]]:
        """Return, per trained parameter, each worker's array for its gradient."""
        spare, stage = self._wiring.uses_spare(place), self._wiring.stages[place]
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

    def _of_workers(self, rows: int, weighted: int) -> tuple[Spread, Spread, Spread | None, Spread]:
        """Return scores, targets, row weights (with `weighted` per row, if any), and the gradient of the scores.

        By units, only that of worker 0: the others copy the gradient from there.
        """
        key = rows, weighted
        if key not in self._measured:
            memory, workers, wide = self._memory, self._workers if self._by_rows else self._workers[:1], self._outputs
            of_row = (self._target_width,) if self._takes == "values" else ()
            of_weights = (weighted,) if weighted > 1 else ()
            of_each = [slice(one.first_in_batch, one.first_in_batch + one.rows) for one in workers]

            def made(home: HostArray, name: str, *width: int) -> Spread:
                places = [getattr(worker, name) for worker in workers]
                return spread(home, places, of_each, (rows, *width))

            self._measured[key] = (
                made(memory.numbers, "scores", wide),
                made(memory.targets, "targets", *of_row),
                made(memory.weights, "weights", *of_weights) if weighted else None,
                made(memory.numbers, "dscores", wide),
            )
        return self._measured[key]
