"""Executable whose GPU counts the steps of an epoch.

A step of built-in parts is launched with the same arguments each time, because the GPU keeps track of the step itself
(`timeline.py`). So it is recorded on its first execution and launched again without Python (`recorded_step.py`). With
user-defined parts, steps run operation by operation, as on every backend.
"""

import threading
import weakref
from collections.abc import Callable, Hashable, Mapping
from contextlib import nullcontext
from dataclasses import replace
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np

from dnnkit.backends.cupy_backend.recorded_step import RecordedStep
from dnnkit.backends.cupy_backend.step_sums import StepSums
from dnnkit.backends.cupy_backend.streaming import HostData
from dnnkit.backends.cupy_backend.timeline import CLOCK, RunningSums, Source, Timeline
from dnnkit.backends.executable import AfterBatch
from dnnkit.backends.program import Program
from dnnkit.backends.stagewise.executable import Epoch, StagewiseExecutable
from dnnkit.backends.stagewise.flat import Data
from dnnkit.backends.state import HostArray, Hyperparameters, Plan, Totals
from dnnkit.deferred import dataclass
from dnnkit.kernels import registry
from dnnkit.kernels._cuda.recording import recorded
from dnnkit.kernels.array import Array
from dnnkit.kernels.optimizer_step.reference import Rule
from dnnkit.kernels.stages.columns.gpu import copy

if TYPE_CHECKING:
    from dnnkit.backends.cupy_backend.backend import CupyBackend

RECORDED = 6
"""Number of recorded kinds of steps kept: full ones and the last, for the memory of two chunks, or several streams."""


@dataclass(kw_only=True)
class TimedEpoch(Epoch):
    """An epoch whose steps the GPU counts; its `measured` are `RunningSums`."""

    timeline: Timeline
    rows: int
    scales: HostArray
    """Scale of the loss's gradient, per step."""

    @property
    def whole(self) -> int:
        """Number of steps with a full batch."""
        return self.rows // self.batch_size


