"""Executable of the CuPy backend: on its GPU, in the user's stream, with data that may exceed the GPU's memory."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import replace
from functools import update_wrapper
from inspect import isfunction
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar

import numpy as np

from dnnkit.backends.cupy_backend.failures import translated
from dnnkit.backends.cupy_backend.streaming import HostData, StreamedBatches
from dnnkit.backends.cupy_backend.timed_executable import TimedExecutable
from dnnkit.backends.diagnosis import in_words
from dnnkit.backends.executable import Executable
from dnnkit.backends.program import Program
from dnnkit.backends.stagewise.batches import Batches, part
from dnnkit.backends.stagewise.buffers import Buffers
from dnnkit.backends.stagewise.flat import Data
from dnnkit.backends.state import HostArray, Hyperparameters, Plan
from dnnkit.errors import DeviceMemoryError
from dnnkit.kernels._cuda import products
from dnnkit.kernels._cuda.recording import refuse
from dnnkit.kernels.array import Array, namespace
from dnnkit.kernels.stages.columns.gpu import copy

if TYPE_CHECKING:
    from dnnkit.backends.cupy_backend.backend import CupyBackend

RESIDENT = 0.8
"""Fraction of the free memory that resident data may take; the rest is for batch buffers."""

PER_THREAD = 2
"""CUDA's handle of the per-thread default stream, which CuPy uses with CUPY_CUDA_PER_THREAD_DEFAULT_STREAM=1."""

PREDICTIONS = 64 << 20
"""Bytes of predictions that are copied to the host at once, enough for full transfer speed."""

ELSEWHERE = ("request_stop", "give_up", "settle", "train_batch", "differentiate_batch", "predict_few")

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


def _on_gpu(
    method: Callable[Concatenate[Any, Arguments], Result],
) -> Callable[Concatenate[Any, Arguments], Result]:
    """Wrap a method to run on the backend's GPU; see `_entered`."""

    def run(self: Any, /, *arguments: Arguments.args, **options: Arguments.kwargs) -> Result:
        with self._entered():
            return method(self, *arguments, **options)

    update_wrapper(run, method)
    return run


def _all_on_gpu(kind: type["CupyExecutable"]) -> type["CupyExecutable"]:
    """Wrap all methods of an executable, except those that touch no array; a signal handler calls one of these."""
    for name in dir(Executable):
        method = getattr(kind, name)
        if not name.startswith("_") and name not in ELSEWHERE and isfunction(method):
            setattr(kind, name, _on_gpu(method))
    return kind


