"""Devices, streams, events and memory of the stand-in.

Computations run at once. A copy in another stream than the current one happens as late as events allow: when an event
recorded after it is waited for. Until then the array keeps its old contents and the copy's source can still be
overwritten. The stream must have waited for the last use of the array, and the host for the last copy from the same
source.
"""

import ctypes
import threading
import weakref
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any

import numpy as np

PER_THREAD = 2
"""CUDA's handle of a thread's own default stream, in any thread."""

GRANULE = 512
"""CuPy's pool allocates multiples of this number of bytes."""


@dataclass
class Counts:
    """Events since `reset`."""

    waits: int = 0
    """Times the host waited for the device: `get`, `asnumpy`, `float(array)`, `synchronize`, ..."""
    uploads: list[int] = field(default_factory=list)
    """Bytes of each copy from the host to the device."""
    allocations: list[int] = field(default_factory=list)
    """Bytes of each array that was allocated."""
    pinned: list[int] = field(default_factory=list)
    """Bytes of pinned memory requested by any code; CuPy's pool keeps them."""
    launches: Counter[str] = field(default_factory=Counter)
    """Launches of dnnkit's kernels, by name, except those of graphs."""
    products: int = 0
    """Matrix products by cuBLAS, including those of graphs."""
    prepared: int = 0
    """Kernels that were launched with prepared arguments."""
    graphs: list[Counter[str]] = field(default_factory=list)
    """The contents of each graph that was launched."""
    functions: Counter[str] = field(default_factory=Counter)
    """CuPy functions, by name."""

    def reset(self) -> None:
        """Reset the counts."""
        self.__init__()  # type: ignore[misc]


counts = Counts()


class OutOfMemoryError(MemoryError):
    """As CuPy's, with its message and its attributes."""

    def __init__(self, size: int, total: int, limit: int = 0) -> None:
        self._size, self._total, self._limit = size, total, limit
        message = f"Out of memory allocating {size:,} bytes (allocated so far: {total:,} bytes"
        super().__init__(message + (f", limit set to: {limit:,} bytes)." if limit else ")."))


class _CudaError(RuntimeError):
    """As CuPy's: made from CUDA's return value, which it has as `status`."""

    def __init__(self, status: int) -> None:
        self.status = status
        super().__init__(f"{type(self).__name__} {status}")


class CUDARuntimeError(_CudaError):
    __module__ = "cupy_backends.cuda.api.runtime"


class CUDADriverError(_CudaError):
    __module__ = "cupy_backends.cuda.api.driver"


class CUBLASError(_CudaError):
    __module__ = "cupy_backends.cuda.libs.cublas"


