"""Opcodes: the functions that instructions of a schedule name, each compiled when a schedule first needs it.

An opcode is called with the worker, the run and the stage (`structures.py`), and the instruction's option. `describe`
prints the first line of its docstring.
"""

import textwrap
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from importlib import import_module
from typing import NamedTuple

from dnnkit.kernels import registry
from dnnkit.kernels._engine import structures
from dnnkit.kernels._native.archive import Bitcode
from dnnkit.kernels._native.functions import Function

DEFINED_IN = (
    "batches",
    "compressed",
    "connections",
    "derivatives",
    "exchange",
    "full_batches",
    "own_parts",
    "parts",
    "regularization",
    "stages",
    "updates",
)
"""Modules of this package that define opcodes when imported. So does the `cpu.py` of each kind in `kernels/stages`."""

_opcodes: dict[str, Callable[..., None]] = {}

IN_PLACE = 1
"""Option of `dense_of_columns` and similar opcodes: read the rows of x in place in the data, not from a gathered copy.
"""

EXCHANGED = 2
"""Option of a backward opcode: dx is a partial sum for the exchange. Option 1: dx is complete. Option 0: no dx."""

BUFFERS = 3
"""Number of buffers for inputs that all workers read, used in rotation. They are gathered one step ahead, in the
segment before an exchange, while other workers may still read those of this step and of the previous one.
"""

CONTROL = {
    "begin": (structures.BEGIN, "Begin a step, or end the run if there is none left."),
    "exchange": (structures.EXCHANGE, "Wait for all workers (barrier)."),
    "repeat": (structures.REPEAT, "Continue with the next step."),
    "own_forward": (structures.OWN_FORWARD, "Call a stage's user-defined forward, in Python, on worker 0 for all."),
    "own_backward": (structures.OWN_BACKWARD, "Call a stage's user-defined backward, in Python, on worker 0 for all."),
    "own_measures": (
        structures.OWN_MEASURES,
        "Call user-defined loss and metrics, in Python, on worker 0 for all.",
    ),
}
"""Instructions that the interpreter executes itself: name -> number, description."""


class Instruction(NamedTuple):
    """Line of a schedule."""

    opcode: str
    stage: int = 0
    """Number of the stage; for "repeat", the line to jump to."""
    option: int = 0


def opcode(function: Callable[..., None]) -> Callable[..., None]:
    """Register a function as an opcode under its own name."""
    known = _opcodes.setdefault(function.__name__, function)
    assert known.__module__ == function.__module__, f"two opcodes are named {function.__name__}"
    _opcodes[function.__name__] = function
    return function


def opcodes() -> dict[str, Callable[..., None]]:
    """Return all opcodes by name. This imports Numba; running a schedule does not."""
    for module in DEFINED_IN:
        import_module(f"dnnkit.kernels._engine.{module}")
    for kind in filter(registry.has_cpu_version, registry.names("stage")):
        registry.version(kind, "cpu")
    return _opcodes


def meaning(name: str) -> str:
    """Return a one-line description of an opcode."""
    if name in CONTROL:
        return CONTROL[name][1]
    return (opcodes()[name].__doc__ or "").partition("\n")[0]


def describe(schedule: Sequence[Instruction], stages: Sequence[str], width: int = 80) -> str:
    """Return a schedule as text: per instruction its number, its opcode, and what it does with which stage."""
    lines, indent = [], " " * 30
    for place, (name, stage, option) in enumerate(schedule):
        text = f"Continue with the next step, at {stage}." if name == "repeat" else meaning(name)
        for words in ("a dense stage", "a stage"):
            if words in text:
                text = text.replace(words, stages[stage])
        text += f" Option {option}." if option else ""
        lines += textwrap.wrap(f"{place:3}  {name:23}  {text}", width, subsequent_indent=indent)
    return "\n".join(lines)


@cache
def function_of(name: str, dtype: str) -> Function:
    """Return an opcode as machine code."""

    def make(symbol: str) -> Bitcode:
        from numba import types

        from dnnkit.kernels._numba.at_address import kind_of
        from dnnkit.kernels._numba.front_end import bitcode

        structs = map(kind_of, (structures.WORKER, structures.run_of(dtype), structures.STAGE))
        return bitcode(opcodes()[name], types.void(*structs, types.int64), symbol)

    return Function(f"opcode.{name}", dtype, make)


def functions_of(schedule: Iterable[Instruction], dtype: str) -> list[Function]:
    """Return the functions that a schedule calls."""
    return [function_of(name, dtype) for name in dict.fromkeys(line.opcode for line in schedule) if name not in CONTROL]


def address(name: str, dtype: str) -> int:
    """Return what an instruction holds for an opcode: its address, or its number if the interpreter executes it."""
    return CONTROL[name][0] if name in CONTROL else function_of(name, dtype).address
