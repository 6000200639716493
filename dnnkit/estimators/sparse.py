"""Training on sparse matrices without densifying the whole: only the rows of a batch become dense, or none.

The network is trained as another one, whose first layer receives row numbers and returns the rows. Everything else is
as for a dense matrix: order, batches, callbacks, and, without dropout, every bit. If rows are wide and nearly empty
and a dense layer comes first, that layer multiplies the sparse rows directly; the results are then equal within
rounding, because sums have other summands.
"""

from dataclasses import field, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import vstack

from dnnkit.backends.stages import Parameter
from dnnkit.backends.state import Snapshot
from dnnkit.deferred import dataclass
from dnnkit.estimators.embedding import inputs_of
from dnnkit.initializers import Initializer, Shape
from dnnkit.kernels.array import Array, Namespace
from dnnkit.layers import Activation
from dnnkit.layers.base import Layer, Lowered
from dnnkit.layers.core import Dense
from dnnkit.network.sequential import Sequential
from dnnkit.network.whole import WholeNetwork
from dnnkit.training.history import History

HIGH = 1 << 12
"""Base in which row numbers are split into two values, because float32 represents integers only up to 2²⁴."""

WIDE, NEARLY_EMPTY = 1 << 11, 1 / 32
"""Minimum number of columns and maximum density for multiplying sparse rows directly."""


@dataclass(frozen=True, eq=False)
class RowsOf(Layer):
    """Layer that maps row numbers to rows of vertically stacked sparse matrices."""

    matrices: tuple[Any, ...]

    def output_shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:  # noqa: D102
        return (int(self.matrices[0].shape[1]),)

    def forward(self, xp: Namespace, x: Array) -> tuple[Array, Any]:  # noqa: D102
        numbers = _numbers(x)
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


@dataclass(frozen=True, eq=False)
class DenseOfRows(Dense):
    """Dense layer, without activation, that maps row numbers to products of sparse rows with its kernel.

    It reads only the kernel rows of non-empty columns, and its gradient is zero elsewhere.
    """

    matrices: tuple[Any, ...] = field(default=(), kw_only=True)

    def output_shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:  # noqa: D102
        return (self.units,)

    def parameters(self, input_shape: tuple[int, ...]) -> dict[str, tuple[Shape, str | Initializer]]:  # noqa: D102
        return super().parameters((int(self.matrices[0].shape[1]),))

    def lower(self, index: int, input_shape: Shape, parameters: tuple[Parameter, ...]) -> Lowered:  # noqa: D102
        return Layer.lower(self, index, input_shape, parameters)  # like a custom layer

    def forward(  # noqa: D102
        self, xp: Namespace, x: Array, kernel: Array, bias: Array | None = None
    ) -> tuple[Array, Any]:
        rows = _stacked(self.matrices, _numbers(x))
        y = rows @ _on_host(kernel)
        return xp.asarray(y if bias is None else y + _on_host(bias)), rows

    def backward(self, xp: Namespace, dy: Array, saved: Any, *parameters: Array) -> tuple[Array, ...]:  # noqa: D102
        d = np.ascontiguousarray(_on_host(dy))
        of_kernel = xp.asarray(saved.T @ d)
        of_bias = (xp.asarray(d.sum(axis=0)),) if self.use_bias else ()
        return (xp.zeros((dy.shape[0], 2), dtype=dy.dtype), of_kernel, *of_bias)


def _numbers(x: Array) -> NDArray[np.int64]:
    """Decode the row numbers that a layer receives."""
    parts = _on_host(x).astype(np.int64)
    return parts[:, 0] * HIGH + parts[:, 1]


def _on_host(array: Array) -> NDArray[Any]:
    return np.asarray(array.get() if hasattr(array, "get") else array)


def _stacked(matrices: tuple[Any, ...], numbers: NDArray[np.int64]) -> Any:
    """Return these rows of vertically stacked matrices, as a sparse matrix."""
    first, found, places = 0, [], []
    for matrix in matrices:
        here = np.flatnonzero((numbers >= first) & (numbers < first + matrix.shape[0]))
        if len(here) == len(numbers):
            return matrix[numbers - first]
        found.append(matrix[numbers[here] - first])
        places.append(here)
        first += matrix.shape[0]
    return vstack(found, format="csr")[np.argsort(np.concatenate(places))]


def first_layers(net: WholeNetwork, matrices: tuple[Any, ...]) -> list[Layer]:
    """Return the layers of the network that receives row numbers in place of rows."""
    first, *others = net.descriptions
    numbers, cells = (sum(each) for each in zip(*((m.nnz, m.shape[0] * m.shape[1]) for m in matrices), strict=True))
    is_worth = matrices[0].shape[1] >= WIDE and numbers <= cells * NEARLY_EMPTY
    if not is_worth or type(first) is not Dense or first.parametrization is not None:
        return [RowsOf(matrices), *net.descriptions]
    named = [replace(layer, name=name) for layer, name in zip(others, net.graph.names[1:], strict=True)]
    own = {each.name: getattr(first, each.name) for each in fields(first) if each.init}
    multiplies = DenseOfRows(**{**own, "activation": None, "name": net.graph.names[0]}, matrices=matrices)
    return [multiplies, Activation(first.activation or "linear"), *named]


def row_numbers(first: int, count: int) -> NDArray[np.float32]:
    """Encode `count` row numbers, from `first` on, for `RowsOf`."""
    numbers = np.arange(first, first + count)
    return np.stack([numbers // HIGH, numbers % HIGH], axis=1).astype(np.float32)


def fit(net: WholeNetwork, x: Any, y: Any, *, validation_data: Any = None, **others: Any) -> History:
    """Call `net.fit`; x, and that of `validation_data`, may be CSR matrices of the network's dtype.

    Callbacks receive the network that is trained in place of `net`; its parameters have the same names.
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
    assert isinstance(net, Sequential)  # members on sparse data always are
    trained = Sequential(
        first_layers(net, tuple(matrices)),
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
    """Copy parameters and state from one network to the other, without the execution plan."""
    with giver.turns:
        snapshot = giver.executable.snapshot()
    state = replace(snapshot.state, execution="", schedule="", data="")
    with taker.turns:  # invalidates cached predictions' state
        taker.executable.restore(Snapshot(snapshot.parameters, snapshot.slots, state))
    taker.history = giver.history
