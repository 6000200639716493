"""Batches of data that exceed the GPU's memory: the data stay on the host, and are sent in chunks.

A chunk is the rows of several whole steps in the epoch's order, so batches are the same as for resident data. The host
gathers a chunk into pinned memory, and a dedicated stream copies it while the steps of the previous chunk are computed
(double buffering); events signal when a buffer is full and when it is free.
"""

import sys
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from dnnkit.backends.cupy_backend.timeline import Source
from dnnkit.backends.diagnosis import in_words
from dnnkit.backends.processors import usable
from dnnkit.backends.stages import Rescale
from dnnkit.backends.stagewise.batches import Batches, part
from dnnkit.backends.stagewise.buffers import Buffers
from dnnkit.backends.stagewise.flat import Data
from dnnkit.backends.state import HostArray
from dnnkit.deferred import dataclass
from dnnkit.errors import DeviceMemoryError
from dnnkit.kernels.array import Array

if TYPE_CHECKING:
    from dnnkit.backends.cupy_backend.backend import CupyBackend

CHUNK = 64 << 20
"""Bytes per chunk: large enough for full transfer speed, small enough to be gathered while a GPU computes."""

HANDS, PART = 8, 4 << 20
"""Maximum number of threads that gather a chunk, and bytes that justify one more."""


@dataclass(frozen=True)
class HostData(Data):
    """Data on the host, with the dtypes that inputs, targets and weights have on the GPU."""

    dtypes: tuple[Any, Any, Any]


class _StagingBuffer:
    """Memory for a chunk on both sides, and its state."""

    def __init__(self, rows: int, data: HostData, backend: "CupyBackend", copies: Any) -> None:
        cupy = backend.xp
        self.chunk = -1
        self.sent: Any = None
        self.free: Any = None
        self.pinned: list[HostArray | None] = []
        self.arrays: list[Array | None] = []
        for source, dtype in zip((data.x, data.y, data.weights), data.dtypes, strict=True):
            if source is None:
                self.pinned.append(None)
                self.arrays.append(None)
                continue
            shape = (rows, *source.shape[1:])
            count = int(np.prod(shape))
            memory = _pinned(cupy, count * dtype.itemsize)
            self.pinned.append(np.frombuffer(memory, dtype, count).reshape(shape))
            with copies:  # allocated in the copy stream, otherwise the pool could reuse it while a copy still runs
                self.arrays.append(cupy.empty(shape, dtype))

    def __del__(self) -> None:
        """Wait for the last copy: CuPy hands freed pinned memory to the next caller, who may write to it."""
        if self.sent is not None and not sys.is_finalizing():  # at exit there is no next caller, and CUDA may be gone
            self.sent.synchronize()

    def data(self, rows: int) -> Data:
        """Return the chunk as data on the GPU."""
        x, y, weights = (None if array is None else array[:rows] for array in self.arrays)
        return Data(x, y, weights, None)


def _pinned(cupy: Any, size: int) -> Any:
    """Allocate pinned host memory, of which a machine may have less than of pageable memory."""
    try:
        return cupy.cuda.alloc_pinned_memory(size)
    except (cupy.cuda.runtime.CUDARuntimeError, MemoryError) as error:
        raise DeviceMemoryError(
            f"the host has no {in_words(size)} of pinned memory left, through which data larger than the GPU's memory "
            f"is sent ({error}). Use smaller batches, or end other programs; `ulimit -l` may be too low"
        ) from error


def _take(source: HostArray, rows: HostArray, out: HostArray) -> None:
    """Copy rows of the source to out by several threads: a single one reaches a tenth of the bus bandwidth."""
    if not len(rows):
        return
    parts = max(1, min(HANDS, usable(None), out.nbytes // PART))
    cuts = [len(rows) * part // parts for part in range(parts + 1)]

    def take(begin: int, end: int) -> None:
        if source.dtype == out.dtype:
            np.take(source, rows[begin:end], axis=0, out=out[begin:end], mode="clip")
        else:
            out[begin:end] = source[rows[begin:end]]

    if parts == 1:
        take(0, len(rows))
        return
    with ThreadPoolExecutor(parts - 1, thread_name_prefix="dnnkit-gather") as pool:
        others = [pool.submit(take, *cut) for cut in pairwise(cuts[1:])]
        take(*cuts[:2])
        for other in others:
            other.result()


class StreamedBatches(Batches):
    """As `Batches`, from `HostData`."""

    def __init__(
        self,
        backend: "CupyBackend",
        buffers: Buffers,
        rescale: Rescale,
        dtype: Any,
        data: HostData,
        order: HostArray,
        batch_size: int,
        *,
        copies: Any,
    ) -> None:
        sources = zip((data.x, data.y, data.weights), data.dtypes, strict=True)
        row = sum(int(np.prod(s.shape[1:])) * kind.itemsize for s, kind in sources if s is not None)
        room = min(CHUNK, backend.memory()[0] // 8)
        self._steps = max(1, room // (row * batch_size))
        self._size = min(self._steps * batch_size, len(order))
        self._chunks = -(-len(order) // self._size)
        self._order, self._host, self._copies, self._cuda = order, data, copies, backend.xp.cuda
        super().__init__(backend, buffers, rescale, dtype, data, np.arange(self._size), batch_size)
        copies.wait_event(self._cuda.get_current_stream().record())  # the memory may still be read
        self._slots = [_StagingBuffer(self._size, data, backend, copies) for _ in range(min(2, self._chunks))]
        self._now = -1

    def batch(self, step: int) -> tuple[Array, Array | None, Array | None]:
        """Return (inputs, targets, row weights) of a step; out of rising order, a chunk is sent again."""
        chunk, place = divmod(step, self._steps)
        if chunk != self._now:
            self._turn_to(chunk)
        rows = min(self._size, len(self._order) - chunk * self._size)
        return self._gather(self._slot(chunk).data(rows), part(self._rows[:rows], place, self._batch_size))

    def at(self, step: int) -> Source:
        """Return where the rows of a step are, and those of later steps in the same chunk, once the chunk is there."""
        chunk, place = divmod(step, self._steps)
        if chunk != self._now:
            self._turn_to(chunk)
        return Source(self._slot(chunk).data(self._size), self._rows, self._steps, self._steps - place)

    def _slot(self, chunk: int) -> _StagingBuffer:
        return self._slots[chunk % len(self._slots)]

    def _turn_to(self, chunk: int) -> None:
        """Make the GPU wait for the chunk, and send the next one."""
        computing = self._cuda.get_current_stream()
        if self._now >= 0:
            self._slot(self._now).free = computing.record()
        if self._slot(chunk).chunk != chunk:
            self._send(chunk)
        computing.wait_event(self._slot(chunk).sent)
        self._now = chunk
        if chunk + 1 < self._chunks and self._slot(chunk + 1).chunk != chunk + 1:
            self._send(chunk + 1)

    def _send(self, chunk: int) -> None:
        slot, host = self._slot(chunk), self._host
        rows = self._order[chunk * self._size : (chunk + 1) * self._size]
        if slot.sent is not None:
            slot.sent.synchronize()  # the last copy has read all of the pinned memory
        if slot.free is not None:
            self._copies.wait_event(slot.free)
        for source, pinned, array in zip((host.x, host.y, host.weights), slot.pinned, slot.arrays, strict=True):
            if source is None or pinned is None or array is None:
                continue
            _take(source, rows, pinned[: len(rows)])
            array[: len(rows)].set(pinned[: len(rows)], stream=self._copies)
        slot.sent, slot.chunk = self._copies.record(), chunk
