"""Batches of an epoch, one after another."""

from typing import Any

from dnnkit.backends.operations import Operations
from dnnkit.backends.stages import Rescale
from dnnkit.backends.stagewise.buffers import Buffers
from dnnkit.backends.stagewise.flat import Data
from dnnkit.backends.state import HostArray
from dnnkit.kernels.array import Array
from dnnkit.kernels.compressed_rows import CompressedRows


class Batches:
    """Batches of data on the backend, gathered by a row order that is passed once."""

    def __init__(
        self,
        backend: Operations,
        buffers: Buffers,
        rescale: Rescale,
        dtype: Any,
        data: Data,
        order: HostArray,
        batch_size: int,
    ) -> None:
        self._backend, self._buffers, self._rescale, self._dtype = backend, buffers, rescale, dtype
        self._data, self._batch_size = data, batch_size
        self._rows = self._on_backend(order)

    def _on_backend(self, order: HostArray) -> Array:
        return self._backend.asarray(order)

    def batch(self, step: int) -> tuple[Array, Array | None, Array | None]:
        """Return (inputs, targets, row weights) of a step."""
        return self._gather(self._data, part(self._rows, step, self._batch_size))

    def _gather(self, data: Data, rows: Array) -> tuple[Array, Array | None, Array | None]:
        x = data.x[rows] if isinstance(data.x, CompressedRows) else self._gather_rows(data.x, rows)
        of_outputs = data.weights is not None and data.weights.ndim > 1
        weights = self._take("weights of outputs" if of_outputs else "weights", data.weights, rows)
        return x, self._take("y", data.y, rows), weights

    def _gather_rows(self, x: Array, rows: Array) -> Array:
        scale, offset, shape = self._rescale.scale, self._rescale.offset, (rows.shape[0], x.shape[1])
        return self._backend.gather(x, rows, scale, offset, self._dtype, out=self._buffers.get("x", shape))

    def _take(self, name: str, values: Array | None, rows: Array) -> Array | None:
        if values is None:
            return None
        out = self._buffers.get(name, (rows.shape[0], *values.shape[1:]), dtype=values.dtype)
        return self._backend.take(values, rows, out=out)


def part(rows: Array, step: int, batch_size: int) -> Array:
    """Return the rows of a batch; the last may be smaller."""
    return rows[step * batch_size : min((step + 1) * batch_size, rows.shape[0])]
