"""Default executable of every backend: one operation after another, stage by stage.

If the backend writes to buffers (`Operations.buffer`), they are allocated in the first step and reused.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from math import inf
from typing import Any

import numpy as np

from dnnkit.backends.executable import AfterBatch, Gradients
from dnnkit.backends.inspection import ROUNDS, Part, StepParts, Stopwatch, measured_step, part_names, still
from dnnkit.backends.operations import Operations
from dnnkit.backends.program import Program
from dnnkit.backends.stagewise import lifetimes
from dnnkit.backends.stagewise.accumulator import Accumulator
from dnnkit.backends.stagewise.batches import Batches, part
from dnnkit.backends.stagewise.buffers import Buffers, SharedBuffers
from dnnkit.backends.stagewise.flat import Data
from dnnkit.backends.stagewise.giant_step import is_giant
from dnnkit.backends.stagewise.measuring import Measuring
from dnnkit.backends.stagewise.pool import Pool
from dnnkit.backends.stagewise.stages import Stages
from dnnkit.backends.stagewise.updating import UpdatingExecutable
from dnnkit.backends.state import EpochSums, HostArray, Hyperparameters, Plan, Totals
from dnnkit.deferred import dataclass
from dnnkit.kernels.array import Array

IDLE = 4
"""Maximum number of idle prediction workspaces that are kept."""


@dataclass
class Epoch:
    """Batches of an epoch, the sums of their row weights, and what was measured so far."""

    batch_size: int
    batches: Batches | None
    """None once the epoch is over and its data are released."""
    batch_weights: HostArray
    measured: Accumulator
    is_over: bool = False


class Workspace:
    """The stages with their own buffers, for training or only for prediction."""

    def __init__(self, executable: "StagewiseExecutable", *, trains: bool) -> None:
        backend, layout, seed = executable._backend, executable._layout, executable.program.seed
        self.buffers = Buffers(backend, executable._dtype)
        if backend.shares_buffers:
            slots = lifetimes.of_gradients if trains else lifetimes.of_outputs
            connected = executable._stages, executable._sources, executable.program.gathered_widths
            self.buffers = SharedBuffers(backend, executable._dtype, slots(*connected))
        self.stages = Stages(backend, executable._stages, layout, self.buffers, seed, executable._sources)


class StagewiseExecutable(UpdatingExecutable):
    """A program on a backend's operations."""

    epoch: Epoch
    api_version = 2
    gives_up = True
    """Whether a step may run in a separate thread."""

    def __init__(self, backend: Operations, program: Program, plan: Plan) -> None:
        super().__init__(backend, program, plan)
        self._measuring = Measuring(backend, program)
        self._training, self._idle = Workspace(self, trains=True), Pool(IDLE)
        self._stop = self._is_given_up = False

    def _feed(self, data: Data, order: HostArray, batch_size: int, buffers: Buffers) -> Batches:
        """Return the batches of the data in this order."""
        return Batches(self._backend, buffers, self._rescale, self._dtype, data, order, batch_size)

    @contextmanager
    def _limited(self, rows: int) -> Iterator[Callable[[], None]]:
        """Limit threads for batches of `rows` rows; yield a function that lets others run between batches."""
        with self._backend.thread_limit(self.program, rows) as let_others:
            yield let_others or (lambda: None)

    # -- training ----------------------------------------------------------------------------------------------------

    def begin_epoch(self, data: Data, order: HostArray, batch_size: int) -> None:  # noqa: D102
        batches = self._feed(data, order, batch_size, self._training.buffers)
        weights = self._weight_sums(data, order, batch_size)
        self.epoch = Epoch(batch_size, batches, weights, self._accumulator())
        self._stop = self._is_given_up = False

    def _accumulator(self) -> Accumulator:
        return Accumulator(self.program.metrics, self._reduction, self._backend)

    def run_steps(self, first: int, last: int, hyperparameters: Hyperparameters) -> int:  # noqa: D102
        step, rates = first, hyperparameters.learning_rates
        if self.gives_up and is_giant(self._layout.size, self.epoch.batch_size):
            while step < last and not self._stop:
                now = hyperparameters if hyperparameters.is_plain else hyperparameters.at(step - first)
                work = partial(self._run_giant, step, float(rates[step - first]), now)
                step += self._giant_step.run(work, lambda: self._is_given_up)
        else:
            self._giant_step.wait()
            with self._limited(self.epoch.batch_size) as let_others:
                while step < last and not self._stop:
                    let_others()
                    now = hyperparameters if hyperparameters.is_plain else hyperparameters.at(step - first)
                    self._run_step(step, float(rates[step - first]), now, may_change=lambda: True)
                    step += 1
        self._stop = self._is_given_up = False
        return step

    def _run_step(
        self,
        step: int,
        learning_rate: float,
        hyperparameters: Hyperparameters,
        may_change: Callable[[], bool],
        mark: Callable[[str], None] = lambda part: None,
    ) -> None:
        epoch = self.epoch
        assert epoch.batches is not None
        x, y, weights = epoch.batches.batch(step)
        mark("inputs")
        weight = float(epoch.batch_weights[step])
        loss, scores, _, losses = self._backpropagate(x, y, weights, weight, mark=mark)
        measured = self._measuring.metrics(scores, y, weights, losses)
        mark("loss and metrics")
        if may_change():
            epoch.measured.add(loss, weight, measured)
            self._apply_update(learning_rate, hyperparameters)
            self._take_statistics(self._training.stages.statistics)
            mark("update")

    def _run_giant(self, step: int, learning_rate: float, hyperparameters: Hyperparameters) -> None:
        with self._limited(self.epoch.batch_size):
            self._run_step(step, learning_rate, hyperparameters, self._giant_step.may_change)

    def request_stop(self) -> None:  # noqa: D102
        self._stop = True

    def give_up(self) -> None:  # noqa: D102
        self._stop = self._is_given_up = True

    def totals(self) -> Totals:  # noqa: D102
        return self.epoch.measured.read()

    def sums(self) -> EpochSums | None:  # noqa: D102
        return self.state.sums if self.epoch is None else self.epoch.measured.sums()

    def go_on_from(self, sums: EpochSums) -> None:  # noqa: D102
        assert self.epoch is not None
        self.epoch.measured.go_on_from(sums, self.state.position)

    def gradients(self, data: Data, *, with_input: bool = False) -> Gradients:  # noqa: D102
        order = np.arange(len(data))
        weight = float(self._weight_sums(data, order, len(data))[0])
        self._giant_step.wait()
        with self._limited(len(data)):
            x, y, weights = self._feed(data, order, len(data), self._training.buffers).batch(0)
            total, _, dx, _ = self._backpropagate(x, y, weights, weight, needs_dx=with_input)
            if with_input:
                dx = self._backend.affine(dx, self._rescale.scale, 0.0)
        loss = float(total) if self._reduction == "sum" else float(total) / (weight or 1.0)
        return Gradients(loss, self._trained.views(self._gradient, self._xp), dx if with_input else None)

    def differentiate_all(  # noqa: D102
        self, data: Data, numbers: Array, rows: int, is_wanted: Callable[[], bool]
    ) -> tuple[float, Array] | None:
        weights, whole, kept = self._weight_sums(data, np.arange(len(data)), rows), self.weight(data), self._parameters
        total, gradient = 0.0, None
        self._giant_step.wait()
        self._parameters = self._with_frozen(numbers)
        try:
            with self._limited(rows) as let_others:
                feed = self._feed(data, np.arange(len(data)), rows, self._training.buffers)
                for step in range(len(weights)):
                    if not is_wanted():
                        return None
                    let_others()
                    loss, *_ = self._backpropagate(*feed.batch(step), whole, penalizes=step == 0)
                    copy = self._xp.asarray(self._gradient, copy=True)  # the next chunk overwrites it
                    total, gradient = total + loss, copy if gradient is None else gradient + copy
        finally:
            self._parameters = kept
        return float(total) / (1.0 if self._reduction == "sum" else whole or 1.0), gradient

    def differentiate_part(  # noqa: D102
        self, data: Data, rows: HostArray, first: int, weight: float, out: HostArray
    ) -> list[float]:
        sums, stages = self._accumulator(), self._training.stages
        self._giant_step.wait()
        stages.rows_before = first
        try:
            with self._limited(len(rows)):
                x, y, weights = self._feed(data, rows, len(rows), self._training.buffers).batch(0)
                loss, scores, _, losses = self._backpropagate(x, y, weights, weight, penalizes=first == 0)
                sums.add(loss, weight, self._measuring.metrics(scores, y, weights, losses))
                out[...] = self._backend.to_numpy(self._gradient)
        finally:
            stages.rows_before = 0
        totals = sums.read()
        return [totals.loss, *totals.metrics]

    def update(self, gradients: Mapping[str, Array], hyperparameters: Hyperparameters) -> None:  # noqa: D102
        self._giant_step.wait()
        parts = [self._backend.asarray(gradients[name], self.program.dtype) for name in self._trained.names]
        self._gradient = self._pack(parts, self._gradient)
        with self._limited(1):
            self._apply_update(float(hyperparameters.learning_rates[0]), hyperparameters.at(0))

    def _backpropagate(
        self,
        x: Array,
        y: Array | None,
        weights: Array | None,
        weight: float,
        needs_dx: bool = False,
        mark: Callable[[str], None] = lambda part: None,
        *,
        penalizes: bool = True,
    ) -> tuple[Array, Array, Array, list[Array]]:
        """Return (loss sum, scores, gradient in x if requested, loss sum per output); parameters' go to `_gradient`."""
        buffers, stages = self._training.buffers, self._training.stages
        scores, saved = stages.forward(self._parameters, x, training=True, step=self.state.step)
        scale = 1.0 if self._reduction == "sum" else (1.0 / weight if weight else 0.0)
        out = buffers.get("dscores", tuple(scores.shape))
        loss, losses, d = self._measuring.loss(scores, y, weights, scale, out)
        mark("loss and metrics")
        dx, gradients = stages.backward(self._parameters, d, saved, needs_dx, out=self._gradient)
        self._gradient = self._pack(gradients, self._gradient)
        if penalizes:
            self._gradient = self._regularization.add_gradient(self._parameters, self._gradient)
            loss = loss + self._penalty(self._parameters, weight)
        mark("update")
        return loss, scores, dx, losses

    def _penalty(self, parameters: Array, weight: float) -> Array | float:
        """Return the penalty added to the loss of a batch of rows with this weight."""
        if not self.program.penalties:
            return 0.0
        return self._regularization.penalty(parameters) * (1.0 if self._reduction == "sum" else weight)

    def _take_statistics(self, statistics: Mapping[str, Array]) -> None:
        """Store the statistics that stages computed from the batch of a training step."""
        for name, value in statistics.items():
            self.write_parameter(name, value)

    def step_parts(self, data: Data, order: HostArray, batch_size: int) -> StepParts:  # noqa: D102
        measured, best = measured_step(self, data, order, batch_size), dict[Any, float]()
        watch, stages, steps = None, self._training.stages, -(-len(order) // batch_size)
        for _ in range(ROUNDS):
            self.begin_epoch(data, order, batch_size)
            with self._limited(batch_size):
                for step in range(steps):
                    watch = stages.mark = Stopwatch(self._backend.wait)
                    self._run_step(step, 0.0, still(self.program, 1), may_change=lambda: True, mark=watch)
                    best = {name: min(best.get(name, inf), seconds) for name, seconds in watch.seconds.items()}
        stages.mark = None
        of_stages = [Part(name, None, best[place]) for place, name in enumerate(part_names(self.program, self._stages))]
        inputs, losses, update = (Part(name, None, best[name]) for name in ("inputs", "loss and metrics", "update"))
        return StepParts((inputs, *of_stages, losses, update), None, measured, partition="")

    # -- inference ---------------------------------------------------------------------------------------------------

    def _workspace(self) -> AbstractContextManager[Workspace]:
        """Borrow a workspace for this caller alone."""
        return self._idle.borrowed(None, lambda: Workspace(self, trains=False))

    def evaluate(  # noqa: D102
        self, data: Data, batch_size: int, parameters: Array | None = None, after_batch: AfterBatch | None = None
    ) -> Totals:
        parameters = self._parameters if parameters is None else parameters
        sums, order = self._accumulator(), np.arange(len(data))
        with self._workspace() as work, self._limited(batch_size) as let_others:
            feed = self._feed(data, order, batch_size, work.buffers)
            for step, weight in enumerate(self._weight_sums(data, order, batch_size)):
                let_others()
                x, y, weights = feed.batch(step)
                scores, _ = work.stages.forward(parameters, x, training=False, step=self.state.step)
                out = work.buffers.get("dscores", tuple(scores.shape))
                loss, losses, _ = self._measuring.loss(scores, y, weights, 0.0, out)
                if step == 0 or self._reduction == "mean":  # a penalty in a sum over all rows counts once
                    loss = loss + self._penalty(parameters, float(weight))
                sums.add(loss, float(weight), self._measuring.metrics(scores, y, weights, losses))
                if after_batch is not None:
                    after_batch(step, sums.read())
        return sums.read()

    def predict(self, data: Data, batch_size: int, parameters: Array | None = None) -> HostArray:  # noqa: D102
        result = np.empty((len(data), self.program.output_features), self.program.dtype)

        def keep(step: int, scores: Array) -> None:
            predictions = self._measuring.predictions(scores)
            part(result, step, batch_size)[...] = self._backend.to_numpy(predictions)

        self._score(data, batch_size, parameters, keep)
        return result

    def _score(self, data: Data, batch_size: int, parameters: Array | None, keep: Callable[[int, Array], None]) -> None:
        """Pass each batch's number and scores, without dropout, to `keep`; the next batch may overwrite them."""
        parameters = self._parameters if parameters is None else parameters
        with self._workspace() as work, self._limited(batch_size) as let_others:
            feed = self._feed(data, np.arange(len(data)), batch_size, work.buffers)
            for step in range(-(-len(data) // batch_size)):
                let_others()
                x, _, _ = feed.batch(step)
                keep(step, work.stages.forward(parameters, x, training=False, step=self.state.step)[0])
