"""Memory that is made once and used in every step."""

from typing import Any

from dnnkit.backends.operations import Operations
from dnnkit.backends.state import HostArray
from dnnkit.kernels.array import Array


class Buffers:
    """Arrays by name and place; none for a backend that returns new arrays (`Operations.buffer` gives None)."""

    def __init__(self, backend: Operations, dtype: Any) -> None:
        self._backend, self._dtype = backend, dtype
        self._held: dict[tuple[str, int], Array | None] = {}

    def get(
        self, name: str, shape: tuple[int, ...], place: int = -1, dtype: Any = None, fill: HostArray | None = None
    ) -> Array | None:
        """Memory for `shape`, the same at every call; it grows to the largest batch seen and is cut to smaller ones.

        With `fill` it has these numbers, which are the same at every call, too.
        """
        held = self._held.get((name, place))
        if held is None or held.shape[0] < shape[0]:
            held = self._backend.buffer(shape, self._dtype if dtype is None else dtype)
            if fill is not None and held is not None:
                held = self._backend.asarray(fill)
            self._held[name, place] = held
        return None if held is None else held[: shape[0]]

    def release(self) -> None:
        """Forget all; what is needed is made again."""
        self._held.clear()
