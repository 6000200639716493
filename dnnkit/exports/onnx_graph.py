"""Networks as ONNX models."""

from collections.abc import Callable, Sequence
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from dnnkit._version import __version__
from dnnkit.errors import ConfigurationError
from dnnkit.exports.tracing import Traced, trace
from dnnkit.exports.values import Rows, Value, ordered
from dnnkit.exports.walking import cannot_write, describe
from dnnkit.files import as_path, replace_all
from dnnkit.network.protocol import Network
from dnnkit.settings import plain

OLDEST, NEWEST = 18, 28
"""Supported opsets: from the first with the axes of maxima as inputs, to the newest that tests run."""

OPERATORS: dict[str, str] = {
    "negative": "Neg", "abs": "Abs", "exp": "Exp", "log": "Log", "sqrt": "Sqrt", "sign": "Sign", "floor": "Floor",
    "ceil": "Ceil", "round": "Round", "sin": "Sin", "cos": "Cos", "tan": "Tan", "asin": "Asin", "acos": "Acos",
    "atan": "Atan", "sinh": "Sinh", "cosh": "Cosh", "tanh": "Tanh", "asinh": "Asinh", "acosh": "Acosh",
    "atanh": "Atanh", "erf": "Erf", "isnan": "IsNaN", "logical_not": "Not", "add": "Add", "subtract": "Sub",
    "multiply": "Mul", "divide": "Div", "pow": "Pow", "maximum": "Max", "minimum": "Min", "equal": "Equal",
    "less": "Less", "less_equal": "LessOrEqual", "greater": "Greater", "greater_equal": "GreaterOrEqual",
    "logical_and": "And", "logical_or": "Or", "where": "Where",
}  # fmt: skip
"""ONNX operators of elementwise functions; other functions are composed of these, below."""

ACTIVATIONS: dict[str, tuple[str, dict[str, Any]]] = {
    "relu": ("Relu", {}), "sigmoid": ("Sigmoid", {}), "tanh": ("Tanh", {}), "softmax": ("Softmax", {"axis": -1}),
    "elu": ("Elu", {"alpha": 1.0}), "selu": ("Selu", {}), "leaky_relu": ("LeakyRelu", {"alpha": 0.01}),
    "softplus": ("Softplus", {}), "softsign": ("Softsign", {}), "mish": ("Mish", {}),
    "hard_sigmoid": ("HardSigmoid", {"alpha": 1 / 6, "beta": 0.5}),
}  # fmt: skip
"""Activations with an ONNX operator, which runtimes compute fast; all others are written as their formulas."""

OF_FLOAT32 = {"Elu", "Selu", "LeakyRelu", "Softplus", "Softsign", "Mish", "HardSigmoid", "Erf", "Tan", "Asin",
              "Acos", "Atan", "Sinh", "Cosh", "Asinh", "Acosh", "Atanh"}  # fmt: skip
"""Operators that onnxruntime has for float32 only: float64 uses formulas, or computes in float32."""

REDUCTIONS = {"sum": "ReduceSum", "max": "ReduceMax", "min": "ReduceMin", "prod": "ReduceProd"}


def require_onnx() -> Any:
    """Return the module `onnx`.

    Raises:
        ConfigurationError: it is not installed.
    """
    try:
        import onnx
    except ImportError as error:
        raise ConfigurationError(
            f"to_onnx needs onnx, which cannot be imported ({error}): pip install 'dnnkit[onnx]'"
        ) from error
    return onnx


def write(net: Network, path: str | Path, opset: int | None) -> Path:
    """Write the network as an ONNX file; return its path."""
    path = as_path(path)
    if path.suffix != ".onnx":
        raise ConfigurationError(f"the ONNX model {str(path)!r} must end in .onnx")
    replace_all({path: model(net, path.stem, opset).SerializeToString()})
    return path


def model(net: Network, name: str, opset: int | None = None) -> Any:
    """Return the network as an `onnx.ModelProto`, validated by onnx's checker."""
    onnx = require_onnx()
    newest = min(NEWEST, onnx.defs.onnx_opset_version())
    opset = newest if opset is None else plain(opset)
    if not isinstance(opset, int) or isinstance(opset, bool) or not OLDEST <= opset <= newest:
        raise ConfigurationError(
            f"opset is {opset!r}: expected {OLDEST} to {newest}, the newest that onnx {onnx.__version__} and "
            "dnnkit support"
        )
    graph = _Graph(onnx, trace(net, "ONNX")).made(name, f"Trained with dnnkit. {describe(net)}")
    opsets = [onnx.helper.make_opsetid("", opset)]
    made = onnx.helper.make_model(
        graph,
        opset_imports=opsets,
        ir_version=onnx.helper.find_min_ir_version_for(opsets),
        producer_name="dnnkit",
        producer_version=__version__,
    )
    onnx.checker.check_model(made, full_check=True)
    return made


