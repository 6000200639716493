"""The executable of the CuPy backend: on its GPU, in the user's stream, with data that may be larger than memory."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import update_wrapper
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar

import numpy as np

from dnnkit.backends.cupy_backend.streaming import HostData, StreamedBatches
from dnnkit.backends.diagnosis import in_words
from dnnkit.backends.program import HostArray, Hyperparameters, Plan, Program
from dnnkit.backends.stagewise.batches import Batches
from dnnkit.backends.stagewise.buffers import Buffers
from dnnkit.backends.stagewise.executable import StagewiseExecutable
from dnnkit.backends.stagewise.flat import Data, FlatExecutable
from dnnkit.errors import DeviceMemoryError
from dnnkit.kernels.array import Array, namespace

if TYPE_CHECKING:
    from dnnkit.backends.cupy_backend.backend import CupyBackend

RESIDENT = 0.8
"""Share of the free memory that data may take for good; buffers of batches want the rest."""

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


class CupyExecutable(StagewiseExecutable):
    """A program on one GPU."""

    _backend: "CupyBackend"
    _stream: Any = None
    """The one that the last work was given to."""
    _copies: Any = None
    """The one that chunks of data are sent in."""

    def __init__(self, backend: "CupyBackend", program: Program, plan: Plan) -> None:
        self._backend = backend
        with self._entered():
            super().__init__(backend, program, plan)

    @contextmanager
    def _entered(self) -> Iterator[None]:
        """On the backend's GPU, after what was done before in another stream, with one clear error for no memory."""
        backend, cuda = self._backend, self._backend.xp.cuda
        with backend.stay_on_device():
            stream = cuda.get_current_stream()
            if self._stream is not None and stream != self._stream:
                stream.wait_event(self._stream.record())
            self._stream = stream
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

    def _release(self, buffers: bool) -> None:
        """Give back what the next epoch makes again: data of the last; and `buffers`, where a batch was too large."""
        if self.epoch is not None:
            self.epoch.batches = None
        if buffers and "_training" in self.__dict__:
            self._training.buffers.release()
            self._idle.release()

    # -- data --------------------------------------------------------------------------------------------------------

    @_on_gpu
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

    @_on_gpu
    def run_steps(self, first: int, last: int, hyperparameters: Hyperparameters) -> int:  # noqa: D102
        step = super().run_steps(first, last, hyperparameters)
        self.epoch.is_over = step == len(self.epoch.batch_weights)
        return step

    # -- everything else as everywhere, on the GPU -------------------------------------------------------------------

    gives_up = False  # a thread of its own would have to be told of the GPU; there no step takes a second
    begin_epoch = _on_gpu(StagewiseExecutable.begin_epoch)
    totals = _on_gpu(StagewiseExecutable.totals)
    gradients = _on_gpu(StagewiseExecutable.gradients)
    update = _on_gpu(StagewiseExecutable.update)
    evaluate = _on_gpu(StagewiseExecutable.evaluate)
    predict = _on_gpu(StagewiseExecutable.predict)
    read_parameter = _on_gpu(FlatExecutable.read_parameter)
    copy_parameters = _on_gpu(FlatExecutable.copy_parameters)
    write_parameter = _on_gpu(FlatExecutable.write_parameter)
    snapshot = _on_gpu(FlatExecutable.snapshot)
    restore = _on_gpu(FlatExecutable.restore)
