"""Norm bound on the GPU, in place. Contract: the package's docstring."""

from dnnkit.kernels._cuda.launch import THREADS, blocks, launch
from dnnkit.kernels._cuda.source import REALS, Source
from dnnkit.kernels._cuda.strips import Memory, along_columns, down_columns
from dnnkit.kernels.array import Array


def sources() -> list[Source]:
    """Return every variant that ships."""
    return [Source.of("norm_bound/gpu.cu", dtype) for dtype in REALS]


def constrain(w: Array, least: float, most: float, rate: float, not_negative: bool, memory: Memory) -> None:
    """Constrain the column norms of w (I, O)."""
    (rows, columns), source = w.shape, Source.of("norm_bound/gpu.cu", w.dtype.name)
    if w.size == 0:
        return
    if not_negative:
        launch(source, "not_negative", blocks(w.nbytes, 16 * THREADS), THREADS, {"w": w, "count": w.size})
        return
    squares = memory("squares", (columns,))
    down_columns(source, "squares_of_columns", rows, columns, {"w": w}, {"parts": squares}, memory, w)
    arguments = {"w": w, "squares": squares, "least": least, "most": most, "rate": rate}
    along_columns(source, "bound_columns", rows, columns, arguments, w.itemsize)
