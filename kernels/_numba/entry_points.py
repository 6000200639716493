"""Native entry points of kernels, called once per array by compiled steps and by operations of the backend.

A compiled step cannot name the kernels of a network. Each kernel is compiled separately, from a short module generated
here around its `cpu.py`, to a function of addresses and numbers, and a step receives its address as data
(docs/design/0017-small-steps.md). A kernel without `cpu.py` has no entry points; see `registry.has_cpu_version`. Numba
is imported only if an entry point is not in the archive.
"""

import hashlib
from collections.abc import Callable
from functools import cache
from typing import Any

from dnnkit.kernels import registry
from dnnkit.kernels._native.archive import Bitcode
from dnnkit.kernels._native.functions import Function
from dnnkit.kernels.optimizer_step.reference import RULES
from dnnkit.kernels.registry import RUNTIME_ACTIVATIONS, RUNTIME_LOSSES

ELEMENTWISE = """\
from dnnkit.kernels._numba.at_address import pointed

{functions}

def forward_entry(x_pointer, y_pointer, rows, columns):
    x, y = pointed(x_pointer, rows * columns), pointed(y_pointer, rows * columns)
    for e in range(rows * columns):
        y[e] = forward(x[e])


def backward_entry(dy_pointer, saved_pointer, dx_pointer, rows, columns):
    dy, saved = pointed(dy_pointer, rows * columns), pointed(saved_pointer, rows * columns)
    dx = pointed(dx_pointer, rows * columns)
    for e in range(rows * columns):
        dx[e] = dy[e] * {slope}(saved[e])


def forward_with_slope_entry(x_pointer, y_pointer, rows, columns):
    x, y = pointed(x_pointer, rows * columns), pointed(y_pointer, rows * columns)
    for e in range(rows * columns):
        value = x[e]
        y[e], x[e] = forward(value), {slope}(value)
"""

SLOPE = """\
from dnnkit.kernels._numba.at_address import pointed


def backward_entry(dy_pointer, slope_pointer, dx_pointer, rows, columns):
    dy, slope = pointed(dy_pointer, rows * columns), pointed(slope_pointer, rows * columns)
    dx = pointed(dx_pointer, rows * columns)
    for e in range(rows * columns):
        dx[e] = dy[e] * slope[e]
"""

ROWWISE = """\
from dnnkit.kernels._numba.at_address import pointed

from dnnkit.kernels.activations.{name} import cpu


def forward_entry(x_pointer, y_pointer, rows, columns):
    cpu.forward(pointed(x_pointer, (rows, columns)), pointed(y_pointer, (rows, columns)))


def backward_entry(dy_pointer, saved_pointer, dx_pointer, rows, columns):
    shape = (rows, columns)
    cpu.backward(pointed(dy_pointer, shape), pointed(saved_pointer, shape), pointed(dx_pointer, shape))
"""

LOSS = """\
from dnnkit.kernels._numba.at_address import pointed

from dnnkit.kernels._numba.jit import jit
{functions}

def loss_entry(scores_pointer, targets_pointer, weights_pointer, rows, columns, scale, gradient_pointer, total):
    weights = pointed(weights_pointer, rows)
    if columns == 1:  # with this shape, no loop over the row is compiled
        scores, gradient = pointed(scores_pointer, (rows, 1)), pointed(gradient_pointer, (rows, 1))
        add_up(scores, pointed(targets_pointer, {shape_of_one}), weights, scale, gradient, total)
    else:
        scores, gradient = pointed(scores_pointer, (rows, columns)), pointed(gradient_pointer, (rows, columns))
        add_up(scores, pointed(targets_pointer, {shape}), weights, scale, gradient, total)


@jit
def add_up(scores, targets, weights, scale, gradient, total):
    factor, sum_of_rows = gradient.dtype.type(scale), total[0]
    for i in range(weights.size):
        sum_of_rows += weights[i] * row(i, scores, targets, weights[i] * factor, gradient)
    total[0] = sum_of_rows
"""

LOSS_AT_ONCE = """\
from dnnkit.kernels._numba.at_address import pointed

from dnnkit.kernels.losses.{name}.cpu import add_up


def loss_entry(scores_pointer, targets_pointer, weights_pointer, rows, columns, scale, gradient_pointer, total):
    scores, targets = pointed(scores_pointer, (rows, columns)), pointed(targets_pointer, {shape})
    weights, gradient = pointed(weights_pointer, rows), pointed(gradient_pointer, (rows, columns))
    total[0] += add_up(scores, targets, weights, scale, gradient)
"""

