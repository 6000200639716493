"""The executable of the CuPy backend: on its GPU, in the user's stream, with data that may be larger than memory.

A step of built-in parts is launched with the same arguments each time, since the GPU knows by itself which it is
(`timeline.py`). So it is recorded when it is first done, and launched again without Python (`recorded_step.py`). With
parts of the user's own, steps are done operation by operation, as by every backend.
"""

import threading
import weakref
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, replace
from functools import update_wrapper
from inspect import isfunction
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar

import numpy as np

from dnnkit.backends.cupy_backend.failures import in_our_words
from dnnkit.backends.cupy_backend.recorded_step import RecordedStep
from dnnkit.backends.cupy_backend.streaming import HostData, StreamedBatches
from dnnkit.backends.cupy_backend.timeline import CLOCK, RunningSums, Source, Timeline
from dnnkit.backends.diagnosis import in_words
from dnnkit.backends.executable import Executable
from dnnkit.backends.program import HostArray, Hyperparameters, Plan, Program, Totals
from dnnkit.backends.stagewise.batches import Batches, part
from dnnkit.backends.stagewise.buffers import Buffers
from dnnkit.backends.stagewise.executable import Epoch, StagewiseExecutable
from dnnkit.backends.stagewise.flat import Data
from dnnkit.errors import DeviceMemoryError
from dnnkit.kernels import registry
from dnnkit.kernels._cuda import products
from dnnkit.kernels._cuda.recording import recorded
from dnnkit.kernels.array import Array, namespace

if TYPE_CHECKING:
    from dnnkit.backends.cupy_backend.backend import CupyBackend

RESIDENT = 0.8
"""Share of the free memory that data may take for good; buffers of batches want the rest."""

PER_THREAD = 2
"""CUDA's number of a thread's own default stream, which CuPy uses with CUPY_CUDA_PER_THREAD_DEFAULT_STREAM=1."""

PREDICTIONS = 64 << 20
"""Bytes of predictions that are copied to the host together: enough for a copy at full speed."""

RECORDED = 6
"""Kinds of steps that are kept: whole ones and the last, of two chunks' memory, or of some streams."""

ELSEWHERE = ("request_stop", "give_up", "settle", "train_batch", "differentiate_batch", "predict_few")

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


def _on_gpu(
    method: Callable[Concatenate[Any, Arguments], Result],
) -> Callable[Concatenate[Any, Arguments], Result]:
    """The method on the backend's GPU; see `_entered`."""

    def run(self: Any, /, *arguments: Arguments.args, **options: Arguments.kwargs) -> Result:
        with self._entered():
            return method(self, *arguments, **options)

    update_wrapper(run, method)
    return run


def _all_on_gpu(kind: type["CupyExecutable"]) -> type["CupyExecutable"]:
    """Every method that an executable has, but for those that touch no array, one of which a signal handler calls."""
    for name in dir(Executable):
        method = getattr(kind, name)
        if not name.startswith("_") and name not in ELSEWHERE and isfunction(method):
            setattr(kind, name, _on_gpu(method))
    return kind


@dataclass(kw_only=True)
class TimedEpoch(Epoch):
    """An epoch whose steps the GPU counts; its `measured` are `RunningSums`."""

    timeline: Timeline
    rows: int
    scales: HostArray
    """Of the loss's gradient, by step."""

    @property
    def whole(self) -> int:
        """Steps before the one whose batch is smaller."""
        return self.rows // self.batch_size


