"""Reductions of a vector, and operations on short rows, in vectors of eight lanes whose last one is masked.

A single accumulator would serialize on its latency, and a compiler may not add others: that changes the rounding of
sums. The order here is the same on all processors. Of a short row, the loop that LLVM makes is only its scalar end.
"""

from collections.abc import Callable
from typing import Any

from numba import types

from dnnkit.kernels._numba.extending import intrinsic
from dnnkit.kernels._numba.indirect_calls import address_of
from dnnkit.kernels._numba.jit import jit
from dnnkit.kernels._numba.simd import INDEX, WORD, Vectors, loop

LANES, AT_ONCE = 8, 4
"""Elements per vector, and accumulators of a long vector."""

Term = Callable[..., Any]
"""Emits a term of a reduction: `(vectors, *loaded)`."""


def _reduction(terms: Term, join: Callable[[Any, Any, Any], Any], inputs: int, *, doubles: bool, first: bool) -> Any:
    """Return an intrinsic `(zero, numbers)`: the terms of vectors, joined. Numbers: addresses of the inputs, count.

    The zero has the dtype of the vectors; the terms have, too, or are float64 with `doubles`. With `first`, the
    reduction starts with the first element, which also stands for missing ones; otherwise it starts with zero.
    """

    @intrinsic
    def reduction(typing_context: Any, zero: Any, numbers: Any) -> Any:
        result = types.float64 if doubles else zero

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            *starts, count = (builder.extract_value(arguments[1], n) for n in range(inputs + 1))
            v = Vectors(builder, str(zero), LANES)
            nothing = v.spread(starts[0]) if first else Vectors(builder, str(result), LANES).zero

            def read(place: Any, mask: Any = None) -> Any:
                value = terms(v, *(v.load(v.place(start, place), mask) for start in starts))
                return builder.select(mask, value, nothing) if first and mask is not None else value

            def add_several(carried: list[Any]) -> list[Any]:
                place, *parts = carried
                places = [builder.add(place, WORD(n * LANES)) for n in range(AT_ONCE)]
                joined = [join(builder, part, read(here)) for part, here in zip(parts, places, strict=True)]
                return [builder.add(place, WORD(AT_ONCE * LANES)), *joined]

            def add_long(_: list[Any]) -> list[Any]:
                times = builder.udiv(count, WORD(AT_ONCE * LANES))
                place, *parts = loop(builder, times, [WORD(0), *[nothing] * AT_ONCE], add_several)
                return [place, join(builder, join(builder, parts[0], parts[1]), join(builder, parts[2], parts[3]))]

            def add_one(carried: list[Any]) -> list[Any]:
                place, part = carried
                here = read(place, v.first(builder.sub(count, place)))
                return [builder.add(place, WORD(LANES)), join(builder, part, here)]

            is_long = builder.zext(builder.icmp_signed(">=", count, WORD(AT_ONCE * LANES)), WORD)
            place, total = loop(builder, is_long, [WORD(0), nothing], add_long)
            left = builder.udiv(builder.add(builder.sub(count, place), WORD(LANES - 1)), WORD(LANES))
            _, total = loop(builder, left, [place, total], add_one)
            distance = LANES // 2
            while distance:
                total = join(builder, total, v.lanes(total, [n ^ distance for n in range(LANES)]))
                distance //= 2
            return builder.extract_element(total, INDEX(0))

        return result(zero, types.UniTuple(types.int64, inputs + 1)), generate

    return reduction


def _sum(builder: Any, x: Any, y: Any) -> Any:
    return builder.fadd(x, y, flags=("contract",))


def _product(v: Vectors, x: Any, y: Any) -> Any:
    return v.builder.fmul(x, y, flags=("contract",))


def _product_in_double(v: Vectors, x: Any, y: Any) -> Any:
    return _product(v, v.in_double(x), v.in_double(y))


def _product_where(v: Vectors, x: Any, y: Any, z: Any) -> Any:
    return v.builder.select(v.builder.fcmp_ordered(">", z, v.zero), _product(v, x, y), v.zero)


def _larger(builder: Any, x: Any, y: Any) -> Any:
    return builder.select(builder.fcmp_ordered(">", y, x), y, x)


