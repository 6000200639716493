"""Numbers, arrays and Python-filled structures at a raw address, for compiled code.

Nothing is checked, and nothing keeps the memory alive: that is up to the caller. A slice in Numba counts references,
wraps negative indices and clamps to the array's end; in a small network that would be most of a step.
"""

from functools import cache
from typing import Any

import numba
import numpy as np
from llvmlite import ir
from numba import types

from dnnkit.kernels._numba.extending import intrinsic
from dnnkit.kernels._numba.private import cgutils, load_item, populate_array
from dnnkit.kernels._numba.structure import WORD_BYTES, Structure


@cache
def kind_of(structure: Structure) -> Any:
    """Return a structure's Numba type; functions receive its address."""
    fields = {name: "i8" for name in structure.words} | {name: "f8" for name in structure.numbers}
    fields |= {"zero": np.dtype(structure.dtype).str} if structure.dtype else {}
    offsets = [place * WORD_BYTES for place in range(len(fields))]
    form = {"names": [*fields], "formats": [*fields.values()], "offsets": offsets, "itemsize": structure.bytes}
    return numba.from_dtype(np.dtype(form, align=True))  # type: ignore[call-overload]


def at(structure: Structure) -> Any:
    """Return a function for compiled code that gives the structure at an address."""
    kind = kind_of(structure)

    @intrinsic
    def structure_at(typing_context: Any, address: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            return builder.inttoptr(arguments[0], context.get_value_type(kind))

        return kind(types.int64), generate

    return structure_at


def _array(context: Any, builder: Any, kind: Any, pointer: Any, shape: list[Any]) -> Any:
    """Return the array of this type and shape at a pointer."""
    view, data = context.make_array(kind)(context, builder), context.get_data_type(kind.dtype)
    strides: list[Any] = []
    itemsize = context.get_constant(types.intp, context.get_abi_sizeof(data))
    size = itemsize
    for count in reversed(shape):
        strides.insert(0, size)
        size = builder.mul(size, count)
    populate_array(
        view,
        data=builder.bitcast(pointer, data.as_pointer()),
        shape=cgutils.pack_array(builder, shape),
        strides=cgutils.pack_array(builder, strides),
        itemsize=itemsize,
        meminfo=None,
    )
    return view._getvalue()


def _pointer(context: Any, builder: Any, kind: Any, address: Any) -> Any:
    """Convert an address to a pointer to elements of an array type."""
    return builder.inttoptr(address, context.get_data_type(kind.dtype).as_pointer())


@intrinsic
def vector(typing_context: Any, zero: Any, address: Any, count: Any) -> Any:
    """Return the array (count,) at an address, of the dtype of `zero`."""
    kind = types.Array(types.unliteral(zero), 1, "C")

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return _array(context, builder, kind, _pointer(context, builder, kind, arguments[1]), [arguments[2]])

    return kind(kind.dtype, types.int64, types.int64), generate


@intrinsic
def matrix(typing_context: Any, zero: Any, address: Any, rows: Any, columns: Any) -> Any:
    """Return the array (rows, columns) at an address, of the dtype of `zero`."""
    kind = types.Array(types.unliteral(zero), 2, "C")

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return _array(context, builder, kind, _pointer(context, builder, kind, arguments[1]), list(arguments[2:]))

    return kind(kind.dtype, types.int64, types.int64, types.int64), generate


@intrinsic
def pointed(typing_context: Any, pointer: Any, shape: Any) -> Any:
    """Return the array at a pointer; its shape is an integer or a tuple."""
    dimensions = len(shape) if isinstance(shape, types.BaseTuple) else 1
    kind = types.Array(pointer.dtype, dimensions, "C")
    wanted = types.UniTuple(types.int64, dimensions) if dimensions > 1 else types.int64

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        counts = cgutils.unpack_tuple(builder, arguments[1]) if dimensions > 1 else [arguments[1]]
        return _array(context, builder, kind, arguments[0], counts)

    return kind(pointer, wanted), generate


@intrinsic
def part(typing_context: Any, array: Any, start: Any, count: Any) -> Any:
    """Return `count` elements of a contiguous array from flat index `start`, as a vector."""
    kind = types.Array(array.dtype, 1, "C")

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        source = context.make_array(signature.args[0])(context, builder, arguments[0])
        return _array(context, builder, kind, builder.gep(source.data, [arguments[1]]), [arguments[2]])

    return kind(array, types.int64, types.int64), generate


@intrinsic
def single_column(typing_context: Any, array: Any) -> Any:
    """Return a contiguous matrix reshaped to a single column, in row-major order."""
    kind = types.Array(array.dtype, 2, "C")

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        source = context.make_array(signature.args[0])(context, builder, arguments[0])
        shape = [source.nitems, context.get_constant(types.intp, 1)]
        return _array(context, builder, kind, source.data, shape)

    return kind(array), generate


@intrinsic
def element(typing_context: Any, array: Any, index: Any) -> Any:
    """Return the element of a contiguous array at a flat index."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        source = context.make_array(signature.args[0])(context, builder, arguments[0])
        return load_item(context, builder, signature.args[0], builder.gep(source.data, [arguments[1]]))

    return array.dtype(array, types.int64), generate


@intrinsic
def number(typing_context: Any, zero: Any, address: Any, index: Any) -> Any:
    """Return the number `index` elements after an address, of the dtype of `zero`."""
    kind = types.unliteral(zero)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        data = context.get_data_type(kind)
        place = builder.gep(builder.inttoptr(arguments[1], data.as_pointer()), [arguments[2]])
        return context.unpack_value(builder, kind, place)

    return kind(kind, types.int64, types.int64), generate


@intrinsic
def size_of(typing_context: Any, zero: Any) -> Any:
    """Return the bytes per number of the dtype of `zero`."""
    kind = types.unliteral(zero)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return context.get_constant(types.int64, context.get_abi_sizeof(context.get_data_type(kind)))

    return types.int64(kind), generate


@intrinsic
def copy_bytes(typing_context: Any, target: Any, source: Any, count: Any) -> Any:
    """Copy `count` bytes from one address to another."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        pointer = ir.IntType(8).as_pointer()
        copy = builder.module.declare_intrinsic("llvm.memcpy", [pointer, pointer, ir.IntType(64)])
        places = [builder.inttoptr(address, pointer) for address in arguments[:2]]
        builder.call(copy, [*places, arguments[2], ir.IntType(1)(0)])
        return context.get_dummy_value()

    return types.void(types.int64, types.int64, types.int64), generate