class Memory:
    """One budget per device, in bytes."""

    def __init__(self) -> None:
        self.devices = 2
        self.limit = 8 << 30
        self.used: Counter[int] = Counter()
        self.peak: Counter[int] = Counter()

    def allocate(self, size: int, device: int) -> "Block":
        """Return a block; it is freed when nothing refers to it any more."""
        whole = -(-size // GRANULE) * GRANULE
        if self.used[device] + whole > self.limit:
            raise OutOfMemoryError(whole, self.used[device], self.limit)
        return Block(size, whole, device)


memory = Memory()


class Block:
    """A piece of a device's memory; it counts for as long as it lives."""

    def __init__(self, size: int, whole: int, device: int) -> None:
        self.size, self.device, self._whole, self._used = size, device, whole, memory.used
        self.last_used = self.begin = self.end = 0
        memory.used[device] += whole
        memory.peak[device] = max(memory.peak[device], memory.used[device])

    def __del__(self) -> None:
        self._used[self.device] -= self._whole


class MemoryPool:
    """The pool keeps nothing back, so all unused memory is free."""

    def used_bytes(self) -> int:
        return memory.used[current_device()]

    def free_bytes(self) -> int:
        return 0

    def total_bytes(self) -> int:
        return memory.used[current_device()]

    def get_limit(self) -> int:
        return 0

    def free_all_blocks(self, stream: Any = None) -> None:
        pass


_pool = MemoryPool()


def get_default_memory_pool() -> MemoryPool:
    return _pool


# -- devices ---------------------------------------------------------------------------------------------------------


class _Local(threading.local):
    def __init__(self) -> None:
        self.devices = [0]
        self.streams: dict[int, list[Stream]] = {}


_local = _Local()


def current_device() -> int:
    """Return the number of the current thread's device."""
    return _local.devices[-1]


class Device:
    """As CuPy's: a context manager, and equal by its number."""

    def __init__(self, device: "int | Device | None" = None) -> None:
        self.id = current_device() if device is None else int(device.id if isinstance(device, Device) else device)

    def __enter__(self) -> "Device":
        if not 0 <= self.id < memory.devices:
            raise RuntimeError("cudaErrorInvalidDevice: invalid device ordinal")
        _local.devices.append(self.id)
        return self

    def __exit__(self, *error: Any) -> None:
        _local.devices.pop()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Device) and other.id == self.id

    def __hash__(self) -> int:
        return hash(self.id)

    @property
    def compute_capability(self) -> str:
        return "90"

    @property
    def mem_info(self) -> tuple[int, int]:
        return memory.limit - memory.used[self.id], memory.limit

    def synchronize(self) -> None:
        counts.waits += 1


# -- streams ---------------------------------------------------------------------------------------------------------


_clock = 0
"""Counts uses of arrays."""

_all_streams: "weakref.WeakSet[Stream]" = weakref.WeakSet()


def use(block: Block) -> None:
    """Record a use of the memory, now."""
    global _clock
    _clock += 1
    block.last_used = _clock


class Event:
    """The moment it was recorded at, and what its stream had sent by then."""

    def __init__(self, block: bool = False, disable_timing: bool = False, interprocess: bool = False) -> None:
        self._timed, self._at = not disable_timing, 0.0
        self._stream: Stream | None = None
        self._clock = self._sent = 0

    def record(self, stream: "Stream | None" = None) -> None:
        self._stream = get_current_stream() if stream is None else stream
        if self._stream.ptr == PER_THREAD and self._stream.thread != threading.get_ident():
            raise RuntimeError("an event of another thread's own stream: CUDA would record it in this thread's")
        self._at, self._clock, self._sent = perf_counter(), _clock, len(self._stream._sent)

    def _reach(self) -> int:
        """Complete what was sent before; uses of arrays before the event are those up to this count."""
        assert self._stream is not None, "an event that was never recorded"
        self._stream._arrive(self._sent)
        return self._clock

    def synchronize(self) -> None:
        if self._stream is None:
            return  # never recorded: complete, as in CUDA
        counts.waits += 1
        self._reach()
        self._stream._known = max(self._stream._known, self._sent)


