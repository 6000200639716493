"""Random permutations drawn in compiled code: bit for bit NumPy's `default_rng(entropy).permutation(count)`.

In three parts, as NumPy has them: `SeedSequence` hashes the entropy into 256 bits (O'Neill 2015, `randutils`), PCG64
(XSL-RR 128/64, O'Neill 2014) is seeded with them, and a Fisher-Yates shuffle draws each place by masked rejection of
32-bit halves. A generator made in Python takes longer than the shuffle of a thousand rows; here a thread draws the
order of an epoch just before it trains on it, into memory that is already in its cache.
"""

from typing import Any

from llvmlite import ir
from numba import types

from dnnkit.kernels._numba.at_address import vector
from dnnkit.kernels._numba.extending import intrinsic
from dnnkit.kernels._numba.jit import jit, jit_called

LOW = 0xFFFFFFFF
INIT_A, MULT_A = 0x43B0D7E5, 0x931E8875
INIT_B, MULT_B = 0x8B51F9DD, 0x58F38DED
MIX_LEFT, MIX_RIGHT = 0xCA01F9DD, 0x4973F715
PCG_MULTIPLIER = 0x2360ED051FC65DA44385DF649FCCF645


def _wide(builder: Any, high: Any, low: Any) -> Any:
    """Return a 128-bit number, given in halves."""
    kind = ir.IntType(128)
    upper = builder.shl(builder.zext(high, kind), ir.Constant(kind, 64))
    return builder.or_(upper, builder.zext(low, kind))


@intrinsic
def _next_state(typing_context: Any, state: Any, increment: Any) -> Any:
    """Return the generator's next state; numbers of 128 bits are pairs of their halves, the upper one first."""
    pair = types.UniTuple(types.int64, 2)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        before, added = (
            _wide(builder, *(builder.extract_value(number, place) for place in range(2))) for number in arguments
        )
        kind, word = ir.IntType(128), ir.IntType(64)
        after = builder.add(builder.mul(before, ir.Constant(kind, PCG_MULTIPLIER)), added)
        halves = builder.trunc(builder.lshr(after, ir.Constant(kind, 64)), word), builder.trunc(after, word)
        return context.make_tuple(builder, pair, halves)

    return pair(pair, pair), generate


@intrinsic
def _sum(typing_context: Any, one: Any, other: Any) -> Any:
    """Return the sum of two 128-bit numbers."""
    pair = types.UniTuple(types.int64, 2)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        one, other = (
            _wide(builder, *(builder.extract_value(number, place) for place in range(2))) for number in arguments
        )
        kind, word, total = ir.IntType(128), ir.IntType(64), builder.add(one, other)
        halves = builder.trunc(builder.lshr(total, ir.Constant(kind, 64)), word), builder.trunc(total, word)
        return context.make_tuple(builder, pair, halves)

    return pair(pair, pair), generate


@intrinsic
def _output(typing_context: Any, state: Any) -> Any:
    """Return 64 random bits of a state: its halves xored, rotated right by its top six bits."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        word = ir.IntType(64)
        upper, lower = (builder.extract_value(arguments[0], place) for place in range(2))
        mixed, turn = builder.xor(upper, lower), builder.lshr(upper, ir.Constant(word, 58))
        back = builder.and_(builder.neg(turn), ir.Constant(word, 63))
        return builder.or_(builder.lshr(mixed, turn), builder.shl(mixed, back))

    return types.int64(types.UniTuple(types.int64, 2)), generate


@jit
def _hashed(value, constant, multiplier):
    value = ((value ^ constant) * ((constant * multiplier) & LOW)) & LOW
    return value ^ (value >> 16)


@jit_called
def permute(order_address, count, entropy_address, words, scratch_address):
    """Write the permutation of 0 ... `count` - 1 for up to four 32-bit words of entropy.

    `count` is at most 2³¹. Scratch memory has `structures.SCRATCH` words.

    First the partners of all places are drawn, and kept in the upper halves of the order's words; then these are
    exchanged. So neither the rejections, which no branch depends on, nor the exchanges wait for each other.
    """
    order, entropy = vector(0, order_address, count), vector(0, entropy_address, words)
    pool, seed = vector(0, scratch_address, 4), vector(0, scratch_address + 32, 4)

    constant = INIT_A
    for place in range(4):
        pool[place] = _hashed(entropy[place] if place < words else 0, constant, MULT_A)
        constant = (constant * MULT_A) & LOW
    for source in range(4):
        for place in range(4):
            if source != place:
                mixed = (MIX_LEFT * pool[place] - MIX_RIGHT * _hashed(pool[source], constant, MULT_A)) & LOW
                pool[place] = mixed ^ (mixed >> 16)
                constant = (constant * MULT_A) & LOW
    constant = INIT_B
    for place in range(4):
        low = _hashed(pool[2 * place % 4], constant, MULT_B)
        constant = (constant * MULT_B) & LOW
        high = _hashed(pool[(2 * place + 1) % 4], constant, MULT_B)
        constant = (constant * MULT_B) & LOW
        seed[place] = low | (high << 32)

    increment = (seed[2] << 1) | ((seed[3] >> 63) & 1), (seed[3] << 1) | 1
    state = _next_state(_sum(increment, (seed[0], seed[1])), increment)  # the first state is the increment

    mask = 1
    while mask < count - 1:
        mask = (mask << 1) | 1
    last, left = count - 1, -1
    while last > 0:
        while mask >> 1 >= last:
            mask >>= 1
        end = mask >> 1  # down to here, draws have as many bits
        if left >= 0:
            place, left = left & mask, -1
            order[last] = (place << 32) | last
            last -= place <= last
        while last > end:
            state = _next_state(state, increment)
            bits = _output(state)
            place = bits & mask
            order[last] = (place << 32) | last
            last -= place <= last
            if last > end:
                place = (bits >> 32) & mask
                order[last] = (place << 32) | last
                last -= place <= last
            else:
                left = (bits >> 32) & LOW
    if count > 0:
        order[0] = 0
    for last in range(count - 1, 0, -1):
        place = order[last] >> 32
        other = order[place]
        order[place] = (other & -(1 << 32)) | (order[last] & LOW)
        order[last] = other & LOW