METRIC = """\
from dnnkit.kernels._numba.at_address import pointed

from dnnkit.kernels.metrics.{name} import cpu


def total_entry(scores_pointer, targets_pointer, weights_pointer, rows, columns, threshold, total_pointer):
    scores, weights = pointed(scores_pointer, (rows, columns)), pointed(weights_pointer, rows)
    targets, total, limit = pointed(targets_pointer, {shape}), pointed(total_pointer, 1), scores.dtype.type(threshold)
    for i in range(rows):
        total[0] += weights[i] * cpu.row(i, scores, targets, limit)
"""

METRIC_OF_SUMS = """\
import numpy as np

from dnnkit.kernels._numba.at_address import pointed
from dnnkit.kernels._numba.jit import jit

from dnnkit.kernels.metrics.{name} import count, cpu

number_of_sums = jit(count)


def total_entry(scores_pointer, targets_pointer, weights_pointer, rows, columns, threshold, total_pointer):
    scores, weights = pointed(scores_pointer, (rows, columns)), pointed(weights_pointer, rows)
    targets, limit = pointed(targets_pointer, {shape}), scores.dtype.type(threshold)
    sums = pointed(total_pointer, number_of_sums(columns))
    for i in range(rows):
        cpu.add(i, scores, targets, np.float64(weights[i]), limit, sums)
"""

UPDATE = """\
from dnnkit.kernels._numba.at_address import pointed

from dnnkit.kernels.optimizer_step import cpu


def update_entry(step, p_pointer, g_pointer, slots_pointer, stride, count, learning_rate, numbers):
    p, g = pointed(p_pointer, count), pointed(g_pointer, count)
    slots = pointed(slots_pointer, ({slot_count}, stride))
    cpu.{name}(step, p, g, {slots}learning_rate, {numbers})
"""


DENSE = """\
from dnnkit.kernels._numba.at_address import pointed

from dnnkit.kernels.dense import cpu


def forward_entry(x_pointer, w_pointer, b_pointer, activation, z_pointer, y_pointer, rows, inputs, outputs, biases):
    x, w, b = pointed(x_pointer, (rows, inputs)), pointed(w_pointer, (inputs, outputs)), pointed(b_pointer, biases)
    cpu.forward(x, w, b, activation, pointed(z_pointer, (rows, outputs)), pointed(y_pointer, (rows, outputs)))


def backward_entry(
    dy_pointer, x_pointer, w_pointer, saved_pointer, activation, needs_dx, dz_pointer, dx_pointer, dw_pointer,
    db_pointer, rows, inputs, outputs, biases,
):
    dy, dz = pointed(dy_pointer, (rows, outputs)), pointed(dz_pointer, (rows, outputs))
    x, dx = pointed(x_pointer, (rows, inputs)), pointed(dx_pointer, (rows, inputs))
    w, dw = pointed(w_pointer, (inputs, outputs)), pointed(dw_pointer, (inputs, outputs))
    saved, db = pointed(saved_pointer, (rows, outputs)), pointed(db_pointer, biases)
    cpu.backward(dy, x, w, saved, activation, needs_dx != 0, dz, dx, dw, db)


def backward_input_entry(
    dy_pointer, w_pointer, saved_pointer, activation, dz_pointer, dx_pointer, rows, inputs, outputs
):
    dy, dz = pointed(dy_pointer, (rows, outputs)), pointed(dz_pointer, (rows, outputs))
    w, saved = pointed(w_pointer, (inputs, outputs)), pointed(saved_pointer, (rows, outputs))
    cpu.backward_input(dy, w, saved, activation, dz, pointed(dx_pointer, (rows, inputs)))
"""

GATHER = """\
from dnnkit.kernels._numba.at_address import pointed

from dnnkit.kernels.gather import cpu


def gather_entry(data_pointer, rows_pointer, out_pointer, scale, offset, length, count, features):
    data, out = pointed(data_pointer, (length, features)), pointed(out_pointer, (count, features))
    cpu.gather(data, pointed(rows_pointer, count), scale, offset, out)
"""

