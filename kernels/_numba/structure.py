"""Structures that Python fills and compiled code reads by address."""

import ctypes
from functools import cached_property
from typing import Any

from dnnkit.deferred import dataclass

WORD_BYTES, LINE_BYTES = 8, 64
"""Bytes of a field, and of a cache line."""


@dataclass(frozen=True, eq=False)
class Structure:
    """Named fields of eight bytes, each with a description; `numbers` are float64, `words` int64.

    With a `dtype`, the last field `zero` has that dtype, and code that receives the structure is compiled for it.
    """

    words: dict[str, str]
    numbers: dict[str, str]
    dtype: str = ""

    @property
    def bytes(self) -> int:
        """Size, rounded up to whole cache lines, so that elements of an aligned array share no line."""
        return -(-(len(self.words) + len(self.numbers) + 1) * WORD_BYTES // LINE_BYTES) * LINE_BYTES

    @cached_property
    def record(self) -> Any:
        """The structure as a ctypes type, which Python fills."""
        fields = [(name, ctypes.c_int64) for name in self.words] + [(name, ctypes.c_double) for name in self.numbers]
        rest = ctypes.c_int64 * (self.bytes // WORD_BYTES - len(fields))
        return type("Record", (ctypes.Structure,), {"_fields_": [*fields, ("_rest", rest)]})

    def new(self, count: int) -> Any:
        """Return an array of `count` zeroed structures, aligned to a cache line."""
        memory = ctypes.create_string_buffer(count * self.bytes + LINE_BYTES)
        return (self.record * count).from_buffer(memory, -ctypes.addressof(memory) % LINE_BYTES)
