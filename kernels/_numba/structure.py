"""Structures that Python fills and compiled code reads, at an address."""

import ctypes
from functools import cached_property
from typing import Any

from dnnkit.deferred import dataclass

WORD_BYTES, LINE_BYTES = 8, 64
"""Of a field, and of a cache line."""


@dataclass(frozen=True, eq=False)
class Structure:
    """Named fields of eight bytes, each with its meaning; `numbers` are float64, `words` int64.

    With a `dtype`, a last field `zero` has that dtype: code that is given the structure is compiled for it.
    """

    words: dict[str, str]
    numbers: dict[str, str]
    dtype: str = ""

    @property
    def bytes(self) -> int:
        """Whole cache lines, so that no two of an array that begins with one share any."""
        return -(-(len(self.words) + len(self.numbers) + 1) * WORD_BYTES // LINE_BYTES) * LINE_BYTES

    @cached_property
    def record(self) -> Any:
        """As ctypes knows it: what Python fills."""
        fields = [(name, ctypes.c_int64) for name in self.words] + [(name, ctypes.c_double) for name in self.numbers]
        rest = ctypes.c_int64 * (self.bytes // WORD_BYTES - len(fields))
        return type("Record", (ctypes.Structure,), {"_fields_": [*fields, ("_rest", rest)]})

    def new(self, count: int) -> Any:
        """An array of so many, all zero, that begins with a cache line."""
        memory = ctypes.create_string_buffer(count * self.bytes + LINE_BYTES)
        return (self.record * count).from_buffer(memory, -ctypes.addressof(memory) % LINE_BYTES)