DROPOUT = """\
from dnnkit.kernels._numba.at_address import pointed

from dnnkit.kernels.dropout import cpu


def mask_entry(out_pointer, count, rate, seed, layer, step):
    cpu.mask(0, count, rate, seed, layer, step, pointed(out_pointer, count))


def apply_entry(x_pointer, keep_pointer, out_pointer, count, rate):
    cpu.apply(pointed(x_pointer, count), pointed(keep_pointer, count), rate, pointed(out_pointer, count))
"""

MARK = """\
from dnnkit.kernels._numba.at_address import pointed

from dnnkit.kernels.nonzero_columns.cpu import mark


def mark_entry(x_pointer, bits_pointer, finite_pointer, rows, features, words):
    finite = mark(pointed(x_pointer, (rows, features)), pointed(bits_pointer, (rows, words)))
    pointed(finite_pointer, 1)[0] = finite
"""

INTERPOLATE = """\
from dnnkit.kernels._numba.at_address import pointed

from dnnkit.kernels.interpolate import cpu


def interpolate_entry(x_pointer, y_pointer, out_pointer, count, share):
    cpu.interpolate(pointed(x_pointer, count), pointed(y_pointer, count), share, pointed(out_pointer, count))
"""


class EntryPoints:
    """Functions of one kernel in one dtype, each compiled on first use.

    Argument types are given as text: "number*" is the address of numbers of that dtype, "int64*" that of integers.
    """

    def __init__(self, name: str, dtype: str, title: str, source: str, **arguments: str) -> None:
        def maker(which: str) -> Callable[[str], Bitcode]:
            def make(symbol: str) -> Bitcode:
                from dnnkit.kernels._numba.front_end import bitcode
                from dnnkit.kernels._numba.jit import module_from_source
                from dnnkit.kernels._numba.signature import signature

                with module_from_source(title, source) as module:
                    return bitcode(getattr(module, f"{which}_entry"), signature(arguments[which], dtype), symbol)

            return make

        self._functions = {which: Function(f"{name}.{which}", dtype, maker(which)) for which in arguments}
        self._kinds = {which: "".join(map(_kind, text.split())) for which, text in arguments.items()}
        self._callers: dict[str, Any] = {}

    @property
    def functions(self) -> dict[str, Function]:
        """The functions by name."""
        return self._functions

    def address(self, which: str) -> int:
        """Return a function's address, for calls in Numba's convention (`indirect_calls.py`)."""
        return self._functions[which].address

    def call(self, which: str, *arguments: Any) -> None:
        """Call a function from Python; addresses are integers."""
        if which not in self._callers:
            self._callers[which] = self._functions[which].from_python(self._kinds[which])
        self._callers[which](*arguments)


def _kind(argument: str) -> str:
    """Return the code of an argument type for `machine_code.caller`."""
    return "n" if argument == "float64" else "w"


@cache
def activation_entry_points(name: str, dtype: str) -> EntryPoints:
    """Entry points `forward(x, y, rows, columns)` and `backward(dy, saved, dx, rows, columns)`.

    An elementwise activation that saves its input also has `forward_with_slope(x, y, rows, columns)`, which leaves the
    derivative in x. A training step then computes the common subexpressions once, and its backward pass is
    `slope_entry_points`.
    """
    activation, unique = registry.activation(name), f"activation.{name}"
    slope = "derivative_from_output" if activation.saves == "output" else "derivative"
    template = ELEMENTWISE if activation.elementwise else ROWWISE
    functions = f"from dnnkit.kernels.activations.{name}.cpu import forward, {slope}\n"
    if name in RUNTIME_ACTIVATIONS:
        functions = RUNTIME_ACTIVATIONS[name].cpu
        unique += f".{hashlib.sha256(functions.encode()).hexdigest()[:16]}"
    source = template.format(name=name, functions=functions, slope=slope)
    of_two, of_three = "number* number* int64 int64", "number* number* number* int64 int64"
    with_slope = {"forward_with_slope": of_two} if activation.has_own_slope else {}
    return EntryPoints(unique, dtype, name, source, forward=of_two, backward=of_three, **with_slope)


@cache
def slope_entry_points(dtype: str) -> EntryPoints:
    """Entry point `backward(dy, slope, dx, rows, columns)`: dx = dy · slope."""
    return EntryPoints("slope", dtype, "slope", SLOPE, backward="number* number* number* int64 int64")


