"""Requirement of L-BFGS on a program: the loss over all rows is a function of the parameters and nothing else."""

import numpy as np

from dnnkit.backends.program import Program
from dnnkit.backends.stages import Dropout, Op, Stage
from dnnkit.errors import ConfigurationError
from dnnkit.kernels import registry

ACTIVATIONS = 1 << 26
"""Maximum bytes of all stages' outputs at a time; more rows are computed in chunks."""

CHUNK = 1 << 32
"""Rows times parameters per chunk, about a quarter of a second: the longest wait for Ctrl-C."""

LEAST_ROWS = 256
"""Minimum rows per chunk, regardless of the number of parameters."""


def rows_at_a_time(program: Program) -> int:
    """Return the rows per chunk; determined by the program alone, because it affects the last bits."""
    numbers = 4 * sum(program.widths)  # values and gradients, before and after an activation
    by_memory = ACTIVATIONS // (np.dtype(program.dtype).itemsize * numbers)
    return max(LEAST_ROWS, min(by_memory, CHUNK // max(1, program.size)))


def require_one_function(program: Program) -> None:
    """Raise `ConfigurationError` if the loss depends on more than the parameters, so losses could not be compared."""
    cure = "leave it out, or train with another optimizer, such as dk.Adam()"
    for stage in program.stages:
        if (name := drawing(stage)) is not None:
            raise ConfigurationError(
                f"{name} changes the loss from step to step, but L-BFGS compares losses at several parameters: {cure}"
            )
        if isinstance(stage, Op) and has_statistics(stage):
            raise ConfigurationError(
                f"{stage.kind} updates its statistics in each step, but L-BFGS has few steps and many evaluations: "
                f"freeze the layer, use one without statistics, such as a LayerNormalization, or {cure}"
            )
    if program.bounds:
        raise ConfigurationError(
            "a layer has a constraint, but L-BFGS minimizes the loss without constraints: leave it out, use a penalty, "
            "such as kernel_regularizer='l2', or train with another optimizer, such as dk.Adam()"
        )


def drawing(stage: Stage) -> str | None:
    """Return the name of a stage that draws random numbers; None otherwise."""
    if isinstance(stage, Dropout) and (callable(stage.rate) or stage.rate > 0):
        return "Dropout"
    draws = isinstance(stage, Op) and hasattr(registry.find(stage.kind, "stage"), "PURPOSE")
    return stage.kind if isinstance(stage, Op) and draws else None


def draws_parts(stage: Stage) -> bool:
    """Whether a stage draws the same for a row wherever the rows of a batch are computed."""
    if isinstance(stage, Op):
        return bool(getattr(registry.find(stage.kind, "stage"), "DRAWS_PARTS", False))
    return isinstance(stage, Dropout)


def has_statistics(stage: Op) -> bool:
    """Whether its training steps update statistics."""
    is_frozen = dict(stage.settings).get("frozen", False)
    return not is_frozen and bool(getattr(registry.find(stage.kind, "stage"), "AFTER", ()))
