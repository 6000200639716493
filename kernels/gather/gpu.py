"""Gather on the GPU. Contract: the package's docstring."""

from dnnkit.kernels._cuda.launch import THREADS, blocks, contiguous, launch, power_of_two
from dnnkit.kernels._cuda.source import REALS, TYPES, Source, type_of
from dnnkit.kernels.array import Array

WIDTH = 4
"""Numbers that a thread of the kernel converts at a time, where rows are aligned."""


def sources() -> list[Source]:
    """Every variant that ships."""
    return [source(dtype, data) for dtype in REALS for data in TYPES.values()]


def source(dtype: str, data: str) -> Source:
    """The kernel for data of one dtype and a result of another."""
    return Source.of("gather/gpu.cu", dtype, DATA=type_of(data))


def gather(data: Array, rows: Array, scale: float, offset: float, out: Array) -> None:
    """The rows of data (N, F) of any numeric dtype, by their numbers, as rows of out (B, F), in out's dtype."""
    count, features = out.shape
    if out.size == 0:
        return
    along = power_of_two(-(-features // WIDTH), THREADS)
    down = THREADS // along
    grid = (blocks(features, WIDTH * along, 64), blocks(count, down))
    arrays = {"data": contiguous(data), "rows": contiguous(rows, "int64"), "out": out}
    arguments = {**arrays, "scale": scale, "offset": offset, "count": count, "features": features}
    launch(source(out.dtype.name, data.dtype.name), "gather", grid, (along, down), arguments)