@cache
def loss_entry_points(name: str, targets: str, dtype: str) -> EntryPoints:
    """Entry point `loss(scores, targets, weights, rows, columns, scale, gradient, total)`, which adds to total[0]."""
    labels = targets == "labels"
    shape, shape_of_one = ("rows", "rows") if labels else ("(rows, columns)", "(rows, 1)")
    unique, functions = f"loss.{name}.{targets}", f"from dnnkit.kernels.losses.{name}.cpu import row\n"
    if name in RUNTIME_LOSSES:
        functions = RUNTIME_LOSSES[name].cpu
        unique += f".{hashlib.sha256(functions.encode()).hexdigest()[:16]}"
    source = LOSS.format(functions=functions, shape=shape, shape_of_one=shape_of_one)
    if registry.loss(name).at_once:
        source = LOSS_AT_ONCE.format(name=name, shape=shape)
    kind = "int64*" if labels else "number*"
    arguments = f"number* {kind} number* int64 int64 float64 number* float64*"
    return EntryPoints(unique, dtype, f"{name}_{targets}", source, loss=arguments)


@cache
def metric_entry_points(name: str, targets: str, dtype: str) -> EntryPoints:
    """Entry point `total(scores, targets, weights, rows, columns, threshold, total)`, which adds sums to total."""
    labels, template = targets == "labels", METRIC if registry.metric(name).count is None else METRIC_OF_SUMS
    source = template.format(name=name, shape="rows" if labels else "(rows, columns)")
    arguments = f"number* {'int64*' if labels else 'number*'} number* int64 int64 float64 float64*"
    return EntryPoints(f"metric.{name}.{targets}", dtype, f"{name}_{targets}", source, total=arguments)


@cache
def optimizer_entry_points(name: str, dtype: str) -> EntryPoints:
    """Entry point `update(step, p, g, slots, stride, count, learning_rate, numbers)`; slots are `stride` apart."""
    rule = RULES[name]
    slots = "".join(f"slots[{index}, :count], " for index in range(len(rule.slots)))
    numbers = ", ".join(f"numbers[{index}]" for index in range(len(rule.hyperparameters)))
    source = UPDATE.format(name=name, slot_count=max(1, len(rule.slots)), slots=slots, numbers=numbers)
    arguments = "int64 number* number* number* int64 int64 float64 float64*"
    return EntryPoints(f"rule.{name}", dtype, name, source, update=arguments)


@cache
def dense_entry_points(dtype: str) -> EntryPoints:
    """Entry points `forward(x, w, b, activation, z, y, rows, inputs, outputs, biases)` and two backward passes.

    See `kernels/dense`.
    """
    three = "number* number* number*"
    return EntryPoints(
        "dense",
        dtype,
        "dense",
        DENSE,
        forward=f"{three} int64 number* number* int64 int64 int64 int64",
        backward=f"{three} number* int64 int64 {three} number* int64 int64 int64 int64",
        backward_input=f"{three} int64 number* number* int64 int64 int64",
    )


@cache
def gather_entry_points(source: str, dtype: str) -> EntryPoints:
    """Entry point `gather(data, rows, out, scale, offset, length, count, features)`, for data of dtype `source`."""
    arguments = f"{source}* int64* number* float64 float64 int64 int64 int64"
    return EntryPoints(f"gather.{source}", dtype, "gather", GATHER, gather=arguments)


@cache
def dropout_entry_points(dtype: str) -> EntryPoints:
    """Entry points `mask(out, count, rate, seed, layer, step)` and `apply(x, keep, out, count, rate)`; all flat."""
    mask = "bool* int64 float64 int64 int64 int64"
    return EntryPoints("dropout", dtype, "dropout", DROPOUT, mask=mask, apply="number* bool* number* int64 float64")


@cache
def mark_entry_points(source: str) -> EntryPoints:
    """Entry point `mark(x, bits, finite, rows, features, words)`, for data of dtype `source`.

    See `kernels/nonzero_columns`.
    """
    return EntryPoints(f"mark.{source}", "float32", "mark", MARK, mark=f"{source}* int64* bool* int64 int64 int64")


@cache
def interpolate_entry_points(dtype: str) -> EntryPoints:
    """Entry point `interpolate(x, y, out, count, share)`; all flat."""
    arguments = "number* number* number* int64 float64"
    return EntryPoints("interpolate", dtype, "interpolate", INTERPOLATE, interpolate=arguments)
