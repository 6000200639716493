"""Training on a sparse matrix: of its rows, those of a batch are dense at a time, the whole never.

A network is trained as another one that begins with a layer which is given numbers of rows and gives the rows. All else
is as for a dense matrix: order, batches, callbacks, and, without dropout, every bit.
"""

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dnnkit.backends.state import Snapshot
from dnnkit.deferred import dataclass
from dnnkit.estimators.embedding import inputs_of
from dnnkit.kernels.array import Array, Namespace
from dnnkit.layers.base import Layer
from dnnkit.network.sequential import Sequential
from dnnkit.network.whole import WholeNetwork
from dnnkit.training.history import History

HIGH = 1 << 12
"""A number of a row is given in two parts, for float32 counts to 2²⁴ only."""


@dataclass(frozen=True, eq=False)
class RowsOf(Layer):
    """The rows of sparse matrices, one below the other, that have the given numbers."""

    matrices: tuple[Any, ...]

    def output_shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:  # noqa: D102
        return (int(self.matrices[0].shape[1]),)

    def forward(self, xp: Namespace, x: Array) -> tuple[Array, Any]:  # noqa: D102
        numbers = np.asarray(x.get() if hasattr(x, "get") else x).astype(np.int64)  # a GPU's come to the host
        numbers = numbers[:, 0] * HIGH + numbers[:, 1]
        out = np.empty((len(numbers), *self.output_shape(())), self.matrices[0].dtype)
        first = 0
        for matrix in self.matrices:
            here = (numbers >= first) & (numbers < first + matrix.shape[0])
            if here.all():
                matrix[numbers - first].toarray(out=out)
            elif here.any():
                out[here] = matrix[numbers[here] - first].toarray()
            first += matrix.shape[0]
        return xp.asarray(out), None

    def backward(self, xp: Namespace, dy: Array, saved: Any) -> tuple[Array, ...]:  # noqa: D102
        return (xp.zeros((dy.shape[0], 2), dtype=dy.dtype),)


def row_numbers(first: int, count: int) -> NDArray[np.float32]:
    """What `RowsOf` is given for so many rows."""
    numbers = np.arange(first, first + count)
    return np.stack([numbers // HIGH, numbers % HIGH], axis=1).astype(np.float32)


def fit(net: WholeNetwork, x: Any, y: Any, *, validation_data: Any = None, **others: Any) -> History:
    """`net.fit`, whose x, and that of `validation_data`, may be CSR matrices of the network's dtype.

    Callbacks have the network that is trained in place of `net` as their model; parameters have the same names there.
    """
    if isinstance(x, np.ndarray):
        if validation_data is not None:
            validation_data = (inputs_of(net, validation_data[0]), *validation_data[1:])
        return net.fit(inputs_of(net, x), y, validation_data=validation_data, **others)
    matrices, rows = [x], x.shape[0]
    if validation_data is not None:
        held_out, *targets = validation_data
        matrices.append(held_out)
        validation_data = (row_numbers(rows, held_out.shape[0]), *targets)
    if not net.is_built:
        net.build(x.shape[1])
    assert isinstance(net, Sequential)  # what members are
    trained = Sequential(
        [RowsOf(tuple(matrices)), *net.descriptions],
        seed=net.seed,
        dtype=net.dtype,
        backend=net.backend,
        num_threads=net.num_threads,
    )
    trained.compile(net.optimizer, net.loss, net.metrics)
    trained.build(2)
    _give(net, trained)
    try:
        return trained.fit(row_numbers(0, rows), y, validation_data=validation_data, **others)
    finally:
        _give(trained, net)


def _give(giver: WholeNetwork, taker: WholeNetwork) -> None:
    """All numbers of one network to the other; how work was divided there says nothing here."""
    with giver.turns:
        snapshot = giver.executable.snapshot()
    state = replace(snapshot.state, execution="", schedule="", data="")
    with taker.turns:  # so that predictions know of it
        taker.executable.restore(Snapshot(snapshot.parameters, snapshot.slots, state))
    taker.history = giver.history
