"""Penalties and constraints on a program's flat parameters."""

import numpy as np

from dnnkit.backends.operations import Operations
from dnnkit.backends.penalties import Bound
from dnnkit.backends.program import Program
from dnnkit.backends.stagewise.layout import FlatLayout
from dnnkit.backends.state import HostArray
from dnnkit.kernels.array import Array


def factors(program: Program, layout: FlatLayout) -> HostArray:
    """Return l1 and l2 (2, n) of each element of the trained parameters, in their layout."""
    flat = np.zeros((2, layout.size), program.dtype)
    for one in program.penalties:
        flat[0, layout.elements(one.parameter)] += one.l1
        flat[1, layout.elements(one.parameter)] += one.l2
    return flat


class Regularization:
    """Applies penalties and constraints on a backend's arrays; no-op without any."""

    def __init__(self, backend: Operations, program: Program, trained: FlatLayout) -> None:
        self._backend, self._xp, self.bounds = backend, backend.xp, program.bounds
        self._end = trained.size
        self.factors: tuple[Array, Array] | None = None
        """l1 and l2 of each trained element."""
        if program.penalties:
            l1, l2 = factors(program, trained)
            self.factors = backend.asarray(l1), backend.asarray(l2)

    def penalty(self, parameters: Array) -> Array | float:
        """Return the penalty added to the mean loss of a batch."""
        if self.factors is None:
            return 0.0
        return self._backend.penalty(parameters[: self._end], *self.factors)

    def add_gradient(self, parameters: Array, gradient: Array) -> Array:
        """Return the gradient plus that of the penalties."""
        if self.factors is None:
            return gradient
        return self._backend.add_penalty_gradient(parameters[: self._end], gradient, *self.factors)

    def constrain(self, value: Array, bound: Bound) -> Array | None:
        """Return a parameter with its constraint enforced; None if done in place."""
        columns = self._xp.reshape(value, (value.shape[0], -1))
        constrained = self._backend.norm_bound(columns, bound.least, bound.most, bound.rate, bound.not_negative)
        return None if constrained is columns else self._xp.reshape(constrained, value.shape)
