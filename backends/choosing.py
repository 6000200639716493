"""Decision of "auto" for a program: the CPU backend, or a GPU if a training step is predicted to be faster there.

The checks go from cheap to expensive, and the first decisive one ends them: does the program train at all; does the CPU
need longer per step than the host of any GPU; is there a working GPU; how long does a step take there. Only the third
imports a GPU library, so small networks never do. Predictions come from the backends' cost models, which measure only
once, when a GPU is first considered; the result is kept on disk, so the same program gets the same decision. See
docs/design/0031-the-choice-of-a-backend.md.
"""

from dataclasses import replace
from typing import Any, NamedTuple

from dnnkit.backends.base import Backend
from dnnkit.backends.executable import Executable
from dnnkit.backends.program import FullBatch, Program
from dnnkit.backends.registry import BACKENDS, choice, get_backend, reason_against
from dnnkit.backends.stages import Dense
from dnnkit.backends.state import Plan
from dnnkit.errors import BackendUnavailable

DEVICES = ("cupy",)
"""Backends that "auto" compares with the CPU's; those that are not installed are skipped."""

ASSUMED_ROWS, NONE_TRAINED = 32, 0
"""Rows per batch if unspecified, the default of `fit`; and the value for networks that have only predicted so far."""

WORTH = 0.8
"""A GPU is chosen if it needs less than this fraction of the CPU's time: predictions err by about as much, and a CPU
needs no data transfer.
"""

LEAST_STEP, LEAST_LAYER = 4.5e-6, 7.5e-6
"""Lower bounds in seconds of any GPU: per step, and per dense layer in addition. Three and five launches at 1.5 µs each
within a graph, about half of what is known of GPUs; the host needs less (docs/gpu.md).
"""


class Chosen(NamedTuple):
    """A backend for a program, and in one line why "auto" chose it; `why` is empty if the user named the backend."""

    backend: Backend
    why: str = ""
    otherwise: Backend | None = None
    """Fallback if a chosen GPU cannot build the program."""


def choose(asked: str | Backend | None, program: Program, rows: int) -> Chosen:
    """Return the backend for a program.

    Arguments:
        asked: the user's choice, as for `get_backend`. Anything but "auto" is final.
        program: the network; one without a loss only predicts.
        rows: rows per batch, as far as known, or `NONE_TRAINED`.
    Raises:
        BackendUnavailable: a named backend cannot work. "auto" always finds one.
    """
    processor, program = get_backend(asked), without_optimizer(program)
    if isinstance(asked, Backend) or choice(asked).name != "auto":
        return Chosen(processor)
    if program.loss is None or rows == NONE_TRAINED:
        return Chosen(processor, f"{processor.name}: a network that only predicts runs where the data are")
    mine = processor.seconds_per_step(program, rows)
    if mine is None:
        return Chosen(processor, f"{processor.name}: its time per step is unknown, so no GPU is considered")
    here = f"{processor.name}: {_microseconds(mine)} µs per step predicted here"
    layers = sum(isinstance(stage, Dense) for stage in program.stages)
    least = LEAST_STEP + LEAST_LAYER * layers
    if least >= WORTH * mine:
        return Chosen(processor, f"{here}, {_microseconds(least)} at least on a GPU")
    why = here
    for name in DEVICES:
        if name not in BACKENDS:
            continue
        if (reason := reason_against(name)) is not None:
            why = f"{here}; {name} cannot work: {reason}"
            continue
        try:
            device = get_backend(name)
            theirs = device.seconds_per_step(program, rows)
        except Exception as error:  # a broken library must not stop what runs without it
            why = f"{here}; {name} failed when it was measured: {_line(error)}"
            continue
        if theirs is None:
            why = f"{here}; the time per step of {name} is unknown"
        elif theirs >= WORTH * mine:
            why = f"{here}, {_microseconds(theirs)} on the GPU"
        else:
            there = f"{name}: {_microseconds(theirs)} µs per step predicted on the GPU"
            return Chosen(device, f"{there}, {_microseconds(mine)} by {processor.name}", processor)
    return Chosen(processor, why)


def build(chosen: Chosen, program: Program) -> tuple[Chosen, Executable]:
    """Build the program on the chosen backend; if "auto" chose a GPU that fails, on the CPU backend."""
    if chosen.otherwise is None:
        return chosen, _built(chosen.backend, program)
    try:
        return chosen, _built(chosen.backend, program)
    except Exception as error:  # no memory, no compiler, a driver error: "auto" did not promise a GPU
        why = f"{chosen.otherwise.name}: {chosen.backend.name} failed when the network was built: {_line(error)}"
        return Chosen(chosen.otherwise, why), _built(chosen.otherwise, program)


def _built(backend: Backend, program: Program) -> Executable:
    executable = backend.build(without_optimizer(program))
    if executable.api_version < program.api_version:
        raise BackendUnavailable(
            f"the backend {backend.name!r} cannot run a network with branches, several outputs or layers newer than "
            f"it, because its {type(executable).__name__} has api_version = {executable.api_version}: use "
            "dk.Sequential with the layers that it supports, or another backend, such as numpy"
        )
    if not isinstance(program.rule, FullBatch):
        return executable
    from dnnkit.backends.full_batch import around

    return around(executable, program, backend)


def without_optimizer(program: Program) -> Program:
    """Return the program as a backend builds and is chosen for it: without a full-batch optimizer."""
    return replace(program, rule=None) if isinstance(program.rule, FullBatch) else program


CHOSEN = "chosen"
"""Key of the reason in a plan's details."""


def reason_in(plan: Plan) -> str:
    """Return why "auto" chose the backend, from a plan, which may be untrusted; empty if it was named."""
    reason: Any = plan.details.get(CHOSEN, "")
    return reason[:400] if isinstance(reason, str) and reason.isprintable() else ""


def _microseconds(seconds: float) -> str:
    number = 1e6 * seconds
    return f"{number:,.0f}" if number >= 10 else f"{number:.2g}"


def _line(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())[:200]
