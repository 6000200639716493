"""Recording of launches, to be repeated with the very same arguments.

Arguments are stored in memory in CUDA's format, so repeating a launch costs only the driver call. That is correct only
if all work was launched through `launch` and `products`: code that computes in another way calls `refuse`, and then
there is no recording.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np

Call = tuple[Callable[..., Any], tuple[Any, ...]]
"""A CUDA function and its arguments. It returns a status, or None if it raises errors itself."""


class Recording:
    """Launches in order, and everything that they point to."""

    def __init__(self) -> None:
        self.why_not = ""
        """Why the recording cannot be launched again; empty if it can."""
        self.kernels = 0
        self.products: list[Any] = []
        """The `Products` of each matrix product."""
        self._launches: list[Callable[[int], Call]] = []
        self._kept: list[Any] = []

    def kernel(self, function: int, sizes: tuple[int, ...], arguments: tuple[Any, ...], stream: int) -> Call:
        """Record a kernel launch: function address, sizes of grid, block and shared memory, and arguments.

        Returns the call that makes the launch in that stream.
        """
        values = [_in_memory(value) for value in arguments]
        pointers = np.array([value.ctypes.data for value in values], np.uintp)
        launch = partial(_kernel, (function, *sizes), int(pointers.ctypes.data))
        self._kept += [values, pointers, arguments]
        self._launches.append(launch)
        self.kernels += 1
        return launch(stream)

    def product(self, call: Call, products: Any, *arrays: Any) -> None:
        """Record a matrix product, in the stream that `products` is set to."""
        self._kept.append(arrays)
        self.products.append(products)
        self._launches.append(lambda stream: call)

    def calls(self, stream: int) -> list[Call]:
        """Return all launches, those of kernels in that stream."""
        return [launch(stream) for launch in self._launches]


def _kernel(sizes: tuple[int, ...], arguments: int, stream: int) -> Call:
    import cupy

    return cupy.cuda.driver.launchKernel, (*sizes, stream, arguments, 0)


def _in_memory(value: Any) -> Any:
    """Return an argument as a one-element array to point to: a number, or an array's address."""
    return np.array([value]) if isinstance(value, np.generic) else np.array([value.data.ptr], np.uintp)


_of_thread = threading.local()


def current() -> Recording | None:
    """Return this thread's current recording, or None."""
    return getattr(_of_thread, "recording", None)


@contextmanager
def recorded() -> Iterator[Recording]:
    """Execute and record this thread's launches within this context."""
    before, recording = current(), Recording()
    _of_thread.recording = recording
    try:
        yield recording
    finally:
        _of_thread.recording = before


def refuse(reason: str) -> None:
    """Mark the current recording as unusable, because something happens that a repetition would not do."""
    if (recording := current()) is not None and not recording.why_not:
        recording.why_not = reason
