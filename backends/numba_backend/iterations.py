"""L-BFGS iterations on the Numba backend: any number of them in one call of compiled code."""

import ctypes
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from dnnkit.backends.aligned import address, rounded, zeros
from dnnkit.backends.iterations import Iterations
from dnnkit.backends.numba_backend.all_rows import AllRows
from dnnkit.backends.numba_backend.weights import Weights
from dnnkit.backends.stagewise.layout import FlatLayout
from dnnkit.backends.stagewise.regularization import factors
from dnnkit.backends.state import HostArray
from dnnkit.kernels.array import Array
from dnnkit.kernels.lbfgs import iteration as lbfgs

if TYPE_CHECKING:
    from dnnkit.backends.numba_backend.steps import CompiledSteps

VECTORS = "direction", "now", "now_gradient", "trial_gradient", "kept", "kept_gradient"
"""Vectors besides the pairs, and the trial, which the network's stages read."""


class CompiledIterations(Iterations):
    """L-BFGS with all its vectors in one allocation, at addresses that its ITERATION holds.

    Arguments:
        rows_of: returns the rows of data as the executable evaluates them.
        trained: layout of the trained parameters; all parameters are `size` numbers.
    """

    _executable: "CompiledSteps"

    def __init__(
        self,
        executable: "CompiledSteps",
        most: int,
        rows_of: Callable[[Any], AllRows],
        trained: FlatLayout,
        size: int,
    ) -> None:
        super().__init__(executable, most)
        program, s, n, slots = executable.program, self._s, trained.size, most + 1
        self._rows_of = rows_of
        self._rows: AllRows | None = None
        self._places = {name: place for place, name in enumerate(VECTORS)}
        self._vectors = zeros((len(VECTORS), rounded(n)), program.dtype)
        self._pairs, self._numbers = zeros((2, slots, n), program.dtype), np.zeros((2, slots))
        self._trial = Weights(zeros((1, size), program.dtype), np.zeros((1, 1, 0)))
        self._sums, self._whole = np.zeros((2, program.measured)), zeros((n,), program.dtype)
        for name, vector in zip(VECTORS, self._vectors, strict=True):
            setattr(s, name, address(vector))
        s.size, s.slots, s.newest, s.trial = n, slots, slots - 1, address(self._trial.parameters)
        s.steps, s.changes = map(address, self._pairs)
        s.curvatures, s.shares = map(address, self._numbers)
        s.sums, s.kept_sums, s.measured = *map(address, self._sums), program.measured
        if program.penalties:
            self._factors = factors(program, trained)
            s.penalties = address(self._factors)

    def _vector(self, name: str) -> HostArray:
        found: HostArray = self._vectors[self._places[name], : self._s.size]
        return found

    @property
    def pairs(self) -> list[tuple[Array, Array]]:  # noqa: D102
        s = self._s
        places = [(s.newest - age) % s.slots for age in range(s.pairs - 1, -1, -1)]
        return [(self._pairs[0, place], self._pairs[1, place]) for place in places]

    @pairs.setter
    def pairs(self, pairs: Sequence[tuple[Array, Array]]) -> None:
        for place, pair in enumerate(pairs):
            self._pairs[:, place] = pair
        s = self._s
        s.pairs, s.newest, s.recalls = len(pairs), (len(pairs) - 1) % s.slots, 1

    def give_up(self) -> None:  # noqa: D102
        super().give_up()
        if (rows := self._rows) is not None:
            rows.stop()

    def _is_where_it_was(self) -> bool:
        return bool((self._vector("now") == self._executable.flat_parameters[: self._s.size]).all())

    def evaluate(self, data: Any, numbers: HostArray) -> tuple[float, HostArray] | None:
        """Return loss and gradient for these trained parameters; None if given up."""
        s = self._s
        s.left, s.is_known = 0, 0
        lbfgs.reset(s)
        self._run_rows(data, numbers)
        return (s.value, self._vector("now_gradient").copy()) if s.is_over else None

    def _iterate(self, data: Any, rates: HostArray | None) -> HostArray:
        s, executable = self._s, self._executable
        noted = np.empty((s.left, 1 + s.measured))
        s.notes, s.rates = address(noted), address(rates)
        if s.is_known and not s.left:
            s.is_over = 1
            return noted
        try:
            self._run_rows(data, executable.flat_parameters[: s.size])
        finally:
            if s.updates:
                executable.write_trained(self._vector("now"))
        return noted[: s.made]

    def _run_rows(self, data: Any, numbers: HostArray) -> None:
        """Run compiled code, from these parameters if nothing is known yet."""
        s, given, trial = self._s, self._executable.flat_parameters, self._trial.parameters[0]
        trial[: s.size], trial[s.size :] = numbers, given[s.size :]
        rows = self._rows = self._rows_of(data)
        s.chunks, s.weight = rows.chunks, rows.weight
        if self._is_given_up:
            return
        rows.run(self._trial, ctypes.addressof(s), address(self._whole), self._executable.state.step, s.left)
