"""Nonzero columns, in compiled code. Contract: the package's docstring."""

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types

from dnnkit.kernels._numba.at_address import element, part
from dnnkit.kernels._numba.extending import TRUE_BIT, intrinsic
from dnnkit.kernels._numba.indirect_calls import address_of
from dnnkit.kernels._numba.jit import jit
from dnnkit.kernels.nonzero_columns import WORD


def _numbers(context: Any, builder: Any, x: Any, address: Any) -> Any:
    """Load the vector of 64 numbers of x's dtype at an address."""
    number = context.get_value_type(x.dtype)
    numbers = builder.load(builder.inttoptr(address, ir.VectorType(number, WORD).as_pointer()))
    numbers.align = number.get_abi_size(context.target_data)
    return numbers


@intrinsic
def _word(typing_context: Any, x: Any, address: Any) -> Any:
    """Return the bits of the nonzero ones of 64 numbers of x's dtype at an address."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        numbers = _numbers(context, builder, x, arguments[1])
        if isinstance(x.dtype, types.Float):
            differs = builder.fcmp_unordered("!=", numbers, ir.Constant(numbers.type, [0.0] * WORD))
        else:
            differs = builder.icmp_unsigned("!=", numbers, ir.Constant(numbers.type, [0] * WORD))
        return builder.bitcast(differs, ir.IntType(WORD))

    return types.int64(x, types.int64), generate


@intrinsic
def lost_bits(typing_context: Any, x: Any, address: Any) -> Any:
    """Return the bits of those of 64 numbers of x's dtype at an address that are NaN or infinite."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        if not isinstance(x.dtype, types.Float):
            return ir.Constant(ir.IntType(WORD), 0)
        numbers = _numbers(context, builder, x, arguments[1])
        nothing = builder.fsub(numbers, numbers)
        return builder.bitcast(builder.fcmp_unordered("uno", nothing, nothing), ir.IntType(WORD))

    return types.int64(x, types.int64), generate


@intrinsic
def _first_bit(typing_context: Any, word: Any) -> Any:
    """Return the number of trailing zeros of a nonzero word."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.cttz(arguments[0], TRUE_BIT)

    return types.int64(types.uint64), generate


@jit
def mark(x, bits):
    """Write the bits of x, which is contiguous; return whether all of x is finite."""
    features, one, lost = x.shape[1], np.uint64(1), 0
    whole = features // WORD
    for i in range(x.shape[0]):
        start = address_of(x, i * features)
        for w in range(whole):
            place = start + w * WORD * x.itemsize
            bits[i, w] = _word(x, place)
            lost |= lost_bits(x, place)
        if whole < bits.shape[1]:
            word = np.uint64(0)
            for j in range(whole * WORD, features):
                if x[i, j] != 0:
                    word |= one << np.uint64(j - whole * WORD)
                if x[i, j] - x[i, j] != 0:
                    lost = 1
            bits[i, whole] = np.int64(word)
    return lost == 0


@jit
def nonzero_columns(bits, rows, columns):
    """Write the columns that are nonzero in any of these rows to `columns`; return how many there are.

    `columns` has space for all features, followed by a row of bits as scratch.
    """
    words, one = bits.shape[1], np.uint64(1)
    united = part(columns, columns.size - words, words)
    for w in range(words):
        united[w] = 0
    for i in range(rows.size):
        row = part(bits, element(rows, i) * words, words)
        for w in range(words):
            united[w] |= row[w]
    count = 0
    for w in range(words):
        word = np.uint64(element(united, w))
        while word != 0:
            columns[count] = w * WORD + _first_bit(word)
            count += 1
            word &= word - one
    return count
