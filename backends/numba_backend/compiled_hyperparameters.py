"""Hyperparameters in the form that compiled code reads, rebuilt only when they change."""

from collections.abc import Mapping
from typing import TypeAlias

import numpy as np

from dnnkit.backends.numba_backend.bytecode import Clips
from dnnkit.backends.numba_backend.runs import Steps
from dnnkit.backends.program import Program
from dnnkit.backends.state import HostArray, Hyperparameters

Taken: TypeAlias = tuple[HostArray, HostArray, Clips, float, float]
"""Learning rates, other numbers, which norms are bounded, their bound, and the bound of each element."""


class CompiledHyperparameters:
    """The last hyperparameters of a program, and their compiled form."""

    def __init__(self, program: Program) -> None:
        self._names = [name for rule in program.rules for name in rule.hyperparameters]
        self._last: tuple[Hyperparameters, Taken] | None = None
        self._last_constants: tuple[Mapping[str, float] | None, HostArray] = None, np.zeros(0)

    def steps(
        self, first: int, last: int, updates: int, hyperparameters: Hyperparameters, *, is_clipped: bool = False
    ) -> Steps:
        """Return steps first ... last - 1, after `updates` updates, with the numbers that the optimizer needs.

        With `is_clipped`, norms are not bounded, because the given gradients already are.
        """
        if self._last is None or self._last[0] is not hyperparameters:
            self._last = hyperparameters, self._take(hyperparameters)
        rates, constants, clips, clip, value = self._last[1]
        if is_clipped:
            clips, clip = "", 0.0
        return Steps(first, last, updates, rates, constants, clips, clip, value)

    def _take(self, hyperparameters: Hyperparameters) -> Taken:
        rates = hyperparameters.learning_rates
        if groups := hyperparameters.groups:
            rates = np.stack([rates, *(group.learning_rates for group in groups)])
        constants = self._constants(hyperparameters) if hyperparameters.is_plain else self._table(hyperparameters)
        clip, value = hyperparameters.clip_norm or hyperparameters.clip_each or 0.0, hyperparameters.clip_value or 0.0
        return rates, constants, clips_of(hyperparameters), clip, value

    def _table(self, hyperparameters: Hyperparameters) -> HostArray:
        """Return the constants of each group, and of each step if they vary."""
        each = hyperparameters, *hyperparameters.groups
        steps = len(hyperparameters.learning_rates) if hyperparameters.varies else 1
        table = np.empty((len(each), steps, len(self._names)))
        for group, own in enumerate(each):
            for place, name in enumerate(self._names):
                table[group, :, place] = own.constants[name]
        return table

    def _constants(self, hyperparameters: Hyperparameters) -> HostArray:
        given, made = self._last_constants
        if hyperparameters.constants is not given:
            given = hyperparameters.constants
            made = np.array([[[given[name] for name in self._names]]], np.float64)
            self._last_constants = given, made
        return made


def clips_of(hyperparameters: Hyperparameters) -> Clips:
    """Return which norms of the gradient are bounded."""
    if hyperparameters.clip_norm is not None:
        return "whole"
    return "" if hyperparameters.clip_each is None else "each"
