"""Guarded calls: check that inputs are unchanged, and that nothing is written outside the memory for a result."""

from math import prod
from typing import Any

import numpy as np

from dnnkit.backends import Backend
from dnnkit.backends.state import HostArray
from dnnkit.kernels.array import Array
from dnnkit.testing.implementations import Given

PADDING = 8
"""Guard elements on either side of the memory for a result."""
MARK = 77
"""Initial value of all memory for results."""


class GuardedCall:
    """The arrays of one call on the backend, and checks of them after the call."""

    def __init__(self, backend: Backend, given: Given) -> None:
        self._backend, self._given = backend, given
        self._inputs: list[tuple[str, Array, HostArray]] = []
        self._guards: list[Array] = []

    def put(self, name: str, x: HostArray, written: bool = False) -> Array:
        """Copy an array to the backend in the requested layout; unless `written`, it may not change."""
        own = self._laid_out(np.asarray(x))
        if not written:
            self._inputs.append((name, own, np.array(x)))
        return own

    def put_guarded(self, x: HostArray) -> Array:
        """Copy a flat array that may be overwritten, between guards; without guards if the backend never writes."""
        if self._backend.buffer((1,), self._dtype(x.dtype)) is None:
            return self.put("", x, written=True)
        memory = np.full(x.size + 2 * PADDING, MARK, x.dtype)
        start = PADDING + (self._given.layout == "misaligned")
        memory[start : start + x.size] = x
        own = self._backend.asarray(memory)
        self._guards += [own[:start], own[start + x.size :]]
        return own[start : start + x.size]

    def out(self, shape: tuple[int, ...], dtype: Any, place: Array = None) -> Array | None:
        """Return memory for a result, or the input `place` to be overwritten; None if the backend allocates."""
        kind = self._dtype(dtype)
        if self._given.into == "new" or self._backend.buffer((1,), kind) is None:
            return None
        if self._given.into == "in place" and place is not None:
            self._inputs = [(name, own, x) for name, own, x in self._inputs if own is not place]
            return place
        size = prod(shape)
        memory = self._backend.asarray(np.full(size + 2 * PADDING + 1, MARK, np.dtype(dtype)))
        start = PADDING + (self._given.layout == "misaligned")
        self._guards += [memory[:start], memory[start + size :]]
        return memory[start : start + size].reshape(shape)

    def result(self, own: Array) -> HostArray:
        """Return a copy of the result on the host, after checking guards and inputs."""
        found = np.array(self._backend.to_numpy(own))
        self.check()
        return found

    def check(self) -> None:
        """Check that inputs are unchanged and that guards are intact."""
        for name, own, before in self._inputs:
            after = np.asarray(self._backend.to_numpy(own))
            assert after.tobytes() == before.tobytes(), f"{name} was changed, but is an input"
        for guard in self._guards:
            around = np.asarray(self._backend.to_numpy(guard))
            untouched = (around == around.dtype.type(MARK)).all()
            assert untouched, "a write outside the memory for a result"

    def _dtype(self, dtype: Any) -> Any:
        return self._backend.dtype(np.dtype(dtype).name)

    def _laid_out(self, x: HostArray) -> Array:
        asarray, layout = self._backend.asarray, self._given.layout
        if layout == "fortran" and x.ndim == 2:
            return asarray(np.array(x.T, order="C")).T
        if layout == "strided" and x.ndim > 0:
            wide = np.full(tuple(2 * size for size in x.shape), MARK, x.dtype)
            every_second = (slice(None, None, 2),) * x.ndim
            wide[every_second] = x
            return asarray(wide)[every_second]
        if layout == "misaligned" and self._backend.buffer((1,), self._dtype(x.dtype)) is not None:
            return asarray(np.concatenate([np.zeros(1, x.dtype), x.reshape(-1)]))[1:].reshape(x.shape)
        return asarray(np.array(x, order="C"))
