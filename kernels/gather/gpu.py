"""Gather on the GPU. Contract: the package's docstring."""

from typing import Any

from dnnkit.kernels._cuda.launch import THREADS, blocks, contiguous, launch, power_of_two
from dnnkit.kernels._cuda.source import REALS, TYPES, Source, type_of
from dnnkit.kernels.array import Array

WIDTH = 4
"""Numbers that a thread converts at a time in aligned rows."""


def sources() -> list[Source]:
    """Return every variant that ships."""
    return [source(dtype, data) for dtype in REALS for data in TYPES.values()]


def source(dtype: str, data: str) -> Source:
    """Return the kernel for data of one dtype and a result of another."""
    return Source.of("gather/gpu.cu", dtype, DATA=type_of(data))


def gather(data: Array, rows: Array | None, scale: float, offset: float, out: Array) -> None:
    """Gather rows of data (N, F), of any numeric dtype, by index, into out (B, F), in out's dtype.

    Without indices, all rows in order.
    """
    if out.size == 0:
        return
    numbers = None if rows is None else contiguous(rows, "int64")
    _launch("gather", data, out, {"rows": numbers, "scale": scale, "offset": offset})


def gather_batch(
    data: Array,
    order: Array,
    scale: float,
    offset: float,
    out: Array,
    targets: tuple[Array, Array] | None,
    weights: tuple[Array, Array] | None,
    table: Array,
    numbers: Array,
    clock: Array,
    batch: int,
    period: int,
) -> None:
    """Begin the step that the clock indicates: gather its rows to out (B, F), its targets, weights and numbers.

    Arguments:
        data: (N, F), of any numeric dtype.
        order: int64, the row indices, `batch` of them per step.
        scale: factor of the inputs.
        offset: summand of the inputs, after scaling.
        out: (B, F); B is less than `batch` in a shorter last step.
        targets: those of all rows, and an array for the step's, of the same dtype.
        weights: those of all rows, one or several per row, and an array for the step's, in the dtype of out.
        table: (steps, K) in the dtype of out, the numbers of each step of the epoch.
        numbers: (K,), the array for this step's numbers.
        clock: int64 (4,), see `_cuda/clock.cu`.
        batch: rows of a full step.
        period: number of steps after which the order starts over.
    """
    words = [None, None] if targets is None else [each.reshape(-1).view("int32") for each in targets]
    rows, weights_out = weights or (None, None)
    moment = {"table": table, "numbers": numbers, "numbers_count": numbers.size, "clock": clock}
    arguments: dict[str, Any] = {
        **{"order": order, "scale": scale, "offset": offset, "batch": batch, "period": period},
        **{"targets": words[0], "targets_out": words[1], "weights": rows, "weights_out": weights_out},
        "target_words": 0 if words[1] is None else words[1].size // len(out),
        "weight_columns": 0 if weights_out is None else weights_out.size // len(out),
    }
    _launch("gather_batch", data, out, {**arguments, **moment})


def _launch(kernel: str, data: Array, out: Array, arguments: dict[str, Any]) -> None:
    count, features = out.shape
    along = power_of_two(-(-features // WIDTH), THREADS)
    down = THREADS // along
    grid = (blocks(features, WIDTH * along, 64), blocks(count, down))
    batch = {"data": contiguous(data), "out": out, "count": count, "features": features}
    launch(source(out.dtype.name, data.dtype.name), kernel, grid, (along, down), {**batch, **arguments})