@_all_on_gpu
class CupyExecutable(TimedExecutable):
    """A program on one GPU."""

    gives_up = False  # a separate thread would need the GPU's context; no step on a GPU takes seconds
    _backend: "CupyBackend"
    cache_aligned = True
    """cuBLAS has faster kernels for matrices aligned to 16 bytes, and dnnkit's kernels read four numbers at a time."""
    _stream: Any = None
    """Stream of the last work."""
    _done: Any = None
    """Event at the end of that work, if other threads cannot wait for its stream."""
    _copies: Any = None
    """Stream that sends chunks of data."""

    def __init__(self, backend: "CupyBackend", program: Program, plan: Plan) -> None:
        self._backend = backend
        self._prepared: set[tuple[Any, ...]] = set()
        """Configurations that `prepare` has handled."""
        with self._entered():
            super().__init__(backend, program, plan)

    @contextmanager
    def _entered(self) -> Iterator[None]:
        """Enter the backend's GPU, after earlier work in other streams; CUDA errors become dnnkit's."""
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
                    f"{backend.device} has too little memory: {in_words(wanted) if wanted else 'more'} needed at once, "
                    f"{in_words(free)} of {in_words(total)} free. Use smaller batches or layers; data given as NumPy "
                    "arrays is sent in chunks if it does not fit"
                ) from error
            except Exception as error:
                if (found := translated(error, f"GPU {backend.number}")) is None:
                    raise
                if isinstance(found, DeviceMemoryError):
                    self._release(buffers=True)
                raise found from error
            finally:
                self._stream = stream  # other threads may have run in between
                if stream.ptr == PER_THREAD:
                    with suppress(Exception):  # after a GPU failure there is nothing to wait for
                        self._done = stream.record()

    def _after_work_before(self, stream: Any) -> None:
        """Make the stream wait for earlier work in another stream.

        The default streams of different threads have the same handle and compare equal, so these are waited for by an
        event that their thread recorded.
        """
        if self._done is not None:
            stream.wait_event(self._done)
        elif self._stream is not None and stream != self._stream:
            stream.wait_event(self._stream.record())
        self._stream, self._done = stream, None

    def _release(self, buffers: bool) -> None:
        """Free what the next epoch creates again: the last data, and with `buffers` those of a batch that was too
        large.
        """
        if self.epoch is not None:
            self.epoch.batches = None
        self._forget_steps()
        if buffers and "_training" in self.__dict__:
            self._training.buffers.release()
            self._idle.release()
            self._timelines.clear()
            products.forget()

    # -- data --------------------------------------------------------------------------------------------------------

    def load(self, x: Array, y: Array | None, weights: Array | None) -> Data:
        """Upload the data if they fit; otherwise they stay on the host and are sent in chunks."""
        loss, dtype = self.program.loss, np.dtype(self.program.dtype)
        kept = self._backend.keeps_dtype(namespace(x), x.dtype)
        is_floating = y is not None and namespace(y).isdtype(y.dtype, "real floating")
        of_targets = dtype if loss is None else np.dtype(loss.target_dtype(dtype.name, is_floating=is_floating))
        dtypes = (x.dtype if kept else dtype, of_targets, dtype)
        given = [(array, kind) for array, kind in zip((x, y, weights), dtypes, strict=True) if array is not None]
        size = sum(int(np.prod(a.shape)) * kind.itemsize for a, kind in given if not self._backend.owns(a))
        if self.epoch is None or self.epoch.is_over:
            self._release(buffers=size > RESIDENT * self._backend.memory()[0])
        if self._backend.owns(x) or size <= RESIDENT * self._backend.memory()[0]:
            data = super().load(x, y, weights)
            return replace(data, x=self._xp.ascontiguousarray(data.x))  # a batch is gathered from whole rows
        self.plan = replace(self.plan, details={**self.plan.details, "data": "larger than memory: sent in chunks"})
        y, weights = (None if array is None else self._backend.to_numpy(array) for array in (y, weights))
        sums = None if weights is None or weights.ndim > 1 else weights.astype(dtype).astype(np.float64)
        return self._examined(HostData(x.reshape(len(x), -1), y, weights, sums, dtypes))

    def _feed(self, data: Data, order: HostArray, batch_size: int, buffers: Buffers) -> Batches:
        if not isinstance(data, HostData):
            return super()._feed(data, order, batch_size, buffers)
        if self._copies is None:
            self._copies = self._xp.cuda.Stream(non_blocking=True)
        parts = (self._backend, buffers, self._rescale, self._dtype)
        return StreamedBatches(*parts, data, order, batch_size, copies=self._copies)

    # -- numbers of another executable -------------------------------------------------------------------------------

    def take_over(self, other: Executable) -> None:
        """Take over as the base class does, after the other's work in other streams."""
        assert isinstance(other, CupyExecutable), "one backend builds programs with the same parts alike"
        with other._entered():
            super().take_over(other)

    def _flat_of(self, other: Executable) -> Array:
        with other._entered() if isinstance(other, CupyExecutable) else nullcontext():
            return super()._flat_of(other)

    # -- training ----------------------------------------------------------------------------------------------------

    def prepare(  # noqa: D102
        self, data: Data, batch_size: int, hyperparameters: Hyperparameters, held_out: Data | None = None
    ) -> None:
        for each, compiles in ((data, self._compile), (held_out, self._compile_evaluation)):
            if each is None:
                continue
            rows = min(batch_size, len(each))
            bounds = hyperparameters.clip_norm, hyperparameters.clip_each, hyperparameters.clip_value
            clips = tuple(bound is None for bound in bounds)
            kind = compiles.__name__, str(each.x.dtype), each.weights is None, rows, clips
            if kind not in self._prepared:
                # Custom parts may record that they were called, so only real steps call them.
                if not self.program.custom_parts:
                    compiles(each, rows, hyperparameters)
                self._backend.wait()
                self._prepared.add(kind)

    def _compile_evaluation(self, data: Data, rows: int, hyperparameters: Hyperparameters) -> None:
        """Like `_compile`, for evaluations."""
        if self._is_timed:
            self._summed(data, np.arange(rows), rows, self._parameters)
        else:
            self._compile_operations(data, rows)

    def _compile_operations(self, data: Data, rows: int) -> None:
        x, y, weights = self._feed(data, np.arange(rows), rows, self._training.buffers).batch(0)
        _, scores, _, losses = self._backpropagate(x, y, weights, float(rows))
        self._measuring.metrics(scores, y, weights, losses)

    def _compile(self, data: Data, rows: int, hyperparameters: Hyperparameters) -> None:
        """Compile kernels and start cuBLAS by a step without effect."""
        assert self._rule is not None, "the network checks that it is compiled"
        epoch = self._new_epoch(data, np.arange(rows), rows)
        if epoch is not None:
            self._differentiate(epoch, self._source(epoch, 0), rows)
            rate: Any = epoch.timeline.numbers
        else:
            self._compile_operations(data, rows)
            rate = 0.0
        now, slots = hyperparameters.at(0), [slot[:1].copy() for slot in self._slots]
        parameter, gradient = self._parameters[:1].copy(), self._gradient[:1].copy()
        if (bound := now.clip_norm or now.clip_each) is not None:
            self._backend.clip_norm(gradient, bound, out=gradient)
        if now.clip_value is not None:
            self._backend.clip_value(gradient, now.clip_value, out=gradient)
        for rule in self.program.rules:
            own, slots = slots[: len(rule.slots)], slots[len(rule.slots) :]
            of_now, numbers = self._numbers(rule, 0, rate, now)
            self._backend.update(rule, 1, parameter, gradient, own, of_now, *numbers)
        for said in self._regularization.bounds:
            self._regularization.constrain(self._layout.view(self._parameters, said.parameter, self._xp).copy(), said)
        for value in self._training.stages.statistics.values():
            copy(value, value)

    def _pack(self, parts: list[Array], out: Array) -> Array:
        """Copy gradients into `out`: those of built-in stages are already views of it, a custom layer's are not."""
        begin = out.data.ptr
        for array, name in zip(parts, self._layout.names, strict=False):  # a gradient has only trained ones
            if array.data.ptr != begin + self._layout.offset(name) * out.itemsize:
                refuse("a gradient is copied to where it belongs")
                place = self._layout.view(out, name, self._xp)
                self._xp.copyto(place, array.reshape(place.shape))
        return out

    # -- inference ---------------------------------------------------------------------------------------------------

    def predict(self, data: Data, batch_size: int, parameters: Array | None = None) -> HostArray:
        """Predict as the base class does, but copy predictions to the host together."""
        outputs, dtype = self.program.output_features, np.dtype(self.program.dtype)
        room = 0 if len(data) <= batch_size else min(PREDICTIONS, self._backend.memory()[0] // 8)
        together = max(1, room // (outputs * dtype.itemsize * batch_size))  # in batches
        place = self._backend.buffer((min(len(data), together * batch_size), outputs), dtype)
        copied: list[HostArray] = []

        def keep(step: int, scores: Array) -> None:
            if step and step % together == 0:
                copied.append(self._backend.to_numpy(place))
            out = part(place, step % together, batch_size)[: len(scores)]
            predictions = self._measuring.predictions(scores, out)
            if predictions.data.ptr != out.data.ptr:
                self._xp.copyto(out, predictions)

        self._score(data, batch_size, parameters, keep)
        copied.append(self._backend.to_numpy(place[: len(data) - sum(map(len, copied))]))
        return copied[0] if len(copied) == 1 else np.concatenate(copied)
