"""Native entry points of activations, losses and optimizer rules: what the compiled epoch calls, once per array.

The epoch is compiled once for all networks, so it cannot name their kernels. Each kernel is compiled on its own, from a
short module that is generated here around its `cpu.py`, to a function of pointers and numbers; the epoch gets the
addresses as data and calls them in Numba's own calling convention (docs/design/0017-small-steps.md). A kernel without
`cpu.py` has no entry points: `registry.has_cpu_version` says so.
"""

import ctypes
from collections.abc import Callable
from functools import cache
from typing import Any

from numba import types

from dnnkit.kernels import registry
from dnnkit.kernels._numba.jit import module_from_source, native, native_address
from dnnkit.kernels.optimizer_step.reference import RULES
from dnnkit.kernels.registry import RUNTIME_ACTIVATIONS

ELEMENTWISE = """\
from dnnkit.kernels._numba.at_address import pointed

{functions}

def forward_array(x_pointer, y_pointer, rows, columns):
    x, y = pointed(x_pointer, rows * columns), pointed(y_pointer, rows * columns)
    for e in range(rows * columns):
        y[e] = forward(x[e])


def backward_array(dy_pointer, saved_pointer, dx_pointer, rows, columns):
    dy, saved = pointed(dy_pointer, rows * columns), pointed(saved_pointer, rows * columns)
    dx = pointed(dx_pointer, rows * columns)
    for e in range(rows * columns):
        dx[e] = dy[e] * {slope}(saved[e])
"""

ROWWISE = """\
from dnnkit.kernels._numba.at_address import pointed

from dnnkit.kernels.activations.{name} import cpu


def forward_array(x_pointer, y_pointer, rows, columns):
    cpu.forward(pointed(x_pointer, (rows, columns)), pointed(y_pointer, (rows, columns)))


def backward_array(dy_pointer, saved_pointer, dx_pointer, rows, columns):
    shape = (rows, columns)
    cpu.backward(pointed(dy_pointer, shape), pointed(saved_pointer, shape), pointed(dx_pointer, shape))
"""

LOSS = """\
from dnnkit.kernels._numba.at_address import pointed

from dnnkit.kernels._numba.jit import inline
from dnnkit.kernels.losses.{name} import cpu


def loss(scores_pointer, targets_pointer, weights_pointer, rows, columns, scale, gradient_pointer, total):
    weights = pointed(weights_pointer, rows)
    if columns == 1:  # known to be so when it is compiled: the loop over a row is none
        scores, gradient = pointed(scores_pointer, (rows, 1)), pointed(gradient_pointer, (rows, 1))
        add_up(scores, pointed(targets_pointer, {shape_of_one}), weights, scale, gradient, total)
    else:
        scores, gradient = pointed(scores_pointer, (rows, columns)), pointed(gradient_pointer, (rows, columns))
        add_up(scores, pointed(targets_pointer, {shape}), weights, scale, gradient, total)


@inline
def add_up(scores, targets, weights, scale, gradient, total):
    factor, sum_of_rows = gradient.dtype.type(scale), total[0]
    for i in range(weights.size):
        sum_of_rows += weights[i] * cpu.row(i, scores, targets, weights[i] * factor, gradient)
    total[0] = sum_of_rows
"""

METRIC = """\
from dnnkit.kernels._numba.at_address import pointed

from dnnkit.kernels.metrics.{name} import cpu


def total(scores_pointer, targets_pointer, weights_pointer, rows, columns, threshold, total_pointer):
    scores, weights = pointed(scores_pointer, (rows, columns)), pointed(weights_pointer, rows)
    targets, total, limit = pointed(targets_pointer, {shape}), pointed(total_pointer, 1), scores.dtype.type(threshold)
    for i in range(rows):
        total[0] += weights[i] * cpu.row(i, scores, targets, limit)
"""

UPDATE = """\
from dnnkit.kernels._numba.at_address import pointed

from dnnkit.kernels.optimizer_step import cpu


def update(step, p_pointer, g_pointer, slots_pointer, stride, count, learning_rate, numbers):
    p, g = pointed(p_pointer, count), pointed(g_pointer, count)
    slots = pointed(slots_pointer, ({slot_count}, stride))
    cpu.{name}(step, p, g, {slots}learning_rate, {numbers})
"""


