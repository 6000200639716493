"""What "auto" decides for a program: its processor's backend, or a GPU's where a training step is predicted faster.

The questions go from cheap to dear, and the first that settles it is the last: does the program train at all; does the
processor need longer for a step than any GPU's host; is there a GPU that works; what does the step take there. Only the
third imports a GPU's library, so a small network never does. Predictions are of backends' cost models, which read no
clock but once, when a GPU is first asked; what it said is kept on disk, so the same program is decided the same way.
See docs/design/0031-the-choice-of-a-backend.md.
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
"""Backends that "auto" weighs against the processor's; those that are not part of this installation are passed over."""

ASSUMED_ROWS, NONE_TRAINED = 32, 0
"""Rows of a batch where nobody has said how many, the default of `fit`; and where a network was asked for predictions
and nothing else so far."""

WORTH = 0.8
"""A GPU is taken if it needs less than this share of the processor's time: predictions err by about as much, and data
need not be carried to a processor."""

LEAST_STEP, LEAST_LAYER = 4.5e-6, 7.5e-6
"""Seconds below which no GPU makes a step: of the step, and of each dense layer besides. Three launches and five, each
taken to last 1.5 µs in a graph, about half of what is known of GPUs; the host needs less (docs/gpu.md)."""


class Chosen(NamedTuple):
    """A backend for a program, and in a line why "auto" took it; `why` is empty where somebody named the backend."""

    backend: Backend
    why: str = ""
    otherwise: Backend | None = None
    """Who takes over if a GPU that was chosen cannot build the program."""


def choose(asked: str | Backend | None, program: Program, rows: int) -> Chosen:
    """The backend for a program in batches of so many rows.

    Arguments:
        asked: the user's choice, as `get_backend` takes it. One that is not "auto" is the answer.
        program: the network; one without a loss only predicts.
        rows: of a batch, as far as is known, or `NONE_TRAINED`.

    Raises:
        BackendUnavailable: a backend that was named cannot work. "auto" always finds one.
    """
    processor, program = get_backend(asked), without_optimizer(program)
    if isinstance(asked, Backend) or choice(asked).name != "auto":
        return Chosen(processor)
    if program.loss is None or rows == NONE_TRAINED:
        return Chosen(processor, f"{processor.name}: a network that only predicts stays where the data are")
    mine = processor.seconds_per_step(program, rows)
    if mine is None:
        return Chosen(processor, f"{processor.name}: how long its step takes here is not known, so no GPU is asked")
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
        except Exception as error:  # a library that is broken in a way of its own must not end what runs without it
            why = f"{here}; {name} failed when it was measured: {_line(error)}"
            continue
        if theirs is None:
            why = f"{here}; how long it takes on {name} is not known"
        elif theirs >= WORTH * mine:
            why = f"{here}, {_microseconds(theirs)} on the GPU"
        else:
            there = f"{name}: {_microseconds(theirs)} µs per step predicted on the GPU"
            return Chosen(device, f"{there}, {_microseconds(mine)} by {processor.name}", processor)
    return Chosen(processor, why)


def build(chosen: Chosen, program: Program) -> tuple[Chosen, Executable]:
    """The program on the backend that was chosen; on the processor's, if it was "auto" that chose and a GPU fails."""
    if chosen.otherwise is None:
        return chosen, _built(chosen.backend, program)
    try:
        return chosen, _built(chosen.backend, program)
    except Exception as error:  # no memory, no compiler, a driver that gives up: "auto" did not promise a GPU
        why = f"{chosen.otherwise.name}: {chosen.backend.name} failed when the network was built: {_line(error)}"
        return Chosen(chosen.otherwise, why), _built(chosen.otherwise, program)


def _built(backend: Backend, program: Program) -> Executable:
    executable = backend.build(without_optimizer(program))
    if executable.api_version < program.api_version:
        raise BackendUnavailable(
            f"the backend {backend.name!r} cannot run a network with branches, several outputs or layers newer than "
            f"it, for its {type(executable).__name__} says api_version = {executable.api_version}: use dk.Sequential "
            "of the layers that it knows, or another backend, such as numpy"
        )
    if not isinstance(program.rule, FullBatch):
        return executable
    from dnnkit.backends.full_batch import around

    return around(executable, program, backend)


def without_optimizer(program: Program) -> Program:
    """The program that a backend builds, and by which it is chosen: what is computed, not how it is trained."""
    return replace(program, rule=None) if isinstance(program.rule, FullBatch) else program


CHOSEN = "chosen"
"""Where in a plan's details the reason stands."""


def reason_in(plan: Plan) -> str:
    """Why "auto" took the backend that ran, as its plan says, which may be a stranger's; empty if it was named."""
    reason: Any = plan.details.get(CHOSEN, "")
    return reason[:400] if isinstance(reason, str) and reason.isprintable() else ""


def _microseconds(seconds: float) -> str:
    number = 1e6 * seconds
    return f"{number:,.0f}" if number >= 10 else f"{number:.2g}"


def _line(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())[:200]
