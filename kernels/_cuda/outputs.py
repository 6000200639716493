"""Several outputs of a network: labels stored as a column of numbers, and the sum of losses."""

from dnnkit.kernels._cuda.launch import THREADS, blocks, launch
from dnnkit.kernels._cuda.source import REALS, Source
from dnnkit.kernels.array import Array


def sources() -> list[Source]:
    """Return every variant that ships."""
    return [Source.of("_cuda/outputs.cu", dtype) for dtype in REALS]


def labels_of(targets: Array, column: int, labels: Array) -> None:
    """Copy a column of targets (B, K) to labels, int64 (B,)."""
    rows, columns = targets.shape
    if rows:
        arguments = {"targets": targets, "columns": columns, "column": column, "labels": labels, "rows": rows}
        launch(Source.of("_cuda/outputs.cu", targets.dtype.name), "labels_of_column", blocks(rows), THREADS, arguments)


def join_losses(losses: Array, loss_weights: Array, places: Array, totals: Array, clock: Array, dtype: str) -> None:
    """End a training step whose outputs have these losses.

    Arguments:
        losses: float64 (K,), of the step.
        loss_weights: float64 (K,), their weights in the sum, which is added to the first of totals.
        places: int32 (K,), the index in totals to which each loss is added separately.
        totals: float64, running sums.
        clock: int64 (4,), see `clock.cu`.
        dtype: the network's.
    """
    arguments = {"losses": losses, "loss_weights": loss_weights, "places": places, "outputs": losses.size}
    launch(
        Source.of("_cuda/outputs.cu", dtype), "join_losses", 1, THREADS, {**arguments, "totals": totals, "clock": clock}
    )
