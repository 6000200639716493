"""Parts of a training step, and their times."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np

from dnnkit.backends.program import Program
from dnnkit.backends.stages import Activate, Custom, Dense, Dropout, Op, Rescale, Stage, is_trained, stage_parameters
from dnnkit.backends.state import Hyperparameters
from dnnkit.deferred import dataclass

if TYPE_CHECKING:
    from dnnkit.backends.executable import Executable

ROUNDS, STEPS = 7, 20
"""Rounds and steps per round of a measurement; the minimum counts, because other load only slows things down."""


@dataclass(frozen=True)
class Part:
    """A part of a training step; times are seconds per step, None if unknown."""

    name: str
    predicted: float | None
    measured: float | None
    partition: str = ""
    """How it is partitioned among workers, if it is."""


@dataclass(frozen=True)
class StepParts:
    """A training step, part by part."""

    parts: tuple[Part, ...]
    predicted: float | None
    measured: float
    """Seconds of the whole step, as `fit` runs it."""
    partition: str = "units/1"
    schedule: str = ""
    """What each worker does, as text, if it follows a schedule."""


def part_names(program: Program, stages: Sequence[Stage]) -> list[str]:
    """Return a name for each stage: the layer's name if it has parameters."""
    features, names = int(np.prod(program.input_shape)), list[str]()
    for stage in stages:
        is_frozen = bool(stage_parameters(stage)) and not is_trained(stage)
        match stage:
            case Dense(kernel=kernel, activation=activation):
                name, (features, outputs) = kernel.name.removesuffix("/kernel"), kernel.shape
                names.append(f"{name} ({features} → {outputs}, {activation}{', frozen' if is_frozen else ''})")
            case Activate(activation=activation):
                names.append(activation)
            case Rescale():
                names.append("rescaling")
            case Dropout(rate=rate):
                names.append("dropout" if callable(rate) else f"dropout ({rate:g})")
            case Custom(function=function):
                names.append(type(function).__name__ + " (frozen)" * is_frozen)
            case Op(kind=kind):
                own = stage_parameters(stage)
                name = f"{own[0].name.rpartition('/')[0]} ({kind})" if own else kind
                names.append(name + ", frozen" * is_frozen)
    return names


def still(program: Program, steps: int) -> Hyperparameters:
    """Return hyperparameters with learning rates of 0: steps compute as usual, but nothing is learned."""
    constants = {name: 0.5 for rule in program.rules for name in rule.hyperparameters}
    each = Hyperparameters(np.zeros(steps), constants)
    return replace(each, groups=(each,) * len(program.groups)) if program.groups else each


def measured_step(executable: "Executable", data: Any, order: Any, batch_size: int) -> float:
    """Return seconds per step, the fastest of several rounds; changes parameters by rounding at most."""
    steps, best = -(-len(order) // batch_size), float("inf")
    for _ in range(ROUNDS):
        executable.begin_epoch(data, order, batch_size)
        start = perf_counter()
        executable.run_steps(0, steps, still(executable.program, steps))
        executable.totals()
        best = min(best, (perf_counter() - start) / steps)
    return best


class Stopwatch:
    """Sums the time between marks, attributed to the name of the later mark."""

    def __init__(self, wait: Callable[[], None]) -> None:
        self.seconds: dict[Any, float] = {}
        self._wait, self._last = wait, perf_counter()

    def __call__(self, name: Any) -> None:
        """Attribute the time since the last mark to this name."""
        self._wait()  # for a device that computes asynchronously
        now = perf_counter()
        self.seconds[name] = self.seconds.get(name, 0.0) + now - self._last
        self._last = now