class EntryPoints:
    """Functions of one kernel in one dtype, each compiled when it is first asked for; kept as long as the process."""

    def __init__(self, **declared: tuple[Callable[..., None], Any]) -> None:
        self._declared = declared
        self._compiled: dict[str, Any] = {}

    @property
    def names(self) -> tuple[str, ...]:
        """Those of the functions."""
        return tuple(self._declared)

    def compiled(self, name: str) -> Any:
        """The function, compiled now if it was not yet."""
        if name not in self._compiled:
            self._compiled[name] = native(*self._declared[name])
        return self._compiled[name]

    def address(self, name: str) -> int:
        """The function's address, to be called in Numba's convention, as `indirect_calls.py` does."""
        return native_address(self.compiled(name))

    def call(self, name: str, *arguments: Any) -> Any:
        """Call it from Python, by its C wrapper; pointers are given as numbers."""
        return _from_python(self.compiled(name))(*arguments)


@cache
def _from_python(function: Any) -> Any:
    """The function's C wrapper, for ctypes; a pointer is any address."""
    kinds: dict[Any, Any] = {types.int64: ctypes.c_int64, types.float64: ctypes.c_double}
    arguments = [kinds.get(kind, ctypes.c_void_p) for kind in function._sig.args]
    return ctypes.CFUNCTYPE(None, *arguments)(function.address)


@cache
def activation_entry_points(name: str, dtype: str) -> EntryPoints:
    """`forward(x, y, rows, columns)` and `backward(dy, saved, dx, rows, columns)`."""
    activation, pointer = registry.activation(name), types.CPointer(getattr(types, dtype))
    slope = "derivative_from_output" if activation.saves == "output" else "derivative"
    template = ELEMENTWISE if activation.elementwise else ROWWISE
    functions = f"from dnnkit.kernels.activations.{name}.cpu import forward, {slope}\n"
    if name in RUNTIME_ACTIVATIONS:
        functions = RUNTIME_ACTIVATIONS[name].cpu
    module = module_from_source(name, template.format(name=name, functions=functions, slope=slope))
    sizes = (types.int64, types.int64)
    return EntryPoints(
        forward=(module.forward_array, types.void(pointer, pointer, *sizes)),
        backward=(module.backward_array, types.void(pointer, pointer, pointer, *sizes)),
    )


@cache
def loss_entry_points(name: str, targets: str, dtype: str) -> EntryPoints:
    """`loss(scores, targets, weights, rows, columns, scale, gradient, total)`: adds to total[0]."""
    number, labels = types.CPointer(getattr(types, dtype)), targets == "labels"
    kind = types.CPointer(types.int64) if labels else number
    shape, shape_of_one = ("rows", "rows") if labels else ("(rows, columns)", "(rows, 1)")
    module = module_from_source(f"{name}_{targets}", LOSS.format(name=name, shape=shape, shape_of_one=shape_of_one))
    sizes, total = (types.int64, types.int64), types.CPointer(types.float64)
    signature = types.void(number, kind, number, *sizes, types.float64, number, total)
    return EntryPoints(loss=(module.loss, signature))


@cache
def metric_entry_points(name: str, targets: str, dtype: str) -> EntryPoints:
    """`total(scores, targets, weights, rows, columns, threshold, total)`: adds to total[0] the weighted sum."""
    number, shape = types.CPointer(getattr(types, dtype)), "rows" if targets == "labels" else "(rows, columns)"
    kind = types.CPointer(types.int64) if targets == "labels" else number
    total, sizes = types.CPointer(types.float64), (types.int64, types.int64)
    module = module_from_source(f"{name}_{targets}", METRIC.format(name=name, shape=shape))
    return EntryPoints(total=(module.total, types.void(number, kind, number, *sizes, types.float64, total)))


@cache
def optimizer_entry_points(name: str, dtype: str) -> EntryPoints:
    """`update(step, p, g, slots, stride, count, learning_rate, numbers)`: slots one after the other, stride apart."""
    rule, pointer = RULES[name], types.CPointer(getattr(types, dtype))
    slots = "".join(f"slots[{index}, :count], " for index in range(len(rule.slots)))
    numbers = ", ".join(f"numbers[{index}]" for index in range(len(rule.hyperparameters)))
    source = UPDATE.format(name=name, slot_count=max(1, len(rule.slots)), slots=slots, numbers=numbers)
    signature = types.void(
        types.int64,
        pointer,
        pointer,
        pointer,
        types.int64,
        types.int64,
        types.float64,
        types.CPointer(types.float64),
    )
    return EntryPoints(update=(module_from_source(name, source).update, signature))
