"""Kinds of stages that take each number by itself, with parameters of its column: `gpu.cu` says what happens to it."""

from collections.abc import Sequence

from dnnkit.kernels._cuda.launch import contiguous
from dnnkit.kernels._cuda.source import REALS, Source
from dnnkit.kernels._cuda.strips import Memory, along_columns, down_columns, wanted
from dnnkit.kernels.array import Array


class ByColumn:
    """The launchers of such a kind, of parameters (C,) and values (B, n C)."""

    def __init__(self, kind: str) -> None:
        self._kind = kind

    def sources(self) -> list[Source]:
        """Every variant that ships."""
        return [self._source(dtype) for dtype in REALS]

    def _source(self, dtype: str) -> Source:
        return Source.of("_cuda/by_column.cu", dtype, KIND=self._kind)

    def forward(self, x: Array, parameters: Sequence[Array], memory: Memory) -> Array:
        """Y."""
        y, (rows, columns) = memory("y", x.shape), _shape(x, parameters)
        arguments = {"x": contiguous(x), **_named(parameters), "y": y}
        along_columns(self._source(x.dtype.name), "by_column", rows, columns, arguments, x.itemsize)
        return y

    def backward(
        self,
        dy: Array,
        x: Array,
        parameters: Sequence[Array],
        needs_dx: bool,
        outs: Sequence[Array | None] | None,
        memory: Memory,
        *,
        trains: bool = True,
    ) -> tuple[Array | None, Array | None]:
        """(dx, the gradient of the first parameter), None for what is not wanted."""
        rows, columns = _shape(x, parameters)
        dx = memory("dx", x.shape) if needs_dx else None
        dp = wanted(outs, 0, memory, (columns,)) if trains else None
        if dx is None and dp is None:
            return None, None
        arguments = {"dy": contiguous(dy), "x": contiguous(x), **_named(parameters), "dx": dx}
        source = self._source(x.dtype.name)
        down_columns(source, "by_column_backward", rows, columns, arguments, {"dp": dp}, memory, dy)
        return dx, dp


def _shape(x: Array, parameters: Sequence[Array]) -> tuple[int, int]:
    columns = parameters[0].size
    return x.size // columns, columns


def _named(parameters: Sequence[Array]) -> dict[str, Array | None]:
    first, second = (*parameters, None)[:2]
    return {"p": contiguous(first), "q": None if second is None else contiguous(second)}
