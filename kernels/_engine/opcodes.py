"""Opcodes: functions that a schedule's instructions name, each compiled when a schedule first needs it.

An opcode is called with the worker, the run and the stage (`structures.py`), and the instruction's option. Its
docstring's first line is what `describe` prints of it.
"""

import textwrap
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, NamedTuple

from numba import types

from dnnkit.kernels._engine import structures
from dnnkit.kernels._numba.jit import native, native_address

OPCODES: dict[str, Callable[..., None]] = {}
"""Name -> function."""

CONTROL = {
    "begin": (structures.BEGIN, "Begin a step, or end the run if there is none left."),
    "exchange": (structures.EXCHANGE, "Wait until all workers are here."),
    "repeat": (structures.REPEAT, "Go on with the next step."),
}
"""What the interpreter does itself: name -> number, meaning."""


class Instruction(NamedTuple):
    """One line of a schedule."""

    opcode: str
    stage: int = 0
    """Which stage; of "repeat", the line to go on with."""
    option: int = 0


def opcode(function: Callable[..., None]) -> Callable[..., None]:
    """Make a function an opcode, of its own name."""
    OPCODES[function.__name__] = function
    return function


def meaning(name: str) -> str:
    """What an opcode does, in a line."""
    if name in CONTROL:
        return CONTROL[name][1]
    return (OPCODES[name].__doc__ or "").partition("\n")[0]


def describe(schedule: Sequence[Instruction], stages: Sequence[str], width: int = 80) -> str:
    """A schedule in words: of each instruction its number, its opcode, and what it does with which of the stages."""
    lines, indent = [], " " * 30
    for place, (name, stage, option) in enumerate(schedule):
        text = f"Go on with the next step, at {stage}." if name == "repeat" else meaning(name)
        for words in ("a dense stage", "a stage"):
            if words in text:
                text = text.replace(words, stages[stage])
        text += f" Option {option}." if option else ""
        lines += textwrap.wrap(f"{place:3}  {name:23}  {text}", width, subsequent_indent=indent)
    return "\n".join(lines)


@cache
def compiled(name: str, dtype: str) -> Any:
    """An opcode's machine code, from the cache or compiled now."""
    worker, run, stage = structures.WORKER.kind, structures.run_of(dtype).kind, structures.STAGE.kind
    return native(OPCODES[name], types.void(worker, run, stage, types.int64))


@cache
def address(name: str, dtype: str) -> int:
    """What stands for an opcode in a schedule that is run."""
    return CONTROL[name][0] if name in CONTROL else native_address(compiled(name, dtype))
