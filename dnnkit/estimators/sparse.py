"""Training on sparse matrices: the network multiplies compressed rows, or the rows of a batch become dense.

In the latter case another network is trained, whose first layer receives row numbers and returns the rows. Everything
else is as for a dense matrix: order, batches, callbacks, full batches, and, without dropout, every bit.
"""

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dnnkit.backends.state import Snapshot
from dnnkit.deferred import dataclass
from dnnkit.estimators.embedding import inputs_of
from dnnkit.kernels.array import Array, Namespace
from dnnkit.kernels.compressed_rows import CompressedRows
from dnnkit.layers.base import Layer
from dnnkit.network.sequential import Sequential
from dnnkit.network.whole import WholeNetwork
from dnnkit.training.history import History

HIGH = 1 << 12
"""Base in which row numbers are split into two values, because float32 represents integers only up to 2²⁴."""


@dataclass(frozen=True, eq=False)
class RowsOf(Layer):
    """Layer that maps row numbers to rows of several tables, one after the other."""

    tables: tuple[CompressedRows, ...]

    def output_shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:  # noqa: D102
        return (self.tables[0].features,)

    def forward(self, xp: Namespace, x: Array) -> tuple[Array, Any]:  # noqa: D102
        parts = np.asarray(x.get() if hasattr(x, "get") else x).astype(np.int64)
        numbers = parts[:, 0] * HIGH + parts[:, 1]
        out = np.empty((len(numbers), *self.output_shape(())), self.tables[0].dtype)
        first = 0
        for table in self.tables:
            here = (numbers >= first) & (numbers < first + len(table))
            out[here] = table[numbers[here] - first]
            first += len(table)
        return xp.asarray(out), None

    def backward(self, xp: Namespace, dy: Array, saved: Any) -> tuple[Array, ...]:  # noqa: D102
        return (xp.zeros((dy.shape[0], 2), dtype=dy.dtype),)


def row_numbers(first: int, count: int) -> NDArray[np.float32]:
    """Encode `count` row numbers, from `first` on, for `RowsOf`."""
    numbers = np.arange(first, first + count)
    return np.stack([numbers // HIGH, numbers % HIGH], axis=1).astype(np.float32)


def fit(net: WholeNetwork, x: Any, y: Any, *, validation_data: Any = None, **others: Any) -> History:
    """Call `net.fit`; x, and that of `validation_data`, may be `CompressedRows` of the network's dtype.

    If they are not multiplied as they are, callbacks receive the network that is trained in place of `net`; its
    parameters have the same names.
    """
    if not isinstance(x, CompressedRows):
        if validation_data is not None:
            validation_data = (inputs_of(net, validation_data[0]), *validation_data[1:])
        return net.fit(inputs_of(net, x), y, validation_data=validation_data, **others)
    tables = [x] if validation_data is None else [x, validation_data[0]]
    if all(net.multiplies(table, others.get("batch_size")) for table in tables):
        return net.fit(x, y, validation_data=validation_data, **others)
    if validation_data is not None:
        held_out, *targets = validation_data
        validation_data = (row_numbers(len(x), len(held_out)), *targets)
    assert isinstance(net, Sequential)  # members on sparse data always are
    trained = Sequential(
        [RowsOf(tuple(tables)), *net.descriptions],
        seed=net.seed,
        dtype=net.dtype,
        backend=net.backend,
        num_threads=net.num_threads,
    )
    trained.compile(net.optimizer, net.loss, net.metrics)
    trained.build(2)
    _give(net, trained)
    try:
        return trained.fit(row_numbers(0, len(x)), y, validation_data=validation_data, **others)
    finally:
        _give(trained, net)


def _give(giver: WholeNetwork, taker: WholeNetwork) -> None:
    """Copy parameters and state from one network to the other, without the execution plan."""
    with giver.turns:
        snapshot = giver.executable.snapshot()
    state = replace(snapshot.state, execution="", schedule="", data="")
    with taker.turns:  # invalidates cached predictions' state
        taker.executable.restore(Snapshot(snapshot.parameters, snapshot.slots, state))
    taker.history = giver.history
