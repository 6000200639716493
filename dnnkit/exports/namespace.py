# ruff: noqa: D102 # the functions are documented by the array API standard
"""An array-API namespace that records operations on `Value`s instead of computing them.

If all arguments are known numbers, NumPy computes the result at once, so whatever depends only on parameters becomes
one constant.
"""

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np

from dnnkit.exports.values import NotRowByRow, Place, Rows, Value, broadcast_shape, constant
from dnnkit.kernels._reference import special

FUNCTIONS = {
    "negative": 1, "abs": 1, "exp": 1, "expm1": 1, "log": 1, "log1p": 1, "sqrt": 1, "sign": 1, "floor": 1, "ceil": 1,
    "round": 1, "sin": 1, "cos": 1, "tan": 1, "asin": 1, "acos": 1, "atan": 1, "sinh": 1, "cosh": 1, "tanh": 1,
    "asinh": 1, "acosh": 1, "atanh": 1, "erf": 1, "erfc": 1, "isnan": 1, "logical_not": 1,
    "add": 2, "subtract": 2, "multiply": 2, "divide": 2, "pow": 2, "maximum": 2, "minimum": 2,
    "equal": 2, "not_equal": 2, "less": 2, "less_equal": 2, "greater": 2, "greater_equal": 2,
    "logical_and": 2, "logical_or": 2, "where": 3, "astype": 1,
}  # fmt: skip
"""Elementwise functions and their number of arguments. Every target language must be able to express them."""

TELLS = {"isnan", "logical_not", "equal", "not_equal", "less", "less_equal", "greater", "greater_equal", "logical_and",
         "logical_or"}  # fmt: skip
"""Functions with boolean results."""

SAME = {"power": "pow", "arcsin": "asin", "arccos": "acos", "arctan": "atan", "arcsinh": "asinh", "arccosh": "acosh",
        "arctanh": "atanh", "bitwise_and": "logical_and", "bitwise_or": "logical_or", "concatenate": "concat",
        "transpose": "permute_dims", "absolute": "abs"}  # fmt: skip
"""NumPy's alternative names."""

KNOWN = ("float32", "float64", "int32", "int64", "bool", "pi", "e", "inf", "nan", "newaxis", "isdtype", "arange", "eye",
         "finfo", "zeros", "ones", "full", "linspace")  # fmt: skip
"""Names that are taken from NumPy, because they depend on no value."""


def elementwise(name: str, arguments: Sequence[Any], dtype: Any = None) -> Value:
    """Apply an elementwise function to values and numbers."""
    values = [each if isinstance(each, Value) else None for each in arguments]
    arrays = [each for each in arguments if isinstance(each, Value | np.ndarray | np.generic)]
    numbers = arrays[1:] if name == "where" and arrays[0] is arguments[0] else arrays
    if dtype is None:
        plain = [each for each in arguments[name == "where" :] if not isinstance(each, Value | np.ndarray | np.generic)]
        kinds = [each.dtype for each in numbers] or [float]
        dtype = np.result_type(*kinds, *plain)
    reads = [
        value if value is not None else constant(each, np.bool_ if isinstance(each, bool) else dtype)
        if not isinstance(each, np.ndarray | np.generic) else constant(each)
        for value, each in zip(values, arguments, strict=True)
    ]  # fmt: skip
    shape = broadcast_shape([each.shape for each in reads])
    for place, each in enumerate(reads):  # drop an explicit broadcast that the operation implies
        if each.operator == "broadcast":
            shorter = [*reads[:place], each.reads[0], *reads[place + 1 :]]
            if broadcast_shape([one.shape for one in shorter]) == shape:
                reads = shorter
    return Value(name, reads, shape, np.bool_ if name in TELLS else dtype)


