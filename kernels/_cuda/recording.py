"""What is launched while somebody records it, to be launched again with the very same arguments.

Arguments lie ready in memory as CUDA wants them, so that a launch made again costs what the call of the driver does.
That is right only if all that was done was launched by `launch` and `products`: whoever computes in another way says so
by `refuse`, and there is no recording then.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np

Call = tuple[Callable[..., Any], tuple[Any, ...]]
"""A function of CUDA's, and its arguments; what it returns is a status, None where it raises errors itself."""


class Recording:
    """Launches in their order, and all that they point to."""

    def __init__(self) -> None:
        self.why_not = ""
        """Why what was recorded cannot be launched again; empty if it can."""
        self.kernels = 0
        self.products: list[Any] = []
        """What multiplied matrices, once for each product."""
        self._launches: list[Callable[[int], Call]] = []
        self._kept: list[Any] = []

    def kernel(self, function: int, sizes: tuple[int, ...], arguments: tuple[Any, ...], stream: int) -> Call:
        """A kernel's launch: its address, the grid's, the block's and the shared memory's sizes, and its arguments.

        Returns the call that makes it in that stream.
        """
        values = [_in_memory(value) for value in arguments]
        pointers = np.array([value.ctypes.data for value in values], np.uintp)
        launch = partial(_kernel, (function, *sizes), int(pointers.ctypes.data))
        self._kept += [values, pointers, arguments]
        self._launches.append(launch)
        self.kernels += 1
        return launch(stream)

    def product(self, call: Call, products: Any, *arrays: Any) -> None:
        """A matrix product, in the stream that `products` is set to."""
        self._kept.append(arrays)
        self.products.append(products)
        self._launches.append(lambda stream: call)

    def calls(self, stream: int) -> list[Call]:
        """All launches, kernels' in that stream."""
        return [launch(stream) for launch in self._launches]


def _kernel(sizes: tuple[int, ...], arguments: int, stream: int) -> Call:
    import cupy

    return cupy.cuda.driver.launchKernel, (*sizes, stream, arguments, 0)


def _in_memory(value: Any) -> Any:
    """An argument as an array of one element to point to: a number, or an array's address."""
    return np.array([value]) if isinstance(value, np.generic) else np.array([value.data.ptr], np.uintp)


_of_thread = threading.local()


def current() -> Recording | None:
    """The recording that this thread makes, if it makes one."""
    return getattr(_of_thread, "recording", None)


@contextmanager
def recorded() -> Iterator[Recording]:
    """Within, this thread's launches are done, and recorded."""
    before, recording = current(), Recording()
    _of_thread.recording = recording
    try:
        yield recording
    finally:
        _of_thread.recording = before


def refuse(reason: str) -> None:
    """Something is done that would not be done again: what is being recorded, if anything is, cannot be used."""
    if (recording := current()) is not None and not recording.why_not:
        recording.why_not = reason