@_all_on_gpu
class CupyExecutable(StagewiseExecutable):
    """A program on one GPU."""

    gives_up = False  # a thread of its own would have to be told of the GPU; there no step takes a second
    _backend: "CupyBackend"
    cache_aligned = True
    """cuBLAS has faster kernels for matrices that begin with 16 bytes, and ours read four numbers at a time."""
    _stream: Any = None
    """The one that the last work was given to."""
    _done: Any = None
    """When that is over, where nobody else can ask its stream."""
    _copies: Any = None
    """The one that chunks of data are sent in."""
    records = makes_graphs = True
    """Whether steps are recorded, and graphs made of them: bits are the same either way."""

    def __init__(self, backend: "CupyBackend", program: Program, plan: Plan) -> None:
        self._backend = backend
        self._prepared: set[tuple[Any, ...]] = set()
        """What `prepare` has seen."""
        self._timelines: list[Timeline] = []
        """Those that no epoch uses now."""
        self._is_timed = program.loss is not None and backend.unsupported_reason(program) is None
        """Whether the GPU counts the steps: all parts have kernels."""
        self._in_loss = next(filter(backend.is_in_loss, program.metrics), None)
        """The metric that the loss's launch sums, too."""
        others = [metric for metric in program.metrics if metric is not self._in_loss]
        summed = [*([] if self._in_loss is None else [self._in_loss]), *others]
        self._at = 0
        """The next step of the epoch."""
        self._places = [1 + summed.index(metric) for metric in program.metrics]
        """Where among the totals each metric's sum is; the loss's is the first."""
        with self._entered():
            super().__init__(backend, program, plan)

    @contextmanager
    def _entered(self) -> Iterator[None]:
        """On the backend's GPU, after what was done before in another stream; failures are said in our words."""
        backend, cuda = self._backend, self._backend.xp.cuda
        with backend.stay_on_device():
            stream = cuda.get_current_stream()
            self._after_work_before(stream)
            try:
                yield
            except cuda.memory.OutOfMemoryError as error:
                self._release(buffers=True)
                free, total = backend.memory()
                wanted = getattr(error, "_size", None)
                raise DeviceMemoryError(
                    f"{backend.device} has too little memory: {in_words(wanted) if wanted else 'more'} wanted at once, "
                    f"{in_words(free)} of {in_words(total)} free. Smaller batches and smaller layers need less; data "
                    "given as NumPy arrays is sent in chunks where it does not fit"
                ) from error
            except Exception as error:
                if (found := in_our_words(error, f"GPU {backend.number}")) is None:
                    raise
                if isinstance(found, DeviceMemoryError):
                    self._release(buffers=True)
                raise found from error
            finally:
                self._stream = stream  # other threads may have been here meanwhile
                if stream.ptr == PER_THREAD:
                    with suppress(Exception):  # of a GPU that has failed: then there is nothing to wait for
                        self._done = stream.record()

    def _after_work_before(self, stream: Any) -> None:
        """Let the stream wait for what was done in another.

        Each thread's own default stream has the same number, and equals every other thread's, so those are waited for
        by an event that their thread has left.
        """
        if self._done is not None:
            stream.wait_event(self._done)
        elif self._stream is not None and stream != self._stream:
            stream.wait_event(self._stream.record())
        self._stream, self._done = stream, None

    def _release(self, buffers: bool) -> None:
        """Give back what the next epoch makes again: data of the last; and `buffers`, where a batch was too large."""
        if self.epoch is not None:
            self.epoch.batches = None
        for timeline in (*self._timelines, getattr(self.epoch, "timeline", None)):
            if timeline is not None:  # what was recorded holds on to all memory that it uses
                timeline.forget_steps()
        if buffers and "_training" in self.__dict__:
            self._training.buffers.release()
            self._idle.release()
            self._timelines.clear()
            products.forget()

    # -- data --------------------------------------------------------------------------------------------------------

    def load(self, x: Array, y: Array | None, weights: Array | None) -> Data:
        """Uploaded once, if there is room; else data of the host stay there, and chunks of them are sent."""
        loss, dtype = self.program.loss, np.dtype(self.program.dtype)
        kept = self._backend.keeps_dtype(namespace(x), x.dtype)
        labels = loss is not None and loss.targets == "labels"
        dtypes = (x.dtype if kept else dtype, np.dtype(np.int64) if labels else dtype, dtype)
        given = [(array, kind) for array, kind in zip((x, y, weights), dtypes, strict=True) if array is not None]
        size = sum(int(np.prod(a.shape)) * kind.itemsize for a, kind in given if not self._backend.owns(a))
        if self.epoch is None or self.epoch.is_over:
            self._release(buffers=size > RESIDENT * self._backend.memory()[0])
        if self._backend.owns(x) or size <= RESIDENT * self._backend.memory()[0]:
            data = super().load(x, y, weights)
            return replace(data, x=self._xp.ascontiguousarray(data.x))  # a batch is gathered from whole rows
        self.plan = replace(self.plan, details={**self.plan.details, "data": "larger than memory: sent in chunks"})
        y, weights = (None if array is None else self._backend.to_numpy(array) for array in (y, weights))
        sums = None if weights is None else weights.astype(dtype).astype(np.float64)
        return self._examined(HostData(x.reshape(len(x), -1), y, weights, sums, dtypes))

    def _feed(self, data: Data, order: HostArray, batch_size: int, buffers: Buffers) -> Batches:
        if not isinstance(data, HostData):
            return super()._feed(data, order, batch_size, buffers)
        if self._copies is None:
            self._copies = self._xp.cuda.Stream(non_blocking=True)
        parts = (self._backend, buffers, self._rescale, self._dtype)
        return StreamedBatches(*parts, data, order, batch_size, copies=self._copies)

    # -- training ----------------------------------------------------------------------------------------------------

    def prepare(  # noqa: D102
        self, data: Data, batch_size: int, hyperparameters: Hyperparameters, held_out: Data | None = None
    ) -> None:
        for each, compiles in ((data, self._compile), (held_out, self._compile_evaluation)):
            if each is None:
                continue
            rows = min(batch_size, len(each))
            kind = compiles.__name__, str(each.x.dtype), each.weights is None, rows, hyperparameters.clip_norm is None
            if kind not in self._prepared:
                if not self.program.custom_parts:  # these may remember that they were called: the first step does that
                    compiles(each, rows, hyperparameters)
                self._backend.wait()
                self._prepared.add(kind)

    def _compile_evaluation(self, data: Data, rows: int, hyperparameters: Hyperparameters) -> None:
        """As `_compile`, by an evaluation."""
        if self._is_timed:
            self._summed(data, np.arange(rows), rows, self._parameters)
        else:
            self._compile_operations(data, rows)

    def _compile_operations(self, data: Data, rows: int) -> None:
        x, y, weights = self._feed(data, np.arange(rows), rows, self._training.buffers).batch(0)
        _, scores, _ = self._backpropagate(x, y, weights, float(rows))
        self._measure(scores, y, weights)

    def _compile(self, data: Data, rows: int, hyperparameters: Hyperparameters) -> None:
        """Let kernels be compiled and cuBLAS begin, by a step that changes nothing."""
        assert self._rule is not None, "the network checks that it is compiled"
        epoch = self._new_epoch(data, np.arange(rows), rows)
        if epoch is not None:
            self._differentiate(epoch, self._source(epoch, 0), rows)
            rate: Any = epoch.timeline.numbers[1:]
        else:
            self._compile_operations(data, rows)
            rate = 0.0
        few = [array[:1].copy() for array in (self._parameters, self._gradient, *self._slots)]
        numbers = [hyperparameters.constants[name] for name in self._rule.hyperparameters]
        if hyperparameters.clip_norm is not None:
            self._backend.clip_norm(few[1], hyperparameters.clip_norm, out=few[1])
        self._backend.update(self._rule, 1, few[0], few[1], few[2:], rate, *numbers)

    def begin_epoch(self, data: Data, order: HostArray, batch_size: int) -> None:  # noqa: D102
        if self.epoch is not None and self.epoch.is_over:
            self.epoch = None  # type: ignore[assignment]  # so that the next has its memory, and what was recorded with it
        epoch = self._new_epoch(data, order, batch_size)
        if epoch is None:
            super().begin_epoch(data, order, batch_size)
        else:
            self.epoch = epoch
            self._stop = self._is_given_up = False

    def _new_epoch(self, data: Data, order: HostArray, batch_size: int) -> TimedEpoch | None:
        """None where the GPU cannot count the steps."""
        if not self._is_timed or data.y is None:
            return None
        weights = self._weight_sums(data, order, batch_size)
        is_sum = self._reduction == "sum"
        scales = np.ones_like(weights) if is_sum else np.divide(1.0, weights, out=0 * weights, where=weights != 0)
        here, steps = not isinstance(data, HostData), len(weights)
        timeline = self._timeline(steps, len(order) if here else 0)
        batches = None if here else self._feed(data, order, batch_size, self._training.buffers)
        if batches is not None:
            timeline.forget_steps()  # with memory of other chunks
        arrays = (data.x, data.y, data.weights) if here else ()
        timeline.begin(order if here else order[:0], tuple([_address(array) for array in arrays]))
        measured = RunningSums(timeline.totals, timeline.clock, self._places, self._reduction)
        source: Any = _Resident(Source(data, timeline.order)) if batches is None else batches
        known: Any = batch_size, source, weights, measured
        epoch = TimedEpoch(*known, timeline=timeline, rows=len(order), scales=scales)
        weakref.finalize(epoch, self._timelines.append, timeline).atexit = False
        return epoch

    def _timeline(self, steps: int, rows: int) -> Timeline:
        """One that nobody uses, if it has room."""
        while self._timelines:
            timeline = self._timelines.pop()
            if timeline.steps >= steps and timeline.rows >= rows:
                return timeline
        assert self._rule is not None, "the network checks that it is compiled"
        constants = [0.5] * len(self._rule.hyperparameters)
        of_step = registry.version("optimizer_step", "gpu").of_step(self._rule.name, 1, 0.0, *constants)
        return Timeline(self._backend, self.program.dtype, steps, rows, 1 + len(of_step), 1 + len(self._places))

    def run_steps(self, first: int, last: int, hyperparameters: Hyperparameters) -> int:  # noqa: D102
        epoch = self.epoch
        if not isinstance(epoch, TimedEpoch):
            step = super().run_steps(first, last, hyperparameters)
        else:
            self._tell(epoch, first, last, hyperparameters)
            self._at, begun_at = first, self.state.step
            try:
                while self._at < last and not self._stop:
                    self._advance(epoch, last, hyperparameters)
            except BaseException:
                epoch.timeline.doubt()  # how far the GPU has come
                raise
            finally:
                step = self._at
                self._passed(epoch, first, step)
                self.state.step = begun_at + step - first
            self._stop = self._is_given_up = False
        epoch.is_over = step == len(epoch.batch_weights)
        return step

    def _tell(self, epoch: TimedEpoch, first: int, last: int, hyperparameters: Hyperparameters) -> None:
        """Let the GPU know what differs between those steps."""
        assert self._rule is not None, "the network checks that it is compiled"
        constants = [hyperparameters.constants[name] for name in self._rule.hyperparameters]
        steps = zip(epoch.scales[first:last].tolist(), hyperparameters.learning_rates.tolist(), strict=True)
        name, begun, of_step = self._rule.name, self.state.step + 1, registry.version("optimizer_step", "gpu").of_step
        numbers = [(scale, *of_step(name, begun + n, rate, *constants)) for n, (scale, rate) in enumerate(steps)]
        epoch.timeline.tell(first, self.state.step, numbers)

    def _passed(self, epoch: TimedEpoch, first: int, step: int) -> None:
        epoch.timeline.passed(step)
        epoch.measured.passed(epoch.batch_weights[first:step])  # type: ignore[attr-defined]

    def _advance(self, epoch: TimedEpoch, last: int, hyperparameters: Hyperparameters) -> None:
        """Do some of the steps that are left."""
        step = self._at
        source = self._source(epoch, step)
        is_whole = step < epoch.whole
        rows = epoch.batch_size if is_whole else epoch.rows - epoch.whole * epoch.batch_size
        many = min(last, epoch.whole, step + source.steps) - step if is_whole else 1
        if not self.records:
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
        """All that a recorded step's launches depend on. What was recorded holds its arrays, so addresses tell."""
        data = source.data
        arrays = (data.x, data.y, data.weights, source.order, self._parameters, self._gradient, *self._slots)
        addresses = tuple(map(_address, arrays))
        constants = tuple(sorted(hyperparameters.constants.items())), hyperparameters.clip_norm
        return addresses, rows, source.period, stream.ptr, threading.get_ident(), constants

    def _say(self, step: RecordedStep) -> None:
        """In the plan, for people."""
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
        self._tell(epoch, step, step + 1, replace(hyperparameters, learning_rates=np.array([learning_rate])))
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
        """The next step of the epoch, launch by launch, of the numbers that the GPU was told."""
        self._differentiate(epoch, source, rows, mark)
        rate: Any = epoch.timeline.numbers[1:]
        self._apply_update(rate, hyperparameters)
        mark("update")

    def _differentiate(
        self, epoch: TimedEpoch, source: Source, rows: int, mark: Callable[[str], None] = lambda part: None
    ) -> None:
        """Loss and metrics of the step to the running sums; the gradient in parameters to `_gradient`."""
        buffers, stages, timeline = self._training.buffers, self._training.stages, epoch.timeline
        x, y, weights = self._gathered(epoch, source, rows)
        mark("inputs")
        clock: Any = timeline.clock  # by which dropout draws
        scores, saved = stages.forward(self._parameters, x, training=True, step=clock)
        out = buffers.get("dscores", tuple(scores.shape))
        self._add_sums(scores, y, weights, timeline.numbers, timeline.clock, timeline.totals, out, buffers)
        mark("loss and metrics")
        _, gradients = stages.backward(self._parameters, out, saved, False, out=self._gradient)
        self._gradient = self._pack(gradients, self._gradient)
        mark("update")

    def _gathered(self, epoch: TimedEpoch, source: Source, rows: int) -> tuple[Array, Array, Array | None]:
        """Inputs, targets and row weights of the next step, which begins."""
        data, timeline, buffers = source.data, epoch.timeline, self._training.buffers
        x = buffers.get("x", (rows, data.x.shape[1]))

        def pair(name: str, values: Array | None) -> tuple[Array, Array] | None:
            """All of them, and memory for the batch's."""
            if values is None:
                return None
            return values, buffers.get(name, (rows, *values.shape[1:]), dtype=values.dtype)

        targets, weights = pair("y", data.y), pair("weights", data.weights)
        assert targets is not None, "an epoch has targets"
        self._backend.gather_batch(
            *(data.x, source.order, self._rescale, x, targets, weights, timeline.table),
            *(timeline.numbers, timeline.clock, epoch.batch_size, source.period),
        )
        return x, targets[1], None if weights is None else weights[1]

    def _add_sums(
        self,
        scores: Array,
        y: Array | None,
        weights: Array | None,
        numbers: Array,
        clock: Array,
        totals: Array,
        out: Array,
        buffers: Buffers,
    ) -> None:
        """The loss's gradient to out; its sum, and those of the metrics, are added to totals."""
        assert self.program.loss is not None, "the network checks that it is compiled"
        self._backend.end_step(self.program.loss, self._in_loss, scores, y, weights, numbers, clock, totals, out)
        others = [pair for pair in zip(self.program.metrics, self._places, strict=True) if pair[0] is not self._in_loss]
        predictions = scores
        if any(metric.reads_predictions for metric, _ in others):
            predictions = buffers.get("predictions", tuple(scores.shape))
            predictions = self._backend.activation(self._head, scores, out=predictions)
        for metric, place in others:
            read = predictions if metric.reads_predictions else scores
            self._backend.add_metric(metric, read, y, weights, totals[place : place + 1])

    def evaluate(self, data: Data, batch_size: int, parameters: Array | None = None) -> Totals:  # noqa: D102
        if not self._is_timed or data.y is None:
            return super().evaluate(data, batch_size, parameters)
        parameters = self._parameters if parameters is None else parameters
        return self._summed(data, np.arange(len(data)), batch_size, parameters).read()

    def _summed(self, data: Data, order: HostArray, batch_size: int, parameters: Array) -> RunningSums:
        """Loss and metrics of those rows, dropout off."""
        backend, batch_weights = self._backend, self._weight_sums(data, order, batch_size)
        totals, clock = backend.zeros(1 + len(self._places), np.float64), backend.zeros(CLOCK, np.int64)
        numbers = backend.zeros(1, self.program.dtype)  # of no gradient
        with self._workspace() as work:
            feed = self._feed(data, order, batch_size, work.buffers)
            for step in range(len(batch_weights)):
                x, y, weights = feed.batch(step)
                scores, _ = work.stages.forward(parameters, x, training=False, step=self.state.step)
                out = work.buffers.get("dscores", tuple(scores.shape))
                self._add_sums(scores, y, weights, numbers, clock, totals, out, work.buffers)
        sums = RunningSums(totals, clock, self._places, self._reduction)
        sums.passed(batch_weights)
        return sums

    def _pack(self, parts: list[Array], out: Array) -> Array:
        """Built-in stages have already written into views of `out`; a user's own layer has not."""
        begin = out.data.ptr
        for array, name in zip(parts, self._layout.names, strict=True):
            if array.data.ptr != begin + self._layout.offset(name) * out.itemsize:
                place = self._layout.view(out, name, self._xp)
                self._xp.copyto(place, array.reshape(place.shape))
        return out

    # -- inference ---------------------------------------------------------------------------------------------------

    def predict(self, data: Data, batch_size: int, parameters: Array | None = None) -> HostArray:
        """As everywhere, but they are copied to the host, and waited for, together."""
        outputs, dtype = self.program.output_features, np.dtype(self.program.dtype)
        room = 0 if len(data) <= batch_size else min(PREDICTIONS, self._backend.memory()[0] // 8)
        together = max(1, room // (outputs * dtype.itemsize * batch_size))  # batches
        place = self._backend.buffer((min(len(data), together * batch_size), outputs), dtype)
        copied: list[HostArray] = []

        def keep(step: int, scores: Array) -> None:
            if step and step % together == 0:
                copied.append(self._backend.to_numpy(place))
            out = part(place, step % together, batch_size)[: len(scores)]
            predictions = self._backend.activation(self._head, scores, out=out)
            if predictions.data.ptr != out.data.ptr:
                self._xp.copyto(out, predictions)

        self._score(data, batch_size, parameters, keep)
        copied.append(self._backend.to_numpy(place[: len(data) - sum(map(len, copied))]))
        return copied[0] if len(copied) == 1 else np.concatenate(copied)


def _address(array: Array | None) -> int:
    return 0 if array is None else int(array.data.ptr)


class _Resident:
    """Data that the GPU has, in the epoch's order."""

    def __init__(self, source: Source) -> None:
        self._source = source

    def at(self, step: int) -> Source:
        """Where the rows of every step are."""
        return self._source