class ValueNamespace:
    """The functions of an array-API namespace that references use."""

    __name__ = "dnnkit.exports.namespace"

    def __getattr__(self, name: str) -> Any:
        name = SAME.get(name, name)
        if name in FUNCTIONS:
            return lambda *arguments: self._elementwise(name, arguments)
        if name in KNOWN:
            return getattr(np, name)
        if name in SAME.values():
            return getattr(self, name)
        raise AttributeError(f"the function xp.{name}, which dnnkit cannot write in other languages")

    def _elementwise(self, name: str, arguments: Sequence[Any]) -> Any:
        if len(arguments) != FUNCTIONS[name]:
            raise NotRowByRow(f"xp.{name} with {len(arguments)} arguments (expected {FUNCTIONS[name]})")
        if not any(isinstance(each, Value) for each in arguments):
            return getattr(special if name in ("erf", "erfc") else np, name)(*arguments)
        return elementwise(name, arguments)

    # -- composed functions ------------------------------------------------------------------------------------------

    def square(self, x: Any) -> Any:
        return x * x

    def reciprocal(self, x: Any) -> Any:
        return 1 / x

    def positive(self, x: Any) -> Any:
        return x

    def log2(self, x: Any) -> Any:
        return self.log(x) * float(1 / np.log(2))

    def log10(self, x: Any) -> Any:
        return self.log(x) * float(1 / np.log(10))

    def logaddexp(self, a: Any, b: Any) -> Any:
        return self.maximum(a, b) + self.log1p(self.exp(-self.abs(a - b)))

    def clip(self, x: Any, least: Any = None, most: Any = None) -> Any:
        x = x if least is None else self.maximum(x, least)
        return x if most is None else self.minimum(x, most)

    def zeros_like(self, x: Any, dtype: Any = None) -> Any:
        return self.full_like(x, 0, dtype)

    def ones_like(self, x: Any, dtype: Any = None) -> Any:
        return self.full_like(x, 1, dtype)

    def full_like(self, x: Any, number: Any, dtype: Any = None) -> Any:
        if not isinstance(x, Value):
            return np.full_like(x, number, dtype)
        return self.broadcast_to(constant(number, dtype or x.dtype), x.shape)

    def zeros(self, shape: Any, dtype: Any = None) -> Any:
        return self.full(shape, 0.0, dtype)

    def ones(self, shape: Any, dtype: Any = None) -> Any:
        return self.full(shape, 1.0, dtype)

    def full(self, shape: Any, number: Any, dtype: Any = None) -> Any:
        sizes = shape if isinstance(shape, tuple | list) else (shape,)
        if not any(isinstance(each, Rows) for each in sizes):
            return np.full(sizes, number, dtype)
        return self.broadcast_to(constant(number, dtype), sizes)

    # -- dtypes and shapes -------------------------------------------------------------------------------------------

    def astype(self, x: Any, dtype: Any, copy: bool = True) -> Any:
        if not isinstance(x, Value):
            return np.astype(np.asarray(x), dtype)
        return x if x.dtype == np.dtype(dtype) else elementwise("astype", [x], np.dtype(dtype))

    def asarray(self, x: Any, dtype: Any = None, copy: bool | None = None) -> Any:
        if isinstance(x, Value):
            return x if dtype is None else self.astype(x, dtype)
        return np.asarray(x, dtype)

    def reshape(self, x: Any, *shape: Any) -> Any:
        """Reshape; one size may be -1. The axis of the batch's rows stays first."""
        sizes = tuple(shape[0]) if isinstance(shape[0], tuple | list) else shape
        if not isinstance(x, Value):
            return np.reshape(x, sizes)
        whole, known = size_of_value(x), prod(e.times if isinstance(e, Rows) else e for e in sizes if e != -1)
        has_rows = any(isinstance(each, Rows) for each in sizes)
        left = whole // known if known else 0
        made = tuple(
            each if each != -1 else Rows(left) if x.has_rows and not has_rows and place == 0 else left
            for place, each in enumerate(sizes)
        )
        if size_of_value(x, made) != whole or any(isinstance(each, Rows) for each in made[1:]):
            raise NotRowByRow(f"reshaping {shown(x.shape)} to {shown(sizes)}")
        if x.has_rows != bool(made and isinstance(made[0], Rows)):
            raise NotRowByRow(f"reshaping {shown(x.shape)} to {shown(sizes)}, which mixes rows of the batch")
        if made == x.shape:
            return x
        source = x.reads[0] if x.operator == "reshape" else x
        return source if source.shape == made else Value("reshape", [source], made, x.dtype)

    def expand_dims(self, x: Any, *, axis: int = 0) -> Any:
        place = axis % (x.ndim + 1)
        return self.reshape(x, (*x.shape[:place], 1, *x.shape[place:]))

    def squeeze(self, x: Any, axis: Any) -> Any:
        places = {each % x.ndim for each in (axis if isinstance(axis, tuple) else (axis,))}
        return self.reshape(x, tuple(size for place, size in enumerate(x.shape) if place not in places))

    def broadcast_to(self, x: Any, shape: Any) -> Any:
        if not isinstance(x, Value):
            x = constant(x)
        made = broadcast_shape([x.shape, tuple(shape)])
        return x if made == x.shape else Value("broadcast", [x], made, x.dtype)

    def permute_dims(self, x: Any, axes: Any) -> Any:
        if not isinstance(x, Value):
            return np.permute_dims(x, axes)
        if x.has_rows and axes[0] != 0:
            raise NotRowByRow("moving the axis of the batch's rows, which has to stay first")
        if tuple(axes) == tuple(range(x.ndim)):
            return x
        return Value("permute", [x], [x.shape[axis] for axis in axes], x.dtype, {"axes": tuple(axes)})

    def matrix_transpose(self, x: Any) -> Any:
        return self.permute_dims(x, (*range(x.ndim - 2), x.ndim - 1, x.ndim - 2))

    def concat(self, parts: Sequence[Any], axis: int = 0) -> Any:
        if not any(isinstance(each, Value) for each in parts):
            return np.concat(list(parts), axis=axis)
        values = [each if isinstance(each, Value) else constant(each) for each in parts]
        if len(values) == 1:
            return values[0]
        shape, place = list(values[0].shape), axis % values[0].ndim
        if place == 0 and any(each.has_rows for each in values):
            raise NotRowByRow("a concatenation along the rows of the batch")
        if len({(*each.shape[:place], *each.shape[place + 1 :]) for each in values}) > 1:
            raise NotRowByRow("a concatenation of parts with different shapes")
        shape[place] = sum(each.shape[place] for each in values)  # type: ignore[misc]
        dtype = np.result_type(*(each.dtype for each in values))
        return Value("concat", values, shape, dtype, {"axis": place})

    def stack(self, parts: Sequence[Any], axis: int = 0) -> Any:
        return self.concat([self.expand_dims(each, axis=axis) for each in parts], axis=axis)

    def take(self, x: Any, indices: Any, axis: int = 0) -> Any:
        if not isinstance(x, Value) and not isinstance(indices, Value):
            return np.take(x, indices, axis=axis)
        source = x if isinstance(x, Value) else constant(x)
        places = indices if isinstance(indices, Value) else constant(np.asarray(indices, np.int64))
        axis = axis % source.ndim
        if source.has_rows and (axis == 0 or places.has_rows):
            raise NotRowByRow("a selection of rows by index")
        shape = (*source.shape[:axis], *places.shape, *source.shape[axis + 1 :])
        return Value("take", [source, places], shape, source.dtype, {"axis": axis})

    # -- sums and products -------------------------------------------------------------------------------------------

    def _reduce(self, name: str, x: Any, axis: Any, keepdims: bool) -> Any:
        if not isinstance(x, Value):
            return getattr(np, name)(x, axis=axis, keepdims=keepdims)
        chosen = range(x.ndim) if axis is None else axis if isinstance(axis, tuple | list) else (axis,)
        axes = tuple(sorted(each % x.ndim for each in chosen))
        if x.has_rows and 0 in axes:
            raise NotRowByRow(f"the {name} over the rows of a batch: a row's prediction would depend on other rows")
        kept = tuple(1 if place in axes else size for place, size in enumerate(x.shape))
        made = Value("reduce", [x], kept, x.dtype, {"function": name, "axes": axes})
        return made if keepdims else self.squeeze(made, axes) if axes else made

    def sum(self, x: Any, axis: Any = None, keepdims: bool = False, dtype: Any = None) -> Any:
        return self._reduce("sum", x if dtype is None else self.astype(x, dtype), axis, keepdims)

    def max(self, x: Any, axis: Any = None, keepdims: bool = False) -> Any:
        return self._reduce("max", x, axis, keepdims)

    def min(self, x: Any, axis: Any = None, keepdims: bool = False) -> Any:
        return self._reduce("min", x, axis, keepdims)

    def prod(self, x: Any, axis: Any = None, keepdims: bool = False) -> Any:
        return self._reduce("prod", x, axis, keepdims)

    def mean(self, x: Any, axis: Any = None, keepdims: bool = False) -> Any:
        total = self.sum(x, axis, keepdims)
        return total * float(size_of_value(total) / size_of_value(x))

    def var(self, x: Any, axis: Any = None, keepdims: bool = False) -> Any:
        return self.mean(self.square(x - self.mean(x, axis, True)), axis, keepdims)

    def std(self, x: Any, axis: Any = None, keepdims: bool = False) -> Any:
        return self.sqrt(self.var(x, axis, keepdims))

    def matmul(self, x: Any, w: Any) -> Any:
        if not isinstance(x, Value) and not isinstance(w, Value):
            return np.matmul(x, w)
        if not isinstance(x, Value) or isinstance(w, Value) or np.ndim(w) != 2 or x.ndim < 2:
            raise NotRowByRow("a matrix product whose right side is not a matrix of parameters")
        if x.shape[-1] != w.shape[0]:
            raise NotRowByRow(f"a matrix product of {shown(x.shape)} and {w.shape}")
        return Value("matmul", [x, constant(w)], (*x.shape[:-1], w.shape[1]), x.dtype)

    def picked(self, x: Any, place: Any) -> Any:
        """Return x[place]."""
        return _picked(x, place)


