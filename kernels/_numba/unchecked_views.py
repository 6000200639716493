"""Unchecked views of contiguous arrays, for compiled code that runs every microsecond: an address and a shape.

A slice counts references, wraps negative indices and clamps to the array's end; a reshape looks whether it has to copy.
For a small network that is most of a step: nine tenths of a microsecond were reference counts, and half of what was
left was the rest. Views made here have no bounds checks and do not keep their memory alive.
"""

from typing import Any

from numba import types

from dnnkit.kernels._numba.extending import intrinsic
from dnnkit.kernels._numba.private import cgutils, load_item, populate_array


@intrinsic
def borrowed(typing_context: Any, array: Any) -> Any:
    """The array without reference counting; the caller keeps its memory alive."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        copy = context.make_array(signature.args[0])(context, builder, arguments[0])
        copy.meminfo = copy.meminfo.type(None)
        copy.parent = copy.parent.type(None)
        return copy._getvalue()

    return array(array), generate


def _view(context: Any, builder: Any, kind: Any, source: Any, start: Any, shape: list[Any]) -> Any:
    """The array of that type and shape whose first element is `start` elements after the source's first."""
    view = context.make_array(kind)(context, builder)
    strides: list[Any] = []
    itemsize = context.get_constant(types.intp, context.get_abi_sizeof(context.get_data_type(kind.dtype)))
    size = itemsize
    for count in reversed(shape):
        strides.insert(0, size)
        size = builder.mul(size, count)
    populate_array(
        view,
        data=builder.gep(source.data, [start]),
        shape=cgutils.pack_array(builder, shape),
        strides=cgutils.pack_array(builder, strides),
        itemsize=itemsize,
        meminfo=None,
    )
    return view._getvalue()


@intrinsic
def part(typing_context: Any, array: Any, start: Any, count: Any) -> Any:
    """1-D view of `count` elements from flat index `start`."""
    kind = types.Array(array.dtype, 1, "C")

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        source = context.make_array(signature.args[0])(context, builder, arguments[0])
        return _view(context, builder, kind, source, arguments[1], [arguments[2]])

    return kind(array, types.int64, types.int64), generate


@intrinsic
def matrix(typing_context: Any, array: Any, start: Any, rows: Any, columns: Any) -> Any:
    """2-D view (rows, columns) of the elements from flat index `start`."""
    kind = types.Array(array.dtype, 2, "C")

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        source = context.make_array(signature.args[0])(context, builder, arguments[0])
        return _view(context, builder, kind, source, arguments[1], list(arguments[2:]))

    return kind(array, types.int64, types.int64, types.int64), generate


@intrinsic
def element(typing_context: Any, array: Any, index: Any) -> Any:
    """The element at a flat index."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        source = context.make_array(signature.args[0])(context, builder, arguments[0])
        place = builder.gep(source.data, [arguments[1]])
        return load_item(context, builder, signature.args[0], place)

    return array.dtype(array, types.int64), generate


@intrinsic
def row(typing_context: Any, array: Any, index: Any) -> Any:
    """array[index], a view, of an array of two or more dimensions."""
    kind = types.Array(array.dtype, array.ndim - 1, "C")

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        source = context.make_array(signature.args[0])(context, builder, arguments[0])
        shape = cgutils.unpack_tuple(builder, source.shape)[1:]
        start = arguments[1]
        for count in shape:
            start = builder.mul(start, count)
        return _view(context, builder, kind, source, start, shape)

    return kind(array, types.int64), generate