class _Graph:
    """Builds a graph: nodes, initializers, and the name of each value."""

    def __init__(self, onnx: Any, traced: Traced) -> None:
        self._onnx, self._traced = onnx, traced
        self._is_double = traced.dtype == np.float64
        self._nodes, self._initializers = list[Any](), dict[str, Any]()
        self._names, self._of_constants, self._taken = dict[int, str](), dict[Any, str](), set[str]()
        self._kept = list[Any]()

    def made(self, name: str, words: str) -> Any:
        """Return the graph."""
        traced, helper = self._traced, self._onnx.helper
        self._taken |= {*traced.inputs, *traced.outputs}
        for called, value in traced.inputs.items():
            self._names[id(value)] = called
        outputs = {self._free(called) if called in traced.inputs else called: v for called, v in traced.outputs.items()}
        for value in ordered(list(outputs.values()), self._reads):
            if id(value) not in self._names:
                self._names[id(value)] = self._write(value)
        for called, value in outputs.items():
            self._nodes.append(helper.make_node("Identity", [self._names[id(value)]], [called]))
        kind = helper.np_dtype_to_tensor_dtype(traced.dtype)
        shapes = [
            [helper.make_tensor_value_info(called, kind, [str(size) if isinstance(size, Rows) else size
                                                          for size in value.shape])
             for called, value in values.items()]
            for values in (traced.inputs, outputs)
        ]  # fmt: skip
        initializers = [self._onnx.numpy_helper.from_array(array, one) for one, array in self._initializers.items()]
        return helper.make_graph(self._nodes, name, *shapes, initializers, words)

    def _reads(self, value: Value) -> Sequence[Value]:
        """Return a value's dependencies: an activation without an operator depends on its formula."""
        if value.operator == "activation" and self._operator(value) is None:
            return [value.settings["body"]]
        return value.reads

    def _operator(self, value: Value) -> tuple[str, dict[str, Any]] | None:
        found = ACTIVATIONS.get(value.settings["name"])
        return None if found is None or (self._is_double and found[0] in OF_FLOAT32) else found

    # -- names -------------------------------------------------------------------------------------------------------

    def _free(self, name: str) -> str:
        number, found = 0, name
        while found in self._taken:
            number += 1
            found = f"{name}_{number}"
        self._taken.add(found)
        return found

    def node(self, operator: str, reads: Sequence[str], **settings: Any) -> str:
        """Add a node; return the name of its output."""
        name = self._free(operator.lower())
        self._nodes.append(self._onnx.helper.make_node(operator, list(reads), [name], name=name, **settings))
        return name

    def numbers(self, given: Any, dtype: Any = None) -> str:
        """Return the name of an initializer with these numbers; equal ones are shared."""
        array = np.ascontiguousarray(given, dtype)
        label = self._traced.labels.get(id(given))
        key = label or (array.dtype.str, array.shape, array.tobytes())
        if key not in self._of_constants:
            self._of_constants[key] = self._free(label or "constant")
            self._initializers[self._of_constants[key]] = array.reshape(np.shape(given))
        return self._of_constants[key]

    # -- values ------------------------------------------------------------------------------------------------------

    def _write(self, value: Value) -> str:
        """Add the nodes of a value; return its name."""
        names = [self._names[id(each)] for each in self._reads(value)]
        write: Callable[..., str] | None = getattr(self, f"_write_{value.operator}", None)
        return write(value, *names) if write is not None else self._elementwise(value, names)

    def _write_constant(self, value: Value) -> str:
        return self.numbers(value.settings["array"])

    def _write_activation(self, value: Value, x: str) -> str:
        found = self._operator(value)
        return x if found is None else self.node(found[0], [x], **found[1])

    def _write_dense(self, value: Value, *names: str) -> str:
        return self.node("Gemm", names)

    def _write_matmul(self, value: Value, *names: str) -> str:
        return self.node("MatMul", names)

    def _write_reshape(self, value: Value, x: str) -> str:
        sizes = [-1 if isinstance(size, Rows) else size for size in value.shape]
        return self.node("Reshape", [x, self.numbers(sizes, np.int64)])

    def _write_permute(self, value: Value, x: str) -> str:
        return self.node("Transpose", [x], perm=value.settings["axes"])

    def _write_slice(self, value: Value, x: str) -> str:
        starts, steps = value.settings["starts"], value.settings["steps"]
        axes = [axis for axis, size in enumerate(value.shape) if not isinstance(size, Rows)]
        ends = [starts[axis] + steps[axis] * int(value.shape[axis]) for axis in axes]
        ends = [end if end >= 0 else -(1 << 31) for end in ends]  # a negative step that includes the first element
        given = [[starts[axis] for axis in axes], ends, axes, [steps[axis] for axis in axes]]
        return self.node("Slice", [x, *(self.numbers(each, np.int64) for each in given)])

    def _write_broadcast(self, value: Value, x: str) -> str:
        first = value.shape[0]
        if not isinstance(first, Rows) or value.reads[0].has_rows:
            sizes = [1 if isinstance(size, Rows) else size for size in value.shape]
            return self.node("Expand", [x, self.numbers(sizes, np.int64)])
        rows = self.node("Shape", [next(iter(self._traced.inputs))], start=0, end=1)
        rows = self.node("Mul", [rows, self.numbers([first.times], np.int64)])
        shape = self.node("Concat", [rows, self.numbers(value.shape[1:], np.int64)], axis=0)
        return self.node("Expand", [x, shape])

    def _write_concat(self, value: Value, *names: str) -> str:
        return self.node("Concat", names, axis=value.settings["axis"])

    def _write_take(self, value: Value, x: str, places: str) -> str:
        return self.node("Gather", [x, places], axis=value.settings["axis"])

    def _write_reduce(self, value: Value, x: str) -> str:
        axes = self.numbers(value.settings["axes"], np.int64)
        return self.node(REDUCTIONS[value.settings["function"]], [x, axes], keepdims=1)

    def _write_classes(self, value: Value, x: str) -> str:
        """Return x unchanged; for an invalid class number, gather a row out of range, which raises an error."""
        counts = np.full(prod(int(size) for size in value.shape[1:]), -1.0)
        for column, count in value.settings["columns"]:
            counts[column] = count
        none = self.numbers(np.zeros(1, value.dtype))
        parts = [
            self.node("GreaterOrEqual", [x, none]),
            self.node("Less", [x, self.numbers(counts, value.dtype)]),
            self.node("Equal", [x, self.node("Floor", [x])]),
        ]
        is_class = self.node("And", [self.node("And", parts[:2]), parts[2]])
        is_right = self.node("Or", [is_class, self.numbers(counts < 0)])
        row = self._cast(self.node("Not", [is_right]), np.int64)
        return self.node("Add", [x, self.node("Gather", [none, row])])

    # -- elementwise -------------------------------------------------------------------------------------------------

    def _elementwise(self, value: Value, names: Sequence[str]) -> str:
        name, dtype = value.operator, value.dtype
        if name == "astype":
            return self._cast(names[0], dtype)
        names = [
            self._cast(one, dtype) if name in ("add", "subtract", "multiply", "divide", "pow", "maximum", "minimum")
            and each.dtype != dtype else one
            for one, each in zip(names, value.reads, strict=True)
        ]  # fmt: skip
        if name in OPERATORS:
            return self._of_floats(OPERATORS[name], names, value)
        made = getattr(self, f"_made_{name}", None)
        if made is None:
            raise cannot_write(f"the function {name}", "ONNX", "ONNX has no operator for it")
        return made(names, value)  # type: ignore[no-any-return]

    def _of_floats(self, operator: str, names: Sequence[str], value: Value) -> str:
        if value.dtype != np.float64 or operator not in OF_FLOAT32:
            return self.node(operator, names)
        return self._cast(self.node(operator, [self._cast(one, np.float32) for one in names]), np.float64)

    def _cast(self, name: str, dtype: Any) -> str:
        return self.node("Cast", [name], to=self._onnx.helper.np_dtype_to_tensor_dtype(np.dtype(dtype)))

    def _made_not_equal(self, names: Sequence[str], value: Value) -> str:
        return self.node("Not", [self.node("Equal", names)])

    def _made_erfc(self, names: Sequence[str], value: Value) -> str:
        return self.node("Sub", [self.numbers(np.ones((), value.dtype)), self._of_floats("Erf", names, value)])

    def _made_log1p(self, names: Sequence[str], value: Value) -> str:
        """log(u) x / (u - 1) with u = 1 + x, accurate for tiny x (W. Kahan); log(u) for larger x."""
        x, one = names[0], self.numbers(np.ones((), value.dtype))
        u = self.node("Add", [x, one])
        log = self.node("Log", [u])
        small = self.node("Div", [self.node("Mul", [log, x]), self.node("Sub", [u, one])])
        return self._chosen(x, u, small, log, value)

    def _made_expm1(self, names: Sequence[str], value: Value) -> str:
        """(u - 1) x / log(u) with u = exp(x), accurate for tiny x (W. Kahan); u - 1 for larger x."""
        x = names[0]
        u = self.node("Exp", [x])
        less = self.node("Sub", [u, self.numbers(np.ones((), value.dtype))])
        return self._chosen(x, u, self.node("Div", [self.node("Mul", [less, x]), self.node("Log", [u])]), less, value)

    def _chosen(self, x: str, u: str, small: str, large: str, value: Value) -> str:
        """Select x where u is 1, else `small` for |x| < 0.5 and `large` otherwise."""
        limit, one = self.numbers(np.asarray(0.5, value.dtype)), self.numbers(np.ones((), value.dtype))
        found = self.node("Where", [self.node("Less", [self.node("Abs", [x]), limit]), small, large])
        return self.node("Where", [self.node("Equal", [u, one]), x, found])
