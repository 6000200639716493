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

SCRATCH = 12
"""Words that `permute` needs besides the order: 4 of the pool, 4 of the seed, 2 of the state, 2 of the increment."""

LOW = 0xFFFFFFFF
INIT_A, MULT_A = 0x43B0D7E5, 0x931E8875
INIT_B, MULT_B = 0x8B51F9DD, 0x58F38DED
MIX_LEFT, MIX_RIGHT = 0xCA01F9DD, 0x4973F715
PCG_MULTIPLIER = 0x2360ED051FC65DA44385DF649FCCF645


def _state(builder: Any, address: Any) -> tuple[Any, Any]:
    """Return pointers to the 128-bit state at an address and to the increment behind it."""
    kind = ir.IntType(128)
    increment = builder.add(address, ir.Constant(ir.IntType(64), 16))
    return tuple(builder.inttoptr(place, kind.as_pointer()) for place in (address, increment))


def _load(builder: Any, pointer: Any) -> Any:
    return builder.load(pointer, align=8)


@intrinsic
def _advance(typing_context: Any, address: Any, high: Any, low: Any) -> Any:
    """Advance the generator after adding a 128-bit number, given in halves, to its state."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        state, increment = _state(builder, arguments[0])
        kind = ir.IntType(128)
        upper = builder.shl(builder.zext(arguments[1], kind), ir.Constant(kind, 64))
        before = builder.add(_load(builder, state), builder.or_(upper, builder.zext(arguments[2], kind)))
        product = builder.mul(before, ir.Constant(kind, PCG_MULTIPLIER))
        builder.store(builder.add(product, _load(builder, increment)), state, align=8)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64, types.int64), generate


@intrinsic
def _output(typing_context: Any, address: Any) -> Any:
    """Return 64 random bits of the current state: its halves xored, rotated right by its top six bits."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        state, _ = _state(builder, arguments[0])
        kind, word = ir.IntType(128), ir.IntType(64)
        number = _load(builder, state)
        upper = builder.trunc(builder.lshr(number, ir.Constant(kind, 64)), word)
        mixed, turn = builder.xor(upper, builder.trunc(number, word)), builder.lshr(upper, ir.Constant(word, 58))
        back = builder.and_(builder.neg(turn), ir.Constant(word, 63))
        return builder.or_(builder.lshr(mixed, turn), builder.shl(mixed, back))

    return types.int64(types.int64), generate


@jit
def _hashed(value, constant, multiplier):
    value = ((value ^ constant) * ((constant * multiplier) & LOW)) & LOW
    return value ^ (value >> 16)


@jit_called
def permute(order_address, count, entropy_address, words, scratch_address):
    """Write the permutation of 0 ... `count` - 1 for the 32-bit words of entropy, at most four.

    `SeedSequence` has a pool of four words. `count` is at most 2³². Scratch memory has `SCRATCH` words.
    """
    order, entropy = vector(0, order_address, count), vector(0, entropy_address, words)
    pool, seed = vector(0, scratch_address, 4), vector(0, scratch_address + 32, 4)
    generator_address = scratch_address + 64
    generator = vector(0, generator_address, 4)

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

    generator[0] = generator[1] = 0
    generator[2] = (seed[3] << 1) | 1
    generator[3] = (seed[2] << 1) | ((seed[3] >> 63) & 1)
    _advance(generator_address, 0, 0)
    _advance(generator_address, seed[0], seed[1])

    for place in range(count):
        order[place] = place
    half, mask = -1, 1
    while mask < count - 1:
        mask = (mask << 1) | 1
    for last in range(count - 1, 0, -1):
        while mask >> 1 >= last:
            mask >>= 1
        place = last + 1
        while place > last:
            if half >= 0:
                place, half = half & mask, -1
            else:
                _advance(generator_address, 0, 0)
                bits = _output(generator_address)
                place, half = bits & mask, (bits >> 32) & LOW
        order[last], order[place] = order[place], order[last]
