"""Arguments of a kernel: checked against its parameters, and in separate memory where accesses are checked."""

import ctypes
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

ALIGNMENT = 256
"""Alignment that copies share with their originals, because kernels use addresses to choose vector loads."""


class Region(ctypes.Structure):
    """As in `machine_state.h`: memory that a launch may access."""

    _fields_ = (
        ("begin", ctypes.c_void_p),
        ("bytes", ctypes.c_size_t),
        ("grain", ctypes.c_size_t),
        ("name", ctypes.c_char_p),
    )


class Argument:
    """One argument of a launch; `described` as in `entry.h`, such as i4, *f4, *cu1."""

    def __init__(self, kernel: str, name: str, described: str, value: Any):
        self.name, self.value = name, value
        self.pointer = described.startswith("*")
        self.constant = described.startswith("*c")
        plain = described.removeprefix("*").removeprefix("c")
        if not self.pointer:
            if not isinstance(value, np.generic) or _described(value.dtype) != plain:
                self._refuse(kernel, f"a NumPy scalar {plain}")
        elif isinstance(value, np.uintp) and value == 0:
            self.value = None  # a null pointer, as CuPy expects it; CuPy itself does not accept None
        elif not isinstance(value, np.ndarray) or (plain[0] not in "vV" and _described(value.dtype) != plain):
            self._refuse(kernel, f"an array of {plain}")
        elif not self.constant and not value.flags.writeable:
            self._refuse(kernel, "an array that may be written")

    def _refuse(self, kernel: str, wanted: str) -> None:
        got = type(self.value).__name__ + (f" of {self.value.dtype}" if hasattr(self.value, "dtype") else "")
        raise TypeError(f"{kernel}: {self.name} must be {wanted}, not {got}")


def _described(dtype: np.dtype[Any]) -> str:
    return f"{dtype.kind}{dtype.itemsize}"


@contextmanager
def given(arguments: Sequence[Argument], apart: bool) -> Iterator[tuple[Any, Any]]:
    """Yield (pointers to the values, regions) for the machine.

    With `apart`, arrays that do not overlap are copied away from each other for the launch: views of one buffer are
    adjacent, and an access beyond one would be within another.
    """
    arrays = [argument for argument in arguments if argument.pointer and argument.value is not None]
    groups = _groups(arrays) if apart else [[argument] for argument in arrays]
    moves: dict[int, int] = {}  # distance between each argument's memory and its array, by identity
    regions = (Region * len(groups))()
    copies = []
    for region, group in zip(regions, groups, strict=True):
        bounds = [np.lib.array_utils.byte_bounds(argument.value) for argument in group]
        low, high = min(bound[0] for bound in bounds), max(bound[1] for bound in bounds)
        copy = np.empty(high - low + 2 * ALIGNMENT if apart else 0, np.uint8)
        begin = copy.ctypes.data + (low - copy.ctypes.data) % ALIGNMENT if apart else low
        if apart:
            ctypes.memmove(begin, low, high - low)
            copies.append((copy, begin, low, high - low, not all(argument.constant for argument in group)))
        moves |= {id(argument): begin - low for argument in group}
        region.begin, region.bytes = begin, high - low
        region.grain = min(argument.value.itemsize for argument in group)
        region.name = "/".join(dict.fromkeys(argument.name for argument in group)).encode()
    values = [_in_memory(argument, moves.get(id(argument), 0)) for argument in arguments]
    yield (ctypes.c_void_p * len(values))(*(value.ctypes.data for value in values)), regions
    for _, begin, low, size, written in copies:
        if written:
            ctypes.memmove(low, begin, size)


def _in_memory(argument: Argument, move: int) -> Any:
    """Return the argument's value, or its array's address, as an array of one element to point to."""
    if not argument.pointer:
        return np.array([argument.value])
    empty = argument.value is None or argument.value.size == 0  # CuPy's empty arrays are null pointers, too
    return np.array([0 if empty else argument.value.ctypes.data + move], np.uintp)


def _groups(arrays: list[Argument]) -> list[list[Argument]]:
    """Group arrays that share memory."""
    groups: list[list[Argument]] = []
    end = 0
    for argument in sorted(arrays, key=lambda argument: np.lib.array_utils.byte_bounds(argument.value)):
        low, high = np.lib.array_utils.byte_bounds(argument.value)
        if groups and low < end:
            groups[-1].append(argument)
            end = max(end, high)
        else:
            groups.append([argument])
            end = high
    return groups
