"""Penalties and bounds of a program's parameters, which lie one after the other."""

import numpy as np

from dnnkit.backends.operations import Operations
from dnnkit.backends.penalties import Bound
from dnnkit.backends.program import Program
from dnnkit.backends.stagewise.layout import FlatLayout
from dnnkit.backends.state import HostArray
from dnnkit.kernels.array import Array
from dnnkit.kernels.norm_bound import reference as norm_bound
from dnnkit.kernels.penalty import reference as penalty


def factors(program: Program, layout: FlatLayout) -> HostArray:
    """l1 and l2 (2, n) of each number of the parameters that are trained, as they lie."""
    flat = np.zeros((2, layout.size), program.dtype)
    for one in program.penalties:
        flat[0, layout.elements(one.parameter)] += one.l1
        flat[1, layout.elements(one.parameter)] += one.l2
    return flat


class Held:
    """What is done for penalties and bounds on a backend's arrays; without any, nothing."""

    def __init__(self, backend: Operations, program: Program, trained: FlatLayout) -> None:
        self._backend, self._xp, self.bounds = backend, backend.xp, program.bounds
        self._end, self._factors = trained.size, None
        if program.penalties:
            l1, l2 = factors(program, trained)
            self._factors = backend.asarray(l1), backend.asarray(l2)

    def penalty(self, parameters: Array) -> Array | float:
        """What the parameters add to the mean loss of a batch."""
        if self._factors is None:
            return 0.0
        return penalty.penalty(parameters[: self._end], *self._factors, xp=self._xp)

    def add_gradient(self, parameters: Array, gradient: Array) -> Array:
        """The gradient with that of the penalties."""
        if self._factors is None:
            return gradient
        made = penalty.gradient(parameters[: self._end], gradient, *self._factors, xp=self._xp)
        if self._backend.buffer((1,), gradient.dtype) is None:
            return made
        gradient[...] = made  # who writes gradients has its address
        return gradient

    def hold(self, value: Array, bound: Bound) -> Array:
        """A parameter, held to its bound."""
        columns = self._xp.reshape(value, (value.shape[0], -1))
        numbers = bound.least, bound.most, bound.rate, bound.not_negative
        return self._xp.reshape(norm_bound.hold(columns, *numbers, xp=self._xp), value.shape)