class Stream:
    """The copies sent in it, how many of them have arrived, and what it has waited for."""

    null: "Stream"

    def __init__(self, null: bool = False, non_blocking: bool = False, ptds: bool = False) -> None:
        self.ptr = 0 if null else PER_THREAD if ptds else id(self)
        self.thread = threading.get_ident()
        self.waited_for: list[Event] = []
        self._sent: list[tuple[Callable[[], None], np.ndarray]] = []
        self._arrived = self._known = self._seen = 0
        self._captured: list[tuple[str, Callable[[], None]]] | None = None
        _all_streams.add(self)

    def __enter__(self) -> "Stream":
        _streams().append(self)
        return self

    def __exit__(self, *error: Any) -> None:
        _streams().pop()

    def use(self) -> "Stream":
        _streams()[-1] = self
        return self

    def record(self, event: Event | None = None) -> Event:
        event = Event() if event is None else event
        event.record(self)
        return event

    def wait_event(self, event: Event) -> None:
        self.waited_for.append(event)
        self._seen = max(self._seen, event._reach())

    def synchronize(self) -> None:
        counts.waits += 1
        self._arrive(len(self._sent))
        self._known = len(self._sent)
        for event in self.waited_for:  # what this stream has waited for is complete, too
            assert event._stream is not None
            event._stream._known = max(event._stream._known, event._sent)

    def begin_capture(self, mode: int | None = None) -> None:
        if self.ptr in (0, 1):
            raise RuntimeError("cannot capture on the default (legacy) stream")
        self._captured = []

    def is_capturing(self) -> bool:
        return self._captured is not None

    def end_capture(self) -> "Graph":
        assert self._captured is not None, "nothing is captured"
        graph, self._captured = Graph(self._captured), None
        return graph

    def _may_read(self, memory: np.ndarray) -> bool:
        """Return whether a copy from there may still be running, as far as the host knows."""
        return any(np.may_share_memory(memory, source) for _, source in self._sent[self._known :])

    def _send(self, block: Block, source: np.ndarray, copy: Callable[[], None]) -> None:
        """Copy from the source into the memory, later."""
        if block.last_used > self._seen:
            raise RuntimeError("a copy into memory that is still in use: its stream has not waited for that")
        if self._may_read(source):
            raise RuntimeError("a copy from memory that another copy may still read: the host has not waited for that")
        self._sent.append((copy, source))

    def _arrive(self, count: int) -> None:
        """Complete all copies up to that number."""
        for place in range(self._arrived, count):
            copy, source = self._sent[place]
            copy()
            self._sent[place] = (_nothing, source)  # the array may be freed from now on
        self._arrived = max(self._arrived, count)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Stream) and other.ptr == self.ptr

    def __hash__(self) -> int:
        return hash(self.ptr)


class Graph:
    """Launches in a stream while it was captured."""

    def __init__(self, captured: list[tuple[str, Callable[[], None]]]) -> None:
        self._captured = captured

    def launch(self, stream: Stream | None = None) -> None:
        assert stream is None or stream == get_current_stream(), "a graph in another stream than the current one"
        counts.graphs.append(Counter(name for name, _ in self._captured))
        for _, launch in self._captured:
            launch()


def stream_at(ptr: int) -> Stream:
    """Return the stream of that number; it has to be the current one, or be captured."""
    if get_current_stream().ptr == ptr:
        return get_current_stream()
    found = next((stream for stream in list(_all_streams) if stream.ptr == ptr and stream.is_capturing()), None)
    if found is None:
        raise RuntimeError("something is launched in another stream than the current one")
    return found


def launched(stream: Stream, name: str, launch: Callable[[], None]) -> None:
    """Run it, or, where the stream is captured, add it to the graph."""
    if stream._captured is None:
        launch()
    else:
        stream._captured.append((name, launch))


def _nothing() -> None:
    pass


Stream.null = Stream(null=True)


def _streams() -> list[Stream]:
    return _local.streams.setdefault(current_device(), [Stream.null])


def get_current_stream(device_id: int = -1) -> Stream:
    return _streams()[-1]


def get_elapsed_time(start_event: Event, end_event: Event) -> float:
    assert start_event._timed, "an event without timing was asked for its time"
    assert end_event._timed, "an event without timing was asked for its time"
    return (end_event._at - start_event._at) * 1000


def alloc_pinned_memory(size: int) -> Any:
    """As CuPy's: an object with a buffer, which returns to a pool when the object dies."""
    counts.pinned.append(size)

    def given_back(self: Any) -> None:
        memory = np.frombuffer((ctypes.c_char * size).from_address(ctypes.addressof(self)), np.uint8)
        if any(stream._may_read(memory) for stream in list(_all_streams)):
            raise RuntimeError("pinned memory was given back that a copy may still read: the host has not waited")

    return type("Pinned", (ctypes.c_char * size,), {"__del__": given_back})()


def properties(device: int) -> dict[str, Any]:
    return {"name": b"Stand-in", "multiProcessorCount": 4, "major": 9, "minor": 0, "totalGlobalMem": memory.limit}
