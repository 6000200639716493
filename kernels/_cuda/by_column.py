"""Kinds of stages that map each number by itself, with parameters of its column; `gpu.cu` defines the mapping."""

from collections.abc import Sequence
from typing import Any

from dnnkit.kernels._cuda.launch import contiguous
from dnnkit.kernels._cuda.source import REALS, Source
from dnnkit.kernels._cuda.strips import Memory, along_columns, down_columns, wanted
from dnnkit.kernels.array import Array
from dnnkit.kernels.stages import Context, Settings


class ByColumn:
    """Launchers of such a kind, for parameters (C,) and values (B, n C), with the interface of `kernels.stages`.

    Arguments:
        kind: name of the kind, and of its folder.
        reads: number of parameters that the kernel reads.
        trains: whether the first of them is trained.
    """

    def __init__(self, kind: str, *, reads: int = 1, trains: bool = True) -> None:
        self._kind, self._reads, self._trains = kind, reads, trains

    def sources(self) -> list[Source]:
        """Return every variant that ships."""
        return [self._source(dtype) for dtype in REALS]

    def _source(self, dtype: str) -> Source:
        return Source.of("_cuda/by_column.cu", dtype, KIND=self._kind)

    def forward(
        self, xs: Sequence[Array], parameters: Sequence[Array], settings: Settings, context: Context, memory: Memory
    ) -> tuple[Array, Any]:
        """Return (y, x)."""
        x = xs[0]
        y, (rows, columns) = memory("y", x.shape), _shape(x, parameters)
        arguments = {"x": contiguous(x), **self._named(parameters), "y": y}
        along_columns(self._source(x.dtype.name), "by_column", rows, columns, arguments, x.itemsize)
        return y, x

    def backward(
        self,
        dy: Array,
        saved: Any,
        parameters: Sequence[Array],
        settings: Settings,
        needs_dx: Sequence[bool],
        memory: Memory,
        outs: Sequence[Array | None] | None = None,
    ) -> tuple[Sequence[Array | None], Sequence[Array | None]]:
        """Return the gradients in x and in the first parameter, if it is trained."""
        rows, columns = _shape(saved, parameters)
        dx = memory("dx", saved.shape) if needs_dx[0] else None
        dp = wanted(outs, 0, memory, (columns,)) if self._trains else None
        if dx is not None or dp is not None:
            arguments = {"dy": contiguous(dy), "x": contiguous(saved), **self._named(parameters), "dx": dx}
            source = self._source(saved.dtype.name)
            down_columns(source, "by_column_backward", rows, columns, arguments, {"dp": dp}, memory, dy)
        return [dx], [dp, *[None] * (len(parameters) - 1)]

    def _named(self, parameters: Sequence[Array]) -> dict[str, Array | None]:
        first, second = (*parameters[: self._reads], None)[:2]
        return {"p": contiguous(first), "q": None if second is None else contiguous(second)}


def _shape(x: Array, parameters: Sequence[Array]) -> tuple[int, int]:
    columns = parameters[0].size
    return x.size // columns, columns
