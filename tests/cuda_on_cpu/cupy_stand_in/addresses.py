"""Memory by address, as prepared launches and cuBLAS get it: nothing but memory that is allocated."""

import ctypes
import weakref
from typing import Any

import numpy as np

from tests.cuda_on_cpu.cupy_stand_in.device import Block, current_device, use

_blocks: "weakref.WeakSet[Block]" = weakref.WeakSet()


def settle(block: Block, value: np.ndarray) -> None:
    """The memory block that belongs to this array."""
    block.begin, block.end = np.lib.array_utils.byte_bounds(value)
    _blocks.add(block)


def at(address: int, dtype: Any, count: int | None = None) -> np.ndarray:
    """View this many numbers from the address; by default up to the end of the memory."""
    kind = np.dtype(dtype)
    for block in list(_blocks):
        if block.begin <= address < block.end:
            if block.device != current_device():
                raise RuntimeError(f"an address of device {block.device} is used on device {current_device()}")
            room = (block.end - address) // kind.itemsize
            if count is not None and count > room:
                raise RuntimeError(f"{count} numbers are used at an address behind which there are {room}")
            use(block)
            size = room if count is None else count
            memory = (ctypes.c_char * (size * kind.itemsize)).from_address(address)
            return np.frombuffer(memory, kind)
    raise RuntimeError(f"nothing is at the address {address:#x}, or not any more")