XP = ValueNamespace()
Value.xp = XP


def _picked(x: Value, place: Any) -> Value:
    """Index a value by slices, integers, None and `...`."""
    given: list[Place] = list(place) if isinstance(place, tuple) else [place]
    if not all(each is None or each is ... or isinstance(each, int | slice) for each in given):
        raise NotRowByRow("indexing by an array: use xp.take or xp.where")
    left = x.ndim - sum(each is not None and each is not ... for each in given)
    middle = next((number for number, each in enumerate(given) if each is ...), len(given))
    full: list[Any] = [*given[:middle], *[slice(None)] * left, *(each for each in given[middle:] if each is not ...)]
    starts, steps, shape, made = list[int](), list[int](), list[Any](), list[Any]()
    axes = iter(x.shape)
    for each in full:
        if each is None:
            made.append(1)
            continue
        size = next(axes)
        if isinstance(size, Rows):
            if each != slice(None):
                raise NotRowByRow("a selection of rows of the batch")
            start, step, length = 0, 1, size
        elif isinstance(each, slice):
            start, stop, step = each.indices(size)
            length = len(range(start, stop, step))  # type: ignore[assignment]
        else:
            start, step, length = range(size)[each], 1, 1  # type: ignore[assignment]
        starts.append(start)
        steps.append(step)
        shape.append(length)
        made += [] if isinstance(each, int) else [length]
    found: Value = XP.reshape(_sliced(x, starts, steps, shape), tuple(made))
    return found


def _sliced(x: Value, starts: list[int], steps: list[int], shape: list[Any]) -> Value:
    if tuple(shape) == x.shape and min(steps, default=1) > 0:
        return x
    if x.operator == "concat" and set(steps) == {1}:  # slice only the part that contains it
        axis, start = x.settings["axis"], starts[x.settings["axis"]]
        for part in x.reads:
            size = part.shape[axis]
            if start >= 0 and start + shape[axis] <= size:
                return _sliced(part, [*starts[:axis], start, *starts[axis + 1 :]], steps, shape)
            start -= size
    return Value("slice", [x], shape, x.dtype, {"starts": tuple(starts), "steps": tuple(steps)})


def size_of_value(x: Any, shape: Any = None) -> int:
    """Return the number of elements per row."""
    return prod(each.times if isinstance(each, Rows) else each for each in (x.shape if shape is None else shape))


def shown(shape: Sequence[Any]) -> str:
    """Format a shape."""
    return f"({', '.join(map(str, shape))})"
