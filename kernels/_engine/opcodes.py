"""Opcodes: functions that a schedule's instructions name, each compiled when a schedule first needs it.

An opcode is called with the worker, the run and the stage (`structures.py`), and the instruction's option. Its
docstring's first line is what `describe` prints of it.
"""

from collections.abc import Callable
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


def describe(schedule: list[Instruction], stages: list[str]) -> str:
    """A schedule in words, a line for each instruction; `stages` are their names."""
    lines = []
    for place, (name, stage, option) in enumerate(schedule):
        where = f"line {stage}" if name == "repeat" else stages[stage] if meaning(name).count("stage") else ""
        chosen = f"option {option}" if option else ""
        what = ", ".join(part for part in (where, chosen) if part)
        lines.append(f"{place:3}  {name:26} {what:24} {meaning(name)}".rstrip())
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