def _smaller(builder: Any, x: Any, y: Any) -> Any:
    return builder.select(builder.fcmp_ordered("<", y, x), y, x)


_sum_of = _reduction(lambda v, x: x, _sum, 1, doubles=False, first=False)
_sum_in_double = _reduction(lambda v, x: v.in_double(x), _sum, 1, doubles=True, first=False)
_sum_of_products = _reduction(_product, _sum, 2, doubles=False, first=False)
_sum_of_products_in_double = _reduction(_product_in_double, _sum, 2, doubles=True, first=False)
_sum_of_products_where = _reduction(_product_where, _sum, 3, doubles=False, first=False)
_largest_of = _reduction(lambda v, x: x, _larger, 1, doubles=False, first=True)
_smallest_of = _reduction(lambda v, x: x, _smaller, 1, doubles=False, first=True)


@jit
def sum_of(x):
    """Return Σ x of a vector."""
    return _sum_of(x.dtype.type(0), (address_of(x), x.size))


@jit
def sum_in_double(x):
    """Return Σ x of a vector, in float64."""
    return _sum_in_double(x.dtype.type(0), (address_of(x), x.size))


@jit
def sum_of_products(x, y):
    """Return Σ x y of two vectors."""
    return _sum_of_products(x.dtype.type(0), (address_of(x), address_of(y), x.size))


@jit
def sum_of_products_in_double(x, y):
    """Return Σ x y of two vectors, in float64."""
    return _sum_of_products_in_double(x.dtype.type(0), (address_of(x), address_of(y), x.size))


@jit
def sum_of_products_where(x, y, z):
    """Return Σ x y of two vectors over the elements with z above 0."""
    return _sum_of_products_where(x.dtype.type(0), (address_of(x), address_of(y), address_of(z), x.size))


@jit
def largest_of(x):
    """Return the maximum of a non-empty vector; elements that are NaN may be ignored."""
    return _largest_of(x.dtype.type(0), (address_of(x), x.size))


@jit
def smallest_of(x):
    """Return the minimum of a non-empty vector; elements that are NaN may be ignored."""
    return _smallest_of(x.dtype.type(0), (address_of(x), x.size))


def _mapping(change: Callable[[Vectors, Any, Any], Any], *, doubles: bool) -> Any:
    """Return an intrinsic `(zero, number, (x, out, count))`: out = change(x, number), element by element.

    The number has the dtype of the vectors, or is float64 with `doubles`.
    """

    @intrinsic
    def mapping(typing_context: Any, zero: Any, number: Any, numbers: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            source, target, count = (builder.extract_value(arguments[2], n) for n in range(3))
            v = Vectors(builder, str(zero), LANES)
            several = v.filled(arguments[1])

            def turn(carried: list[Any]) -> list[Any]:
                (place,) = carried
                mask = v.first(builder.sub(count, place))
                value = change(v, v.load(v.place(source, place), mask), several)
                v.store(value, v.place(target, place), mask)
                return [builder.add(place, WORD(LANES))]

            times = builder.udiv(builder.add(count, WORD(LANES - 1)), WORD(LANES))
            loop(builder, times, [WORD(0)], turn)
            return context.get_dummy_value()

        given = types.float64 if doubles else zero
        return types.void(zero, given, types.UniTuple(types.int64, 3)), generate

    return mapping


_subtract = _mapping(lambda v, x, number: v.builder.fsub(x, number), doubles=False)
_multiply = _mapping(lambda v, x, number: v.builder.fmul(x, number), doubles=False)
_multiply_in_double = _mapping(lambda v, x, number: v.rounded(v.builder.fmul(v.in_double(x), number)), doubles=True)


@jit
def subtract(x, number, out):
    """Compute out = x - number for a short row x."""
    _subtract(x.dtype.type(0), number, (address_of(x), address_of(out), x.size))


@jit
def multiply(x, number, out):
    """Compute out = x · number for a short row x."""
    _multiply(x.dtype.type(0), number, (address_of(x), address_of(out), x.size))


@jit
def multiply_in_double(x, number, out):
    """Compute out = x · number for a short row x and a float64 number, rounded once."""
    _multiply_in_double(x.dtype.type(0), number, (address_of(x), address_of(out), x.size))
