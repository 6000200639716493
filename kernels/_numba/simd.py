"""SIMD vectors in compiled code, as wide as the processor's registers, in which the tiles are written.

Numba has no vector types, but LLVM does: an intrinsic emits them directly, and nothing depends on auto-vectorization.
"""

from collections.abc import Callable
from typing import Any

from llvmlite import ir

from dnnkit.kernels._numba.extending import declared_function
from dnnkit.kernels._target.processor import FUSED, REGISTER_BYTES

WORD, INDEX = ir.IntType(64), ir.IntType(32)


class Vectors:
    """Emits operations on vectors of one dtype ("float32", "float64") into a function under construction.

    Vectors are as wide as registers, or have `width` elements.
    """

    def __init__(self, builder: Any, dtype: str, width: int = 0) -> None:
        self.builder = builder
        self.number = ir.FloatType() if dtype == "float32" else ir.DoubleType()
        self.size = 4 if dtype == "float32" else 8
        self.width = width or REGISTER_BYTES // self.size
        self.kind = ir.VectorType(self.number, self.width)
        self._suffix = "f32" if dtype == "float32" else "f64"

    @property
    def zero(self) -> Any:
        """A vector of zeros."""
        return ir.Constant(self.kind, [0.0] * self.width)

    def place(self, base: Any, elements: Any) -> Any:
        """Return the address `elements` elements after a base; both are integers."""
        return self.builder.add(base, self.builder.mul(elements, WORD(self.size)))

    def spread(self, address: Any) -> Any:
        """Return the number at an address, broadcast to every lane."""
        return self.filled(self.builder.load(self.builder.inttoptr(address, self.number.as_pointer())))

    def filled(self, number: Any) -> Any:
        """Return a number of any type, broadcast to every lane."""
        nothing = ir.Constant(ir.VectorType(number.type, self.width), ir.Undefined)
        first = self.builder.insert_element(nothing, number, INDEX(0))
        return self.builder.shuffle_vector(first, nothing, self._lanes([0] * self.width))

    def in_double(self, value: Any) -> Any:
        """Return a vector in float64."""
        return value if self.size == 8 else self.builder.fpext(value, ir.VectorType(ir.DoubleType(), self.width))

    def rounded(self, value: Any) -> Any:
        """Return a float64 vector in this dtype."""
        return value if self.size == 8 else self.builder.fptrunc(value, self.kind)

    def lanes(self, value: Any, numbers: list[int]) -> Any:
        """Return the lanes of a vector with these numbers, in this order."""
        return self.builder.shuffle_vector(value, value, self._lanes(numbers))

    def load(self, address: Any, mask: Any = None) -> Any:
        """Load the vector at an address of any alignment; masked lanes are zero and not read."""
        pointer = self.builder.inttoptr(address, self.kind.as_pointer())
        if mask is None:
            value = self.builder.load(pointer)
            value.align = self.size
            return value
        function = self._masked("load", self.kind, mask, ir.FunctionType(
            self.kind, [self.kind.as_pointer(), INDEX, mask.type, self.kind]
        ))  # fmt: skip
        return self.builder.call(function, [pointer, INDEX(self.size), mask, self.zero])

    def store(self, value: Any, address: Any, mask: Any = None) -> None:
        """Store a vector of any width to an address of any alignment, except masked lanes."""
        pointer = self.builder.inttoptr(address, value.type.as_pointer())
        if mask is None:
            self.builder.store(value, pointer).align = self.size
            return
        function = self._masked("store", value.type, mask, ir.FunctionType(
            ir.VoidType(), [value.type, value.type.as_pointer(), INDEX, mask.type]
        ))  # fmt: skip
        self.builder.call(function, [value, pointer, INDEX(self.size), mask])

    def first(self, count: Any, width: int | None = None) -> Any:
        """Return the mask of the first `count` lanes."""
        width = width or self.width
        lanes = ir.Constant(ir.VectorType(WORD, width), list(range(width)))
        nothing = ir.Constant(lanes.type, ir.Undefined)
        start = self.builder.insert_element(nothing, count, INDEX(0))
        counts = self.builder.shuffle_vector(start, nothing, self._lanes([0] * width))
        return self.builder.icmp_signed("<", lanes, counts)

    def multiply_add(self, a: Any, b: Any, c: Any) -> Any:
        """Return a · b + c, fused if the processor can."""
        if not FUSED:
            return self.builder.fadd(self.builder.fmul(a, b), c)
        name = f"llvm.fma.v{self.width}{self._suffix}"
        function = declared_function(self.builder.module, ir.FunctionType(self.kind, [self.kind] * 3), name)
        return self.builder.call(function, [a, b, c])

    def transpose(self, rows: list[Any]) -> list[Any]:
        """Transpose a square of `width` vectors."""
        for distance in (1 << n for n in range(self.width.bit_length() - 1)):
            upper = [lane if not lane & distance else self.width + lane - distance for lane in range(self.width)]
            lower = [lane + distance if not lane & distance else self.width + lane for lane in range(self.width)]
            for number in (n for n in range(self.width) if not n & distance):
                x, y = rows[number], rows[number + distance]
                rows[number] = self.builder.shuffle_vector(x, y, self._lanes(upper))
                rows[number + distance] = self.builder.shuffle_vector(x, y, self._lanes(lower))
        return rows

    def _lanes(self, numbers: list[int]) -> Any:
        return ir.Constant(ir.VectorType(INDEX, len(numbers)), numbers)

    def _masked(self, what: str, kind: Any, mask: Any, signature: Any) -> Any:
        name = f"llvm.masked.{what}.v{kind.count}{self._suffix}.p0"
        return declared_function(self.builder.module, signature, name)


def loop(builder: Any, times: Any, carried: list[Any], body: Callable[[list[Any]], list[Any]]) -> list[Any]:
    """Emit `for _ in range(times): carried = body(carried)`, and return the final carried values."""
    before, function = builder.block, builder.function
    turn, after = function.append_basic_block("turn"), function.append_basic_block("after")
    builder.cbranch(builder.icmp_signed(">", times, WORD(0)), turn, after)
    builder.position_at_end(turn)
    count, now = builder.phi(WORD), [builder.phi(value.type) for value in carried]
    new = body(list(now))
    counted, end = builder.add(count, WORD(1)), builder.block
    back = builder.cbranch(builder.icmp_signed("<", counted, times), turn, after)
    back.set_metadata("llvm.loop", _not_unrolled(builder.module))
    for phi, start, value in zip([count, *now], [WORD(0), *carried], [counted, *new], strict=True):
        phi.add_incoming(start, before)
        phi.add_incoming(value, end)
    builder.position_at_end(after)
    results = []
    for start, value in zip(carried, new, strict=True):
        phi = builder.phi(start.type)
        phi.add_incoming(start, before)
        phi.add_incoming(value, end)
        results.append(phi)
    return results


def _not_unrolled(module: Any) -> Any:
    """Return metadata that disables unrolling of a loop: two copies of a tile's body would spill registers."""
    option = module.add_metadata([ir.MetaDataString(module, "llvm.loop.unroll.disable")])
    loop_is = module.add_metadata([option])
    loop_is.operands = loop_is, option  # by convention, the node refers to itself first
    return loop_is