class TimedExecutable(StagewiseExecutable):
    """A program on one GPU, which counts its steps if all parts are built in."""

    _backend: "CupyBackend"
    records = makes_graphs = True
    """Whether steps are recorded, and built into graphs; bits are the same either way."""

    def __init__(self, backend: "CupyBackend", program: Program, plan: Plan) -> None:
        self._timelines: list[Timeline] = []
        """Timelines that no epoch uses now."""
        is_built_in = program.loss is not None and backend.unsupported_reason(program) is None
        self._is_timed = is_built_in and program.accumulation == 1 and not program.has_scheduled_dropout
        """Whether the GPU counts the steps: all parts have kernels, each step is an update, and no kernel takes a host
        number that differs from step to step.
        """
        self._at = 0
        """The next step of the epoch."""
        super().__init__(backend, program, plan)
        self._sums = StepSums(backend, program, self._regularization, self._measuring)
        self._of_step = _places_of_step(program, self._sums.numbers) if self._is_timed else {}
        """Places of each rule's and parameter group's numbers among a step's numbers."""

    def _forget_steps(self) -> None:
        """Drop recorded steps, which keep all memory that they use."""
        for timeline in (*self._timelines, getattr(self.epoch, "timeline", None)):
            if timeline is not None:
                timeline.forget_steps()

    def begin_epoch(self, data: Data, order: HostArray, batch_size: int) -> None:  # noqa: D102
        if self.epoch is not None and self.epoch.is_over:
            self.epoch = None  # type: ignore[assignment]  # so that the next one reuses its memory and recorded steps
        epoch = self._new_epoch(data, order, batch_size)
        if epoch is None:
            super().begin_epoch(data, order, batch_size)
        else:
            self.epoch = epoch
            self._stop = self._is_given_up = False

    def _new_epoch(self, data: Data, order: HostArray, batch_size: int) -> TimedEpoch | None:
        """Return a new epoch; None if the GPU cannot count the steps."""
        if not self._is_timed or data.y is None:
            return None
        weights = self._weight_sums(data, order, batch_size)
        is_sum = self._reduction == "sum"
        scales = np.ones_like(weights) if is_sum else np.divide(1.0, weights, out=0 * weights, where=weights != 0)
        here, steps = not isinstance(data, HostData), len(weights)
        timeline = self._timeline(steps, len(order) if here else 0)
        batches = None if here else self._feed(data, order, batch_size, self._training.buffers)
        if batches is not None:
            timeline.forget_steps()  # recorded with the memory of other chunks
        arrays = (data.x, data.y, data.weights) if here else ()
        timeline.begin(order if here else order[:0], tuple([_address(array) for array in arrays]))
        measured = RunningSums(timeline.totals, timeline.clock, self._sums.places, self._reduction)
        source: Any = _Resident(Source(data, timeline.order)) if batches is None else batches
        known: Any = batch_size, source, weights, measured
        epoch = TimedEpoch(*known, timeline=timeline, rows=len(order), scales=scales)
        weakref.finalize(epoch, self._timelines.append, timeline).atexit = False
        return epoch

    def _timeline(self, steps: int, rows: int) -> Timeline:
        """Return an unused timeline that is large enough, or a new one."""
        while self._timelines:
            timeline = self._timelines.pop()
            if timeline.steps >= steps and timeline.rows >= rows:
                return timeline
        numbers = self._sums.numbers + sum(place.stop - place.start for place in self._of_step.values())
        return Timeline(self._backend, self.program.dtype, steps, rows, numbers, self.program.measured)

    def run_steps(self, first: int, last: int, hyperparameters: Hyperparameters) -> int:  # noqa: D102
        epoch = self.epoch
        if not isinstance(epoch, TimedEpoch):
            step = super().run_steps(first, last, hyperparameters)
        else:
            self._write_numbers(epoch, first, last, hyperparameters)
            self._at, begun_at = first, self.state.step
            try:
                while self._at < last and not self._stop:
                    if hyperparameters.varies:  # whatever else differs from step to step is a launch argument
                        self._advance(epoch, self._at + 1, hyperparameters.at(self._at - first), records=False)
                    else:
                        self._advance(epoch, last, hyperparameters)
            except BaseException:
                epoch.timeline.doubt()  # how far the GPU has come is unknown
                raise
            finally:
                step = self._at
                self._passed(epoch, first, step)
                self.state.step = begun_at + step - first
            self._stop = self._is_given_up = False
        epoch.is_over = step == len(epoch.batch_weights)
        return step

    def _write_numbers(self, epoch: TimedEpoch, first: int, last: int, hyperparameters: Hyperparameters) -> None:
        """Write what differs between these steps to the GPU."""
        begun, of_step = self.state.step + 1, registry.version("optimizer_step", "gpu").of_step
        columns: list[Any] = [self._sums.numbers_of(epoch.scales[first:last], epoch.batch_weights[first:last])]
        for rule, group in self._of_step:
            own = hyperparameters.of_group(group)
            rates, constants = own.learning_rates.tolist(), None if own.varies else own.numbers(rule)
            columns.append(
                [
                    of_step(rule.name, begun + n, rate, *(own.at(n).numbers(rule) if constants is None else constants))
                    for n, rate in enumerate(rates)
                ]
            )
        numbers = [tuple(chain.from_iterable(row)) for row in zip(*columns, strict=True)]
        epoch.timeline.set_clock(first, self.state.step, numbers)

    def _numbers(
        self, rule: Rule, group: int, learning_rate: Any, hyperparameters: Hyperparameters
    ) -> tuple[Any, list[float]]:
        if not self._backend.owns(learning_rate):
            return super()._numbers(rule, group, learning_rate, hyperparameters)
        place = self._of_step[rule, group]
        return learning_rate[place], hyperparameters.of_group(group).numbers(rule)

    def _passed(self, epoch: TimedEpoch, first: int, step: int) -> None:
        epoch.timeline.passed(step)
        epoch.measured.passed(epoch.batch_weights[first:step])  # type: ignore[attr-defined]

    def _advance(self, epoch: TimedEpoch, last: int, hyperparameters: Hyperparameters, *, records: bool = True) -> None:
        """Run some of the remaining steps."""
        step = self._at
        source = self._source(epoch, step)
        is_whole = step < epoch.whole
        rows = epoch.batch_size if is_whole else epoch.rows - epoch.whole * epoch.batch_size
        many = min(last, epoch.whole, step + source.steps) - step if is_whole else 1
        if not (self.records and records):
            self._do_step(epoch, source, rows, hyperparameters)
            self._at += 1
            return
        kinds, stream = epoch.timeline.steps_recorded, self._xp.cuda.get_current_stream()
        kind = self._kind(source, rows, stream, hyperparameters)
        if (known := kinds.get(kind)) is not None:
            before = known.launched
            try:
                known.run(many, lambda: self._stop)
            finally:
                self._at += known.launched - before
            if is_whole:
                self._say(known)
            return
        with recorded() if many > 1 or epoch.timeline.knows(kind) else nullcontext() as recording:
            self._do_step(epoch, source, rows, hyperparameters)
        self._at += 1
        if recording is not None and not recording.why_not:
            while len(kinds) >= RECORDED:
                kinds.pop(next(iter(kinds)))
            kinds[kind] = RecordedStep(recording, self._xp, stream, self.makes_graphs)
            if is_whole or not epoch.whole:
                self._say(kinds[kind])

    def _kind(self, source: Source, rows: int, stream: Any, hyperparameters: Hyperparameters) -> Hashable:
        """Return everything that a recorded step's launches depend on. Recordings hold their arrays, so addresses
        identify them.
        """
        data = source.data
        arrays = (data.x, data.y, data.weights, source.order, self._parameters, self._gradient, *self._slots)
        addresses = tuple(map(_address, arrays))
        each = hyperparameters, *hyperparameters.groups
        constants = tuple(tuple(sorted(own.constants.items())) for own in each)
        bounds = hyperparameters.clip_norm, hyperparameters.clip_each, hyperparameters.clip_value
        return addresses, rows, source.period, stream.ptr, threading.get_ident(), constants, bounds

    def _say(self, step: RecordedStep) -> None:
        """Describe the step in the plan."""
        if (words := step.words()) != self.plan.details.get("step"):
            self.plan = replace(self.plan, details={**self.plan.details, "step": words})

    def _source(self, epoch: TimedEpoch, step: int) -> Source:
        batches: Any = epoch.batches
        source: Source = batches.at(step)
        return source

    def _run_step(
        self,
        step: int,
        learning_rate: float,
        hyperparameters: Hyperparameters,
        may_change: Callable[[], bool],
        mark: Callable[[str], None] = lambda part: None,
    ) -> None:
        epoch = self.epoch
        if not isinstance(epoch, TimedEpoch):
            super()._run_step(step, learning_rate, hyperparameters, may_change, mark)
            return
        self._write_numbers(epoch, step, step + 1, replace(hyperparameters, learning_rates=np.array([learning_rate])))
        rows = min(epoch.batch_size, epoch.rows - step * epoch.batch_size)
        self._do_step(epoch, self._source(epoch, step), rows, hyperparameters, mark)
        self._passed(epoch, step, step + 1)

    def _do_step(
        self,
        epoch: TimedEpoch,
        source: Source,
        rows: int,
        hyperparameters: Hyperparameters,
        mark: Callable[[str], None] = lambda part: None,
    ) -> None:
        """Run the next step of the epoch launch by launch, with the numbers already on the GPU."""
        self._differentiate(epoch, source, rows, mark)
        rate: Any = epoch.timeline.numbers
        self._apply_update(rate, hyperparameters)
        self._take_statistics(self._training.stages.statistics)
        mark("update")

    def _take_statistics(self, statistics: Mapping[str, Array]) -> None:
        if not self._is_timed:
            super()._take_statistics(statistics)
            return
        for name, value in statistics.items():
            copy(value, self._layout.part(self._parameters, name))

    def _differentiate(
        self, epoch: TimedEpoch, source: Source, rows: int, mark: Callable[[str], None] = lambda part: None
    ) -> None:
        """Add loss and metrics of the step to the running sums; write the parameters' gradient to `_gradient`."""
        buffers, stages, timeline = self._training.buffers, self._training.stages, epoch.timeline
        x, y, weights = self._gathered(epoch, source, rows)
        mark("inputs")
        clock: Any = timeline.clock  # by which dropout draws
        scores, saved = stages.forward(self._parameters, x, training=True, step=clock)
        out = buffers.get("dscores", tuple(scores.shape))
        now = timeline.numbers, timeline.clock, timeline.totals
        self._sums.add(scores, y, weights, *now, out, buffers, self._parameters)
        mark("loss and metrics")
        _, gradients = stages.backward(self._parameters, out, saved, False, out=self._gradient)
        self._gradient = self._pack(gradients, self._gradient)
        self._gradient = self._regularization.add_gradient(self._parameters, self._gradient)
        mark("update")

    def _gathered(self, epoch: TimedEpoch, source: Source, rows: int) -> tuple[Array, Array, Array | None]:
        """Return inputs, targets and row weights of the next step, which begins here."""
        data, timeline, buffers = source.data, epoch.timeline, self._training.buffers
        x = buffers.get("x", (rows, data.x.shape[1]))

        def pair(name: str, values: Array | None) -> tuple[Array, Array] | None:
            """Return all values, and memory for those of the batch."""
            if values is None:
                return None
            return values, buffers.get(name, (rows, *values.shape[1:]), dtype=values.dtype)

        of_outputs = data.weights is not None and data.weights.ndim > 1
        targets, weights = pair("y", data.y), pair("weights of outputs" if of_outputs else "weights", data.weights)
        assert targets is not None, "an epoch has targets"
        self._backend.gather_batch(
            *(data.x, source.order, self._rescale, x, targets, weights, timeline.table),
            *(timeline.numbers, timeline.clock, epoch.batch_size, source.period),
        )
        return x, targets[1], None if weights is None else weights[1]

    def evaluate(  # noqa: D102
        self, data: Data, batch_size: int, parameters: Array | None = None, after_batch: AfterBatch | None = None
    ) -> Totals:
        if not self._is_timed or data.y is None or after_batch is not None:
            return super().evaluate(data, batch_size, parameters, after_batch)
        parameters = self._parameters if parameters is None else parameters
        return self._summed(data, np.arange(len(data)), batch_size, parameters).read()

    def _summed(self, data: Data, order: HostArray, batch_size: int, parameters: Array) -> RunningSums:
        """Sum loss and metrics over these rows, without dropout."""
        backend, batch_weights = self._backend, self._weight_sums(data, order, batch_size)
        totals, clock = backend.zeros(self.program.measured, np.float64), backend.zeros(CLOCK, np.int64)
        numbers = backend.zeros(self._sums.numbers, self.program.dtype)  # no gradient
        with self._workspace() as work:
            feed = self._feed(data, order, batch_size, work.buffers)
            for step in range(len(batch_weights)):
                x, y, weights = feed.batch(step)
                scores, _ = work.stages.forward(parameters, x, training=False, step=self.state.step)
                out = work.buffers.get("dscores", tuple(scores.shape))
                self._sums.add(scores, y, weights, numbers, clock, totals, out, work.buffers)
        self._sums.add_penalties(parameters, totals, float(np.sum(batch_weights)))
        sums = RunningSums(totals, clock, self._sums.places, self._reduction)
        sums.passed(batch_weights)
        return sums


def _address(array: Array | None) -> int:
    return 0 if array is None else int(array.data.ptr)


class _Resident:
    """Data resident on the GPU, in the epoch's order."""

    def __init__(self, source: Source) -> None:
        self._source = source

    def at(self, step: int) -> Source:
        """Return where the rows of every step are."""
        return self._source


def _places_of_step(program: Program, end: int) -> dict[tuple[Rule, int], slice]:
    """Return, per rule and parameter group, its places among a step's numbers, starting at `end`."""
    of_step, places = registry.version("optimizer_step", "gpu").of_step, dict[tuple[Rule, int], slice]()
    for rule in program.rules:
        count = len(of_step(rule.name, 1, 0.0, *[0.5] * len(rule.hyperparameters)))
        for group in range(1 + len(program.groups) if rule is program.rules[0] else 1):
            places[rule, group] = slice(end, end + count)
            end += count
    return places
