"""Memory that is allocated once and used in every step."""

from typing import Any

from dnnkit.backends.operations import Operations
from dnnkit.backends.stagewise.lifetimes import Slots
from dnnkit.backends.state import HostArray
from dnnkit.kernels.array import Array


class Buffers:
    """Arrays by name and place; none for a backend that returns new arrays (`Operations.buffer` returns None)."""

    def __init__(self, backend: Operations, dtype: Any) -> None:
        self._backend, self._dtype = backend, dtype
        self._held: dict[tuple[str, int], Array | None] = {}

    def get(
        self, name: str, shape: tuple[int, ...], place: int = -1, dtype: Any = None, fill: HostArray | None = None
    ) -> Array | None:
        """Return memory of this shape, the same at every call; it grows to the largest batch and is sliced for smaller
        ones.

        With `fill`, it holds these numbers, which are the same at every call.
        """
        held = self._held.get((name, place))
        if held is None or held.shape[0] < shape[0]:
            held = self._backend.buffer(shape, self._dtype if dtype is None else dtype)
            if fill is not None and held is not None:
                held = self._backend.asarray(fill)
            self._held[name, place] = held
        return None if held is None else held[: shape[0]]

    def release(self) -> None:
        """Free all memory; it is allocated again when needed."""
        self._held.clear()


class SharedBuffers(Buffers):
    """Buffers some of which share memory slots with other results of stages (`lifetimes`)."""

    def __init__(self, backend: Operations, dtype: Any, slots: Slots) -> None:
        super().__init__(backend, dtype)
        self._slots = slots

    def get(  # noqa: D102
        self, name: str, shape: tuple[int, ...], place: int = -1, dtype: Any = None, fill: HostArray | None = None
    ) -> Array | None:
        slot = self._slots.places.get((name, place))
        if slot is None:
            return super().get(name, shape, place, dtype, fill)
        rows, width = shape
        held = super().get("slot", (rows * self._slots.widths[slot],), slot)
        return None if held is None else held[: rows * width].reshape(shape)
